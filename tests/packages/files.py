# SPDX-License-Identifier: GPL-2.0-only
"""The packages as files: made twice they are the same bytes, and the checkers of
Debian and Fedora have nothing to say about them."""

import os
import pathlib
import shutil

import build
import built_packages
import debian_roots
import devices
from checked_system import Checks

LINTIAN = [
    "lintian",
    "--allow-root",
    "-I",
    "--pedantic",
    "--fail-on",
    "error,warning,info,pedantic",
]
RPMLINT = ["rpmlint", "--strict", "-c", "rpm/rpmlint.toml", "rpm/ivshmem.spec"]


def contents(dist: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in dist.iterdir()}


def check(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    # rpmlint has rpm read the spec, which uses macros that Debian's rpm lacks.
    shutil.copy(build.TOP / "rpm/debian.macros", directory / ".rpmmacros")
    environment = {**os.environ, "HOME": str(directory)}
    for kind, checker in (("deb", LINTIAN), ("rpm", RPMLINT)):
        dist, copy = (
            built_packages.make(kind, built_packages.version(), place=place)
            for place in ("here", "elsewhere")
        )
        one, other = contents(dist), contents(copy)
        differ = sorted(
            name for name in one.keys() | other.keys() if one.get(name) != other.get(name)
        )
        checks.ok(
            f"{kind}: made elsewhere they are the same {len(one)} files",
            bool(one) and not differ,
            "\n".join(differ),
        )
        packages = sorted(path for path in dist.iterdir() if path.suffix != ".xz")
        status, output = debian_roots.outcome([*checker, *packages], dist.parent, env=environment)
        checks.ok(f"{kind}: {checker[0]} is content", status == 0, output)
