# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that watch what the driver does: KERNEL=kasan and KERNEL=kcsan.

They are built from Debian's linux-source by the host's compiler, and kept in the
cache directory: tinyconfig, what guests need (debug/guest.config) and what watches
(debug/NAME.config). All is built in, so there are no modules but ours.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import typing

import archive
import cache
import tap

CONFIGS = pathlib.Path(__file__).with_name("debug")
COMMON = CONFIGS / "guest.config"
NAMES = sorted({path.stem for path in CONFIGS.glob("*.config")} - {COMMON.stem})
ARCH = "amd64"
MEMORY = 256  # MiB that a guest has more
IMAGE = "arch/x86/boot/bzImage"
# Checks that a kernel makes only if its command line asks for them.
APPEND = {"kasan": "page_table_check=on page_owner=on"}

# The driver tells kcov and gcov, where the kernel has them, what of it was run.
INSTRUMENTS = ("KCOV_INSTRUMENT=y", "GCOV_PROFILE=y")


def find(name: str, line: str) -> pathlib.Path:
    """The directory that the kernel of this name was built in. Module.symvers and
    all that modules need is there as well."""
    tree = cache.directory() / "debug" / name
    tree.mkdir(parents=True, exist_ok=True)
    with cache.locked(tree):
        _build(name, line, tree)
    return tree


def release(tree: pathlib.Path) -> str:
    return (tree / "include/config/kernel.release").read_text().strip()


def _build(name: str, line: str, tree: pathlib.Path) -> None:
    stamp = tree / "stamp"
    compiler = subprocess.run(
        ["gcc", "-dumpfullversion"], check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    fragments = [COMMON, CONFIGS / f"{name}.config"]
    identity = json.dumps([line, compiler, *(path.read_text() for path in fragments)])
    digest = hashlib.sha256(identity.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return
    stamp.unlink(missing_ok=True)
    source = _source(line, tree.parent)
    tap.say(f"# building a {line} kernel with {name}: some ten minutes, once")
    _make(source, tree, "tinyconfig")
    _run([source / "scripts/kconfig/merge_config.sh", "-m", ".config", *fragments], tree)
    _make(source, tree, "olddefconfig")
    _check(tree / ".config", fragments)
    _make(source, tree, f"-j{os.cpu_count()}", "bzImage", "modules")
    (tree / "modules.dep").touch()
    stamp.write_text(digest)


def _source(line: str, root: pathlib.Path) -> pathlib.Path:
    """The unpacked source of a line, fetched if it is not there."""
    package = f"linux-source-{line}"

    def fetch(work: pathlib.Path) -> None:
        offers = [release for release in archive.releases(ARCH) if package in release.names()]
        if not offers:
            raise archive.ArchiveError(f"no release of Debian has {package}")
        tap.say(f"# fetching {package} of {offers[0].release}")
        unpacked = work / "package"
        offers[0].unpack([package], unpacked)
        tarball = unpacked / "usr/src" / f"{package}.tar.xz"
        _run(["tar", "xf", tarball, "--strip-components=1"], work)
        shutil.rmtree(unpacked)

    return cache.made(root / package, fetch)


def _check(config: pathlib.Path, fragments: list[pathlib.Path]) -> None:
    """What a fragment asks for must not be dropped for want of something else."""
    have = config.read_text().splitlines()
    missing = [
        line
        for path in fragments
        for line in path.read_text().splitlines()
        if line.startswith("CONFIG_") and line not in have
    ]
    if missing:
        raise archive.ArchiveError(f"this kernel cannot have {', '.join(missing)}")


def _make(source: pathlib.Path, tree: pathlib.Path, *words: str) -> None:
    _run(["make", "-s", "-C", source, f"O={tree}", *words], tree)


def _run(command: typing.Sequence[str | pathlib.Path], directory: pathlib.Path) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=directory,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        errors="replace",
    )
    if done.returncode:
        raise archive.ArchiveError(f"{command[0]} failed:\n{done.stdout[-3000:]}")
