# SPDX-License-Identifier: GPL-2.0-only
"""Other versions beside that of the package, in /usr/src and in DKMS: they stay as they
are, and a kernel that comes gets the package's module all the same. What DKMS has of one
whose sources are gone is removed, as DKMS stops at it."""

import pathlib

import built_packages
import devices
from checked_system import Checks
from chroots import INSTALL, OURS, PEACE, Chroot
from upgrades import KERNEL

RELEASES = ("bookworm", "trixie")
VERSION = built_packages.version()
SOURCES = f"/usr/src/ivshmem-{VERSION}"
REGISTERED = "find /var/lib/dkms/ivshmem -mindepth 1 -maxdepth 1 -type d -printf '%f\\n'"
INSTALL_OURS = f"{INSTALL} {OURS}/ivshmem-dkms_*.deb"
PURGE = "apt-get -q -y purge ivshmem-dkms"


def copy(source: str, number: str) -> str:
    """The command that makes sources another version."""
    target = f"/usr/src/ivshmem-{number}"
    return (
        f"cp -a {source} {target} && "
        f"sed -i 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"{number}\"/' {target}/dkms.conf"
    )


def again(kernel: str) -> str:
    """The command that brings a kernel's headers once more, and so runs the hooks."""
    return f"{INSTALL} --reinstall linux-headers-{kernel}"


def version_for(kernel: str) -> str:
    return f"modinfo -k {kernel} -F version ivshmem"


def copies(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    for release in RELEASES:
        chroot = Chroot(directory / release, checks, release)
        _copies(chroot)
        _later_version(chroot)


def _copies(chroot: Chroot) -> None:
    chroot.tree.must(f"{INSTALL_OURS} && cp -a {SOURCES} {SOURCES}.orig")
    output = chroot.holds("a copy: a kernel can come", f"{INSTALL} {' '.join(KERNEL)}")
    chroot.checks.ok(
        "a copy: nobody misses headers that come as well",
        "headers are missing" not in output,
        output,
    )
    new = chroot.another()
    chroot.equal("a copy: the kernel has the package's module", version_for(new), VERSION)
    chroot.equal("a copy: DKMS has not been told of it", REGISTERED, VERSION)
    chroot.tree.must(
        f"rm -r {SOURCES}.orig; mkdir /usr/src/ivshmem-99; dkms uninstall ivshmem/{VERSION} -k {new}"
    )
    chroot.holds("an empty directory: a kernel can come", again(new))
    chroot.equal("an empty directory: the kernel has the module", version_for(new), VERSION)
    chroot.holds("an empty directory: dpkg is at peace", PEACE)
    chroot.tree.must("rmdir /usr/src/ivshmem-99")


def _later_version(chroot: Chroot) -> None:
    """The administrator has added it to DKMS, by whose rules it takes precedence."""
    new = chroot.another()
    chroot.tree.must(f"{copy(SOURCES, '99')} && dkms add ivshmem/99")
    for when in ("DKMS builds it", "and it stays"):
        chroot.holds(f"a later version: the kernel can come, {when}", again(new))
        chroot.equal(f"a later version: {when}", version_for(new), "99")
    chroot.holds("a later version: apt purge", PURGE)
    chroot.equal("a later version: purge leaves it", version_for(new), "99")
    chroot.equal("a later version: DKMS has it alone", REGISTERED, "99")


def lost(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    for release in RELEASES:
        chroot = Chroot(directory / release, checks, release)
        _lost_before(chroot)
        _lost_after(chroot)
        _lost_ours(chroot)


def _lose(chroot: Chroot) -> None:
    """Have DKMS know an earlier version and install another, and delete their sources."""
    unpacked = f"/tmp/x{SOURCES}"
    chroot.tree.must(
        f"dpkg -x {OURS}/ivshmem-dkms_*.deb /tmp/x && "
        f"{copy(unpacked, '0.0.8')} && {copy(unpacked, '0.0.9')} && "
        f"dkms add ivshmem/0.0.8 && dkms install ivshmem/0.0.9 -k {chroot.kernel} --force && "
        "rm -r /tmp/x /usr/src/ivshmem-0.0.[89]"
    )


def _purge(chroot: Chroot, name: str) -> None:
    chroot.holds(f"{name}: apt purge", PURGE)
    chroot.equal(
        f"{name}: purge leaves nothing", f"find / -xdev -iname '*ivshmem*' | grep -v '^{OURS}/'"
    )


def _lost_before(chroot: Chroot) -> None:
    _lose(chroot)
    chroot.holds("lost before: apt install", INSTALL_OURS)
    chroot.equal("lost before: DKMS has the package's version", REGISTERED, VERSION)
    chroot.equal("lost before: so has the kernel", version_for(chroot.kernel), VERSION)
    chroot.holds("lost before: a kernel can come", f"{INSTALL} {' '.join(KERNEL)}")
    chroot.equal("lost before: it has the module", version_for(chroot.another()), VERSION)
    chroot.holds("lost before: dpkg is at peace", PEACE)


def _lost_after(chroot: Chroot) -> None:
    _lose(chroot)
    _purge(chroot, "lost after")
    chroot.holds("lost after: a kernel can come", again(chroot.another()))


def _lost_ours(chroot: Chroot) -> None:
    """DKMS itself may fail in a kernel's package then, which is not ours to hide."""
    new = chroot.another()
    chroot.tree.must(f"{INSTALL_OURS} && rm -r {SOURCES}")
    _, output = chroot.run(again(new))
    told = "apt install --reinstall ivshmem-dkms"
    chroot.says("ours lost: what to do is said", output, told)
    chroot.holds("ours lost: that works", told.replace("install", "-q -y install", 1))
    chroot.holds("ours lost: dpkg is at peace", PEACE)
    chroot.equal("ours lost: the kernel has the module", version_for(new), VERSION)
    chroot.tree.must(f"rm -r {SOURCES}")
    _purge(chroot, "ours lost")
