# SPDX-License-Identifier: GPL-2.0-only
"""How to get a kernel's headers: what apt is asked for it is what apt has."""

import pathlib
import typing

import chroots
import debian_roots
import devices
from checked_system import Checks

HELPER = "/usr/libexec/ivshmem-dkms"
CONTROL = """Package: {name}
Version: {version}
Architecture: all
Maintainer: Nobody <nobody@ivshmem.example>
Depends: {depends}
Description: stands for a package of this name
"""
# Empty packages of these names, and what they depend on.
PACKAGES = {
    "linux-headers-6.12.60+deb12-amd64": "",
    "linux-headers-6.1.0-50-rt-amd64": "",
    "linux-headers-6.1.0-57-rt-amd64": "",
    "linux-headers-rt-amd64": "linux-headers-6.1.0-57-rt-amd64",
    "linux-headers-amd64": "linux-headers-6.12.60+deb12-amd64",
    "linux-image-amd64": "",
    "linux-headers-6.8.0-45-generic": "",
}


class Row(typing.NamedTuple):
    kernel: str
    line: str
    before: str = "true"  # a command that makes it so
    within: str = ""  # what runs the command


NOT_OURS = (
    "this distribution has none for this kernel: "
    "install those of its makers, so that there is /lib/modules/{0}/build"
)
MARK = "touch /run/.containerenv"
CONTAINER = (MARK, "unshare --uts")
LEFT = f"{chroots.GONE}: apt install linux-image-amd64 linux-headers-amd64, then reboot"
ROWS = {
    "the newest of its flavour": Row("6.1.0-57-rt-amd64", "apt install linux-headers-rt-amd64"),
    "an older one": Row(
        "6.1.0-50-rt-amd64", "apt install linux-headers-6.1.0-50-rt-amd64 linux-headers-rt-amd64"
    ),
    "one without a flavour's package": Row(
        "6.8.0-45-generic", "apt install linux-headers-6.8.0-45-generic"
    ),
    "one that left": Row("6.12.57+deb12-amd64", LEFT),
    "one that left with its ABI in two parts": Row("6.5.0-0.deb12.4-amd64", LEFT),
    "one of others": Row("6.18.44-vm-7", NOT_OURS.format("6.18.44-vm-7")),
    "the host's of a container, of the same distribution": Row(
        "6.1.0-57-rt-amd64", "apt install linux-headers-rt-amd64", *CONTAINER
    ),
    "the host's of a container": Row(
        "6.12.57+deb12-amd64", "this is a container: install ivshmem-dkms on its host", *CONTAINER
    ),
    "a virtual machine made of a container's image": Row("6.12.57+deb12-amd64", LEFT, MARK),
    "any, before apt update": Row(
        "6.1.0-57-rt-amd64",
        f"apt knows no packages: apt update, then ask again: {HELPER} advice 6.1.0-57-rt-amd64",
        "rm -r /var/lib/apt/lists",
    ),
}


def empty_package(directory: pathlib.Path, name: str, depends: str) -> pathlib.Path:
    """A package of a name that has nothing in it."""
    tree = directory / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        CONTROL.format(name=name, version=1, depends=depends).replace("Depends: \n", "")
    )
    debian_roots.run(["dpkg-deb", "--root-owner-group", "-b", tree, directory], "no package")
    return directory / f"{name}_1_all.deb"


def check(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    chroot = chroots.Chroot(directory, checks)
    chroot.tree.must("apt-get -q -y purge 'linux-headers-*'")
    chroot.tree.must(f"{chroots.INSTALL} {chroots.OURS}/ivshmem-dkms_*.deb")
    chroot.offer(empty_package(directory / "empty", *each) for each in PACKAGES.items())
    _recommended(chroot)
    for name, row in ROWS.items():
        chroot.tree.must(row.before)
        chroot.equal(f"headers of {name}", f"{row.within} {HELPER} advice {row.kernel}", row.line)
        chroot.tree.must("rm -f /run/.containerenv")
    chroot.tree.must("apt-get -q update && useradd user")
    chroot.equal(
        "a user needs sudo",
        f"runuser -u user -- {HELPER} advice 6.1.0-57-rt-amd64",
        "sudo apt install linux-headers-rt-amd64",
    )
    _without_kernel(chroot)


def _recommended(chroot: chroots.Chroot) -> None:
    """Beside a kernel in the cloud, apt installs its headers and no others."""
    brings = (
        "apt-get -s install --install-recommends ivshmem-dkms | "
        "sed -n 's/^Inst \\(linux-headers-[a-z]*-*amd64\\) .*/\\1/p'"
    )
    simulated = f"apt-get -q -y purge ivshmem-dkms >/dev/null 2>&1; {brings}"
    chroot.equal("apt's choice for a cloud kernel", simulated, "linux-headers-cloud-amd64")
    chroot.tree.must(
        f"apt-get -q -y purge linux-image-cloud-amd64 && {chroots.INSTALL} linux-image-amd64"
    )
    chroot.equal("apt's choice for another kernel", simulated, "linux-headers-amd64")
    chroot.tree.must(f"{chroots.INSTALL} {chroots.OURS}/ivshmem-dkms_*.deb")


def _without_kernel(chroot: chroots.Chroot) -> None:
    """Where there is no kernel, none is missed."""
    chroot.tree.must("rm -r /lib/modules/*")
    output = chroot.holds("no kernel", f"{HELPER} install")
    chroot.says("no kernel: that is said", output, "because no kernel is installed")
    output = chroot.holds("no kernel, in a container", f"{MARK}; unshare --uts {HELPER} install")
    chroot.says(
        "no kernel, in a container: that is said", output, "install ivshmem-dkms on its host"
    )
