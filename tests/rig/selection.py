# SPDX-License-Identifier: GPL-2.0-only
"""Which tests there are, and which of them were asked for."""

import fnmatch
import os
import pathlib
import typing

import arches
import build
import settings
import topology as topo

GUEST_TESTS = build.TOP / "tests" / "guest"
HOST_TESTS = build.TOP / "tests" / "host"
COMPILED = (".c", ".cpp")


class Test(typing.NamedTuple):
    """One file of tests/guest and what it wants."""

    path: pathlib.Path
    topology: topo.Topology
    timeout: float
    kernel: tuple[int, ...] | None

    @property
    def name(self) -> str:
        over, variant = self.topology.over, self.topology.variants
        return "-".join(filter(None, (self.path.stem, over if over != "pci" else "", variant)))

    def program(self, arch: str) -> pathlib.Path:
        """What runs in a guest."""
        return build.program(f"guest/{self.path.stem}", arch) if self.compiled else self.path

    def host_program(self) -> pathlib.Path:
        """The same for this machine, which may be of another architecture."""
        if self.compiled:
            build.programs([f"guest/{self.path.stem}"], arches.HOST)
        return self.program(arches.HOST)

    @property
    def compiled(self) -> bool:
        return self.path.suffix in COMPILED


def selected(name: str) -> bool:
    """Do the tests that were asked for (globs or parts of names) include this one?"""
    wanted = settings.get("TESTS")
    return not wanted or any(
        pattern in name or fnmatch.fnmatch(name, pattern) for pattern in wanted.split(",")
    )


def guest_tests() -> typing.Iterator[Test]:
    """The chosen tests in tests/guest: one file has one for each transport and variant."""
    for path in sorted(GUEST_TESTS.iterdir()):
        if path.suffix not in (*COMPILED, ".sh", ".py") or path.name == "lib.sh":
            continue
        for wants in topo.parse(path):
            test = Test(path, *wants)
            if selected(test.name):
                yield test


def host_tests() -> typing.Iterator[pathlib.Path]:
    """The chosen tests of user space: programs in C, test_NAME.py for pytest, and
    whatever is executable."""
    for path in sorted(HOST_TESTS.iterdir()):
        runs = (
            path.suffix == ".c"
            or path.name.startswith("test_")
            or path.is_file()
            and os.access(path, os.X_OK)
        )
        if runs and path.name != "check.py" and selected(path.stem):
            yield path
