# SPDX-License-Identifier: GPL-2.0-only
"""The packages under test: those of this tree, and those of the next version."""

import os
import pathlib
import re
import sys
import threading

import build
import debian_roots
import scratch

WORK = scratch.directory("ivshmem-packages-", "/var/tmp")
MAINTAINER = "ivshmem maintainers <maintainers@ivshmem.example>"
STAMP = "Mon, 23 Nov 2026 12:00:00 +0000"
STAR = f"* Mon Nov 23 2026 {MAINTAINER}"
_made: set[pathlib.Path] = set()
_one_at_a_time = threading.Lock()


def version() -> str:
    """The version of this tree, from dkms.conf."""
    text = (build.TOP / "dkms.conf").read_text()
    found = re.search(r'^PACKAGE_VERSION="(.*)"', text, re.M)
    assert found, "dkms.conf has no version"
    return found[1]


def next_version() -> str:
    """The version after it."""
    head, _, last = version().rpartition(".")
    return f"{head}.{int(last) + 1}"


def _edit(path: pathlib.Path, pattern: str, text: str) -> None:
    path.write_text(re.sub(pattern, text, path.read_text(), count=1, flags=re.M))


def _renumber(tree: pathlib.Path, number: str, release: int) -> None:
    """Make a copy of the sources another version, or another release of it."""
    _edit(tree / "dkms.conf", r"^PACKAGE_VERSION=.*", f'PACKAGE_VERSION="{number}"')
    _edit(tree / "rpm/ivshmem.spec", r"^(Version: +).*", rf"\g<1>{number}")
    _edit(tree / "rpm/ivshmem.spec", r"^(Release: +)\d+", rf"\g<1>{release}")
    _edit(
        tree / "rpm/ivshmem.spec",
        r"^%changelog$",
        f"%changelog\n{STAR} - {number}-{release}\n- Next.\n",
    )
    if number != version():
        _edit(
            tree / "debian/changelog",
            r"\A",
            f"ivshmem ({number}) unstable; urgency=medium\n\n  * Next.\n\n"
            f" -- {MAINTAINER}  {STAMP}\n\n",
        )


def directory(kind: str, number: str, release: int = 1, place: str = "") -> pathlib.Path:
    """Where the packages of a kind ("deb" or "rpm") are, once they are made."""
    return WORK / place / f"{kind}-{number}-{release}" / "dist"


def sources(tree: pathlib.Path, number: str, release: int = 1) -> None:
    """Copy the sources, as a version or a release of it, to a directory."""
    tree.mkdir(parents=True)
    debian_roots.copy_sources(tree)
    if (number, release) != (version(), 1):
        _renumber(tree, number, release)
    debian_roots.run(["git", "-C", tree, "init", "-q"], "no git")
    debian_roots.run(["git", "-C", tree, "add", "-A"], "no git")


def make(kind: str, number: str, release: int = 1, place: str = "") -> pathlib.Path:
    """The directory of the packages of a kind, which are built if they are not there. A
    place is one for another build of the same, and "elsewhere" is unlike the others."""
    dist = directory(kind, number, release, place)
    with _one_at_a_time:
        if dist not in _made:
            _make(kind, number, release, place)
            _made.add(dist)
    return dist


def _make(kind: str, number: str, release: int, place: str) -> None:
    tree = directory(kind, number, release, place).parent
    sources(tree, number, release)
    print(f"# building {kind} packages of {number}-{release}", file=sys.stderr)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS"))
    }
    changes = {}
    if place == "elsewhere":
        environment.update(TZ="Pacific/Kiritimati", LC_ALL="C", HOME=str(tree))
        changes["umask"] = 0o077
    debian_roots.run(
        ["make", "--no-print-directory", kind], f"make {kind}", tree, env=environment, **changes
    )
