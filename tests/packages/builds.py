# SPDX-License-Identifier: GPL-2.0-only
"""make deb and make rpm as an ordinary user, where there is nothing but what they say
they need: they test what they build, and pack what they should."""

import pathlib

import archive
import built_packages
import cache
import debian_roots
import devices
import lint
from checked_system import CheckedSystem, Checks

PASSED = "Result: PASS"
SOURCES = "/home/builder/ivshmem"


def base(release: str) -> pathlib.Path:
    """A root of a release with what package builds need and useradd, made if need be."""
    needed = lint.make_variable("deb-packages") + lint.make_variable("rpm-packages")
    packages = sorted({*needed, "passwd"})
    return cache.made(
        debian_roots.kept(f"build-{release}", packages),
        lambda work: archive.Archive(release, "amd64").bootstrap(
            packages, work, "--mode=root", "--variant=apt", "--format=directory"
        ),
    )


class Builder(CheckedSystem):
    """An ordinary user with the sources, in a root of a release."""

    def __init__(self, directory: pathlib.Path, checks: Checks, release: str) -> None:
        self.release = release
        self.tree = debian_roots.Tree(base(release), directory)
        super().__init__(checks, self.tree.run)
        sources = self.tree.upper / SOURCES.lstrip("/")
        built_packages.sources(sources, built_packages.version())
        self.tree.must("useradd builder && chown -R builder: /home/builder")

    def make(self, target: str, *, tests: bool, **environment: str) -> None:
        """Build packages, and check whether their tests ran."""
        words = " ".join(f"{name}={value}" for name, value in environment.items())
        command = f"cd {SOURCES} && env {words} make {target} 2>&1"
        output = self.holds(
            f"{self.release}: make {target} {words}", f"runuser -u builder -- sh -c '{command}'"
        )
        self.checks.ok(
            f"{self.release}: its tests {'run' if tests else 'are left out'}",
            (PASSED in output) == tests,
            output,
        )


def check(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    for release in ("bookworm", "trixie"):
        builder = Builder(directory / release, checks, release)
        builder.make("deb", tests=True)
        builder.make("deb", tests=False, DEB_BUILD_OPTIONS="nocheck")
        builder.make("rpm", tests=True)
        if release != "bookworm":  # its rpm makes no such packages
            builder.holds(
                f"{release}: programs and library have their debugging information",
                f"cd {SOURCES}/dist && for name in ivshmemctl libivshmem; do "
                "rpm -qpl $name-debuginfo-[0-9]*.rpm | grep '\\.debug$' || exit; done && "
                "rpm -qpl ivshmem-debugsource-[0-9]*.rpm | grep '\\.c$'",
            )
