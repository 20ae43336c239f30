# SPDX-License-Identifier: GPL-2.0-only
"""Compilers as they are in a release of Debian: a small root file system of that
release in the cache directory, in which make runs."""

import os
import pathlib
import re
import shlex
import subprocess

import arches
import archive
import cache

# With W=1 the kernel's comments are checked too, by a program in Perl or Python.
PACKAGES = ("clang", "make", "libelf1", "libelf1t64", "perl", "python3")

# The trees that a build reads and writes are in the root under the same names.
SCRIPT = """
set -e
for directory in /proc /dev {shared}; do
	mkdir -p {root}$directory
	mount --rbind $directory {root}$directory
done
exec chroot {root} "$@"
"""


TOP = pathlib.Path(__file__).resolve().parents[2]


class Toolchain:
    """gcc and clang of a release, for this architecture and the others."""

    def __init__(self, release: str, gcc: str) -> None:
        self.release = release
        self.gcc = gcc  # gcc-14
        self.root = cache.made(cache.directory() / f"toolchain-{release}-{gcc}", self._create)

    def _create(self, root: pathlib.Path) -> None:
        source = archive.Archive(self.release, arches.HOST)
        packages = [name for name in (self.gcc, *PACKAGES) if name in source.names()]
        packages += [
            f"{self.gcc}-{arch.triplet}"
            for arch in arches.ALL.values()
            if arch.name != arches.HOST
        ]
        source.bootstrap(
            packages,
            root,
            "--variant=minbase",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
        )

    def run(self, *command: str | pathlib.Path) -> tuple[int, str]:
        """Run a command in the root: (exit status, output)."""
        script = SCRIPT.format(
            root=shlex.quote(str(self.root)), shared=shlex.join([str(TOP), str(cache.directory())])
        )
        user = [] if os.geteuid() == 0 else ["--map-root-user"]
        done = subprocess.run(
            ["unshare", "--mount", *user, "sh", "-c", script, "sh", *map(str, command)],
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
        )
        return done.returncode, done.stdout

    def version(self, compiler: str) -> str:
        """The version of a compiler, "14.2.0"."""
        _, output = self.run(compiler, "--version")
        found = re.search(r"\b(\d+\.\d+\.\d+)\b", output)
        return found.group(1) if found else "?"
