# SPDX-License-Identifier: GPL-2.0-only
"""The Debian packages in chroots: what goes wrong there, and must not go far."""

import pathlib
import re
import typing

import build
import built_packages
import debian_roots
import devices
import upgrades
from checked_system import CheckedSystem, Checks
from upgrades import KERNEL

# A package manager that is at peace: nothing half installed or unconfigured.
PEACE = "test -z \"$(dpkg --audit)\" && dpkg -s ivshmem-dkms | grep 'Status: install ok installed'"
INSTALL = "apt-get -q -y install --no-install-recommends"
OURS = "/repository"
GONE = "the archive no longer has them"
# The dkms.conf of somebody else's module.
BROKEN = (
    "PACKAGE_NAME=broken\\nPACKAGE_VERSION=1\\nMAKE=false\\nBUILT_MODULE_NAME=broken\\n"
    "DEST_MODULE_LOCATION=/updates/dkms\\nAUTOINSTALL=yes\\n"
)


class Chroot(CheckedSystem):
    """A tree of the host's usual release with our packages and a repository."""

    def __init__(self, directory: pathlib.Path, checks: Checks, release: str = "bookworm") -> None:
        lower = debian_roots.base(release, KERNEL)
        store = upgrades.fetch(lower, directory / "fetch", release)
        self.tree = debian_roots.Tree(lower, directory / "tree")
        super().__init__(checks, self.tree.run)
        self.tree.must(
            "rm -f /etc/apt/sources.list.d/*; echo 'deb [trusted=yes] "
            "file:/repository ./' > /etc/apt/sources.list"
        )
        self.offer([*store.glob("*.deb"), *deb_files()])
        self.kernel = self.tree.must("ls /lib/modules").strip()

    def offer(self, files: typing.Iterable[pathlib.Path]) -> None:
        """Put packages into the repository."""
        self.tree.copy_in(files, "repository")
        upgrades.index(self.tree.upper / "repository")
        self.tree.must("apt-get -q update")

    def another(self) -> str:
        """The kernel that has come to the first one."""
        return self.tree.must(f"ls /lib/modules | grep -v {self.kernel}").strip()

    def advised(self, name: str, output: str, packages: str) -> None:
        """Check which packages users were told to install for the headers of a kernel,
        and install them."""
        found = re.search(r"its headers are missing: .*apt install ([^,\n]*)", output)
        self.checks.ok(f"{name}: what to do is said", bool(found), output)
        told = found[1] if found else ""
        self.checks.ok(f"{name}: it is apt install {packages}", told == packages, output)
        self.holds(f"{name}: that works", f"{INSTALL} {told}")

    def says(self, name: str, output: str, *wanted: str) -> None:
        """Check that users were told something."""
        text = " ".join(output.split())
        self.checks.ok(name, all(part in text for part in wanted), output)

    def built(self, name: str, kernel: str, wanted: bool = True) -> None:
        """Check that DKMS has installed the module for a kernel."""
        self.holds(
            name,
            f"{'' if wanted else '! '}dkms status -k {kernel} | grep '^ivshmem.*: installed'",
        )

    def build_examples(self, place: str) -> None:
        """Check that the packaged examples can be built with the packaged library, as
        the documents say."""
        self.holds(
            "the examples are built as they are installed",
            f"cd {place} && export PKG_CONFIG_PATH=$(dirname $(find /usr -name libivshmem.pc)) && "
            "flags=$(pkg-config --cflags --libs libivshmem) && set -e -x && "
            "for c in *.c; do cc -Wall -Werror -o /tmp/example $c $flags; done && "
            "for c in *.cpp; do c++ -std=c++20 -Wall -Werror -o /tmp/example $c $flags; done",
        )

    def use_library(self) -> None:
        """Check that programs in C and Python talk by what is installed, wherever that is."""
        self.tree.copy_in([build.TOP / "debian/tests/library"], "source/debian/tests")
        self.holds(
            "programs in C and Python talk to each other",
            "export PKG_CONFIG_PATH=$(dirname $(find /usr -name libivshmem.pc)) "
            "LD_LIBRARY_PATH=$(dirname $(find /usr -name libivshmem.so.0)) "
            "PYTHONPATH=/usr/lib/python3/site-packages AUTOPKGTEST_TMP=$(mktemp -d) && "
            "sh /source/debian/tests/library",
        )


def deb_files() -> typing.Iterator[pathlib.Path]:
    return built_packages.directory("deb", built_packages.version()).glob("*.deb")


def headers(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """Without headers all goes well, and one line says what to do; headers that come
    later bring the module. Those of the first kernel have left the archive."""
    chroot = Chroot(directory, checks)
    chroot.tree.must("apt-get -q -y purge 'linux-headers-*'")
    output = chroot.holds(
        "no headers: apt install succeeds", f"{INSTALL} {OURS}/ivshmem-dkms_*.deb"
    )
    chroot.says("no headers: that they are not to be had", output, GONE, "then reboot")
    chroot.holds("no headers: dpkg is at peace", PEACE)
    output = chroot.holds("another kernel comes without headers", f"{INSTALL} {KERNEL[0]}")
    new = chroot.another()
    chroot.built("it has no module yet", new, wanted=False)
    chroot.advised("it comes without headers", output, KERNEL[1])
    chroot.built("DKMS builds for it by itself", new)
    chroot.holds("dpkg is at peace", PEACE)


def gone(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """What is said for a kernel that left the archive brings the next with its module."""
    chroot = Chroot(directory, checks)
    chroot.tree.must("apt-get -q -y purge 'linux-headers-*'")
    output = chroot.tree.must(f"{INSTALL} {OURS}/ivshmem-dkms_*.deb")
    chroot.advised("a kernel that left the archive", output, " ".join(KERNEL))
    chroot.built("the next kernel has the module", chroot.another())
    chroot.holds("dpkg is at peace", PEACE)


def failing_build(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """A compiler that does not work costs the module, and nothing else."""
    for release in ("bookworm", "trixie"):
        _failing_build(Chroot(directory / release, checks, release))


def _failing_build(chroot: Chroot) -> None:
    chroot.tree.must(
        "for gcc in /usr/bin/*-gnu-gcc-[0-9]*; do "
        "dpkg-divert --quiet --local --rename $gcc; "
        "printf '#!/bin/sh\\nexit 1\\n' > $gcc; chmod +x $gcc; done"
    )
    output = chroot.holds(
        "a failing build: apt install succeeds", f"{INSTALL} {OURS}/ivshmem-dkms_*.deb"
    )
    log = f"/var/lib/dkms/ivshmem/{built_packages.version()}/build/make.log"
    chroot.says("a failing build: where its log is", output, log, chroot.kernel)
    chroot.holds("a failing build: the log is there", f"test -s {log}")
    chroot.holds("a failing build: dpkg is at peace", PEACE)
    output = chroot.holds(
        "a failing build: another kernel can come", f"{INSTALL} {' '.join(KERNEL)}"
    )
    new = chroot.another()
    chroot.says("a failing build: and where its log is", output, log, new)
    chroot.holds("a failing build: dpkg is at peace again", PEACE)
    chroot.tree.must(
        "for gcc in /usr/bin/*-gnu-gcc-[0-9]*.distrib; do rm ${gcc%.distrib}; "
        "dpkg-divert --quiet --local --rename --remove ${gcc%.distrib}; done"
    )
    chroot.holds(
        "repaired: the command that was said builds it",
        f"dkms install ivshmem/{built_packages.version()} -k {chroot.kernel}",
    )
    chroot.built("repaired: the module is there", chroot.kernel)
    chroot.tree.must(
        f"mkdir /usr/src/broken-1 && printf '{BROKEN}' > /usr/src/broken-1/dkms.conf"
        " && dkms add broken/1"
    )
    chroot.holds(
        "another module that fails: DKMS's hook does",
        f"! {INSTALL} --reinstall linux-headers-{new}",
    )
    chroot.built("another module that fails: ours is there", new)
    chroot.tree.must("dkms remove broken/1 --all && dpkg --configure -a")
    chroot.tree.must("printf '#!/bin/sh\\nexit 1\\n' > /usr/sbin/dkms")
    chroot.holds("DKMS itself broken: apt purge succeeds", "apt-get -q -y purge ivshmem-dkms")


def by_hand(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """What docs/packaging.md says about an installation without packages."""
    chroot = Chroot(directory, checks)
    module = f"ivshmem/{built_packages.version()}"
    make = ["make", "-s", "-C", str(build.TOP), f"DESTDIR={chroot.tree.upper}"]
    debian_roots.run([*make, "install-dkms"], "make install-dkms")
    chroot.holds("dkms install finds the sources", f"dkms install {module} -k {chroot.kernel}")
    chroot.built("DKMS has built the module", chroot.kernel)
    chroot.equal(
        "the sources are all that it has",
        f"cd /var/lib/dkms/{module}/source/ && ls -A",
        "dkms.conf",
        "src",
    )
    chroot.holds("dkms remove", f"dkms remove {module} --all")
    debian_roots.run([*make, "uninstall-dkms"], "make uninstall-dkms")
    chroot.equal(
        "nothing is left", f"find / -xdev -iname '*ivshmem*' ! -path '{OURS}/*' ! -path '/proc/*'"
    )


def signing(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """DKMS signs the module with the key that the firmware may know."""
    chroot = Chroot(directory, checks)
    chroot.tree.must(f"{INSTALL} {OURS}/ivshmem-dkms_*.deb")
    key = "openssl x509 -inform DER -in /var/lib/dkms/mok.pub -noout -subject"
    signer = chroot.holds(
        "the module is signed", f"modinfo -k {chroot.kernel} -F signer ivshmem | grep ."
    ).strip()
    chroot.says("with the key of DKMS", chroot.holds("which has a certificate", key), signer)


def autopkgtests(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """What debian/tests has, and what Debian runs for each DKMS package."""
    chroot = Chroot(directory, checks)
    chroot.tree.copy_in([build.TOP / "README.md"], "source")
    chroot.tree.copy_in([build.TOP / "debian/control"], "source/debian")
    chroot.holds(
        "the packages go in", f"{INSTALL} {OURS}/*ivshmem*.deb {' '.join(upgrades.LIBRARIES)}"
    )
    chroot.build_examples("/usr/share/doc/libivshmem-dev/examples")
    chroot.use_library()
    chroot.holds(
        "autopkgtest-pkg-dkms", "cd /tmp && sh /usr/lib/dkms/dkms-autopkgtest ivshmem-dkms"
    )


# What a package manager and DKMS keep of any package; and the group, whose numbers could be
# in use.
KEPT = (
    "/etc/group",
    "/etc/gshadow",
    "/tmp/",
    "/var/cache/",
    "/var/lib/apt/",
    "/var/lib/dpkg/",
    "/var/lib/dkms/mok.",
    "/var/log/",
)
# Type, rights and owner of everything, and what is in it.
SNAPSHOT = (
    "find / -xdev -printf '%p %M %u:%g %l\\n'; "
    "find / -xdev -type f -print0 | xargs -0 sha256sum | sed 's/\\([^ ]*\\)  \\(.*\\)/\\2 \\1/'"
)


def leftovers(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """Installed and purged, the packages leave a system as it was."""
    for release in ("bookworm", "trixie"):
        chroot = Chroot(directory / release, checks, release)
        chroot.tree.must(f"{INSTALL} {' '.join(upgrades.LIBRARIES)}")
        before = _snapshot(chroot)
        chroot.holds(f"{release}: all packages", f"{INSTALL} {OURS}/*ivshmem*.deb")
        names = "$(dpkg-query -W -f '${Package}\\n' '*ivshmem*')"
        chroot.holds(f"{release}: all are purged", f"apt-get -q -y purge {names}")
        changes = sorted(_snapshot(chroot) ^ before)
        checks.ok(f"{release}: nothing has changed", not changes, "\n".join(changes))


def _snapshot(chroot: Chroot) -> set[str]:
    lines = chroot.tree.must(SNAPSHOT).splitlines()
    return {line for line in lines if not line.startswith(KEPT)}
