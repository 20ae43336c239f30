# SPDX-License-Identifier: GPL-2.0-only
"""The RPM packages, installed by dnf into a root that has the real DKMS.

There is no Fedora here: the root is Debian's, and an empty package stands for
what it has of Fedora's names.
"""

import pathlib
import shutil

import built_packages
import chroots
import debian_roots
import devices
import upgrades
from checked_system import Checks

NAMES = ["ivshmem-dkms", "ivshmem-tools", "libivshmem"]
STAND_IN = """Name: stand-in
Version: 1
Release: 1
Summary: What this root has already
License: GPL-2.0-only
BuildArch: noarch
%description
Nothing.
%files
"""
# The kernel that comes later is noticed by what kernel-install(8) runs.
PLUGIN = "/etc/kernel/install.d/dkms"


def repository(directory: pathlib.Path, versions: list[tuple[str, int]]) -> pathlib.Path:
    """A repository of our packages, and of the stand-in for what they require."""
    directory.mkdir()
    required = {"kernel-core", "kernel-devel-matched"}
    for number, release in versions:
        for path in built_packages.directory("rpm", number, release).glob("*.rpm"):
            if not path.name.endswith(".src.rpm"):
                shutil.copy(path, directory)
    text = debian_roots.run(["sh", "-c", f"rpm -qp --requires {directory}/*.rpm"], "rpm")
    required.update(
        line for line in text.splitlines() if not line.startswith(("rpmlib(", "(", "libivshmem"))
    )
    spec = directory / "stand-in.spec"
    spec.write_text("".join(f"Provides: {name}\n" for name in sorted(required)) + STAND_IN)
    debian_roots.run(
        [
            "rpmbuild",
            "--quiet",
            "-bb",
            "--define",
            f"_topdir {directory / 'build'}",
            "--define",
            f"_rpmdir {directory}",
            spec,
        ],
        "no stand-in",
    )
    debian_roots.run(["createrepo_c", "-q", directory], "no repository")
    return directory


class Dnf(chroots.Chroot):
    def __init__(
        self, directory: pathlib.Path, checks: Checks, versions: list[tuple[str, int]]
    ) -> None:
        super().__init__(directory, checks)
        self.repository = repository(directory / "repository", versions)
        self.kernels = self.tree.must("ls /lib/modules").split()

    def dnf(self, *arguments: str) -> tuple[int, str]:
        """Run dnf on the tree: (exit status, output)."""
        command = [
            "dnf",
            "-q",
            "-y",
            f"--installroot={self.tree.merged}",
            "--releasever=1",
            "--disablerepo='*'",
            f"--repofrompath=ours,file://{self.repository}",
            "--enablerepo=ours",
            "--nogpgcheck",
            "--setopt=reposdir=/dev/null",
            "--setopt=cachedir=/var/cache/dnf",
            "--setopt=install_weak_deps=False",
            *arguments,
        ]
        return self.tree.around(*self.tree.binds, " ".join(map(str, command)))

    def step(self, name: str, *arguments: str) -> str:
        """Run dnf, which has to succeed; what it printed."""
        status, output = self.dnf(*arguments)
        # dnf only reports that a scriptlet failed.
        self.checks.ok(name, status == 0 and "scriptlet" not in output, output)
        return output

    def all_built(self, name: str, version: str) -> None:
        """Exactly this version's module is there, for every kernel."""
        count = len(self.kernels)
        self.equal(
            f"{name}: each kernel has this version's module",
            "for k in /lib/modules/*; do modinfo -k ${k##*/} -F version ivshmem; done",
            *[version] * count,
        )
        self.equal(
            f"{name}: and no other", "find /lib/modules/ -name 'ivshmem.ko*' | wc -l", str(count)
        )
        self.equal(
            f"{name}: DKMS has nothing else",
            "dkms status ivshmem 2>/dev/null | sed 's/,.*: /:/'; ls /usr/src | grep ivshmem",
            *[f"ivshmem/{version}:installed"] * count,
            f"ivshmem-{version}",
        )

    def gone(self) -> None:
        """Nothing of ours is left, but the group."""
        self.equal(
            "erased: no file is left",
            f"find / -xdev -iname '*ivshmem*' | grep -v '^{chroots.OURS}/'",
        )
        self.equal("erased: DKMS knows nothing", "dkms status 2>/dev/null | grep ivshmem")
        self.equal("erased: the group stays", "getent group ivshmem | cut -d: -f1", "ivshmem")


def versions_built() -> list[tuple[str, int]]:
    """The version of this tree, a second release of it, the next version."""
    version = built_packages.version()
    return [(version, 1), (version, 2), (built_packages.next_version(), 1)]


def another_kernel(dnf: Dnf) -> None:
    """A kernel and its headers come later."""
    dnf.tree.must(
        "cd /etc/kernel && mv header_postinst.d/dkms header && mv postinst.d/dkms . && "
        f"{chroots.INSTALL} {' '.join(upgrades.KERNEL)} && "
        "mv header header_postinst.d/dkms && mv dkms postinst.d"
    )
    new = set(dnf.tree.must("ls /lib/modules").split()) - set(dnf.kernels)
    dnf.kernels += sorted(new)
    dnf.holds(
        "kernel-install's plugin builds for another kernel", f"{PLUGIN} add {' '.join(new)} /boot"
    )


def life(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """Install, another kernel, upgrade, reinstall, downgrade, erase."""
    versions = versions_built()
    for number, release in versions:
        built_packages.make("rpm", number, release)
    (old, _), _, (new, _) = versions
    dnf = Dnf(pathlib.Path(directory), checks, versions)
    dnf.step("dnf install", "install", "stand-in", *(f"{name}-{old}-1" for name in NAMES))
    dnf.all_built("installed", old)
    another_kernel(dnf)
    dnf.all_built("another kernel", old)
    for name, version, arguments in (
        ("higher release", old, ["upgrade", *(f"{name}-{old}-2" for name in NAMES)]),
        ("higher version", new, ["upgrade", *NAMES]),
        ("reinstalled", new, ["reinstall", *NAMES]),
        ("downgraded", old, ["downgrade", *(f"{name}-{old}-1" for name in NAMES)]),
    ):
        dnf.step(f"dnf {arguments[0]}: {name}", *arguments)
        dnf.all_built(name, version)
    dnf.holds("a server is enabled", "systemctl enable ivshmem-server@vm.socket")
    dnf.step("dnf remove", "remove", *NAMES)
    dnf.gone()
