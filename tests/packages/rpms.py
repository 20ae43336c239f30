# SPDX-License-Identifier: GPL-2.0-only
"""The RPM packages, installed by dnf into a root that has the real DKMS.

There is no Fedora here: the root is Debian's, and empty packages stand for what it has
of Fedora's names, and for those of QEMU.
"""

import pathlib
import shlex
import shutil

import built_packages
import chroots
import debian_roots
import devices
import upgrades
from checked_system import Checks

DEVELOPMENT = ["libivshmem-devel", "libivshmem-static"]
NAMES = ["ivshmem-dkms", "ivshmemctl", "libivshmem", "python3-ivshmem", *DEVELOPMENT]
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
# QEMU's programs, as a package of Fedora's and of openSUSE's.
QEMU_TOOLS = ("ivshmem-tools", "qemu-ivshmem-tools")
QEMU = """Name: {name}
Epoch: 2
Version: 10.1.0
Release: 1
Summary: Client and server for QEMU's ivshmem device
License: GPL-2.0-only
BuildArch: noarch
%description
Nothing.
%install
mkdir -p %{{buildroot}}/usr/bin
echo QEMU > %{{buildroot}}/usr/bin/ivshmem-client
echo QEMU > %{{buildroot}}/usr/bin/ivshmem-server
%files
/usr/bin/ivshmem-*
"""
# The headers of a kernel, and a dnf inside the root, which notes what it is asked.
DEVEL = """Name: kernel-devel
Version: 6.11.4
Release: 301.fc99
Summary: Headers of a kernel
License: GPL-2.0-only
Provides: kernel-devel-uname-r = 6.11.4-301.fc99.x86_64
%description
Nothing.
%files
"""
ASKED_DNF = """#!/bin/sh
printf '%s\n' "$@" > /tmp/asked
cat /tmp/answer
"""
# Of this machine; dnf makes an empty directory of that name in the tree, too.
CACHE = "/var/cache/dnf"
# The kernel that comes later is noticed by what kernel-install(8) runs.
PLUGIN = "/etc/kernel/install.d/dkms"


def ours(number: str, release: int = 1) -> list[pathlib.Path]:
    """Our packages, which are built if need be."""
    dist = built_packages.make("rpm", number, release)
    return [path for path in sorted(dist.glob("*.rpm")) if not path.name.endswith(".src.rpm")]


def make_package(spec: str, directory: pathlib.Path) -> None:
    """Build a package of a spec, into a directory."""
    path = directory / "made-up.spec"
    path.write_text(spec)
    build = directory / "build"
    command = ["rpmbuild", "--quiet", "-bb", "--define", f"_topdir {build}"]
    debian_roots.run([*command, "--define", f"_rpmdir {directory}", path], "no such package")
    shutil.rmtree(build)


def repository(directory: pathlib.Path, packages: list[pathlib.Path]) -> pathlib.Path:
    """A repository of packages, and of the stand-in for what they require."""
    directory.mkdir()
    for path in packages:
        shutil.copy(path, directory)
    required = {"kernel-core", "kernel-devel-matched"}
    text = debian_roots.run(["rpm", "-qp", "--requires", *packages], "rpm")
    required.update(
        line for line in text.splitlines() if not line.startswith(("rpmlib(", "(", "libivshmem"))
    )
    make_package("".join(f"Provides: {name}\n" for name in sorted(required)) + STAND_IN, directory)
    make_package(DEVEL, directory)
    debian_roots.run(["createrepo_c", "-q", directory], "no repository")
    return directory


class Dnf(chroots.Chroot):
    """A tree in which dnf installs from an unsigned repository, and from those that
    files in the directory repositories describe."""

    def __init__(
        self, directory: pathlib.Path, checks: Checks, packages: list[pathlib.Path]
    ) -> None:
        super().__init__(directory, checks)
        self.unsigned = repository(directory / "unsigned", packages)
        self.repositories = directory / "repositories"
        self.repositories.mkdir()
        self.cache = directory / "cache"
        self.kernels = self.tree.must("ls /lib/modules").split()

    def dnf(self, *arguments: str) -> tuple[int, str]:
        """Run dnf on the tree: (exit status, output)."""
        command = [
            "dnf",
            "-q",
            "-y",
            f"--installroot={self.tree.merged}",
            "--releasever=1",
            f"--repofrompath=unsigned,file://{self.unsigned}",
            "--setopt=unsigned.gpgcheck=0",
            f"--setopt=reposdir={self.repositories}",
            f"--setopt=cachedir={CACHE}",
            "--setopt=install_weak_deps=False",
            *map(shlex.quote, arguments),
        ]
        return self.tree.around(
            *self.tree.binds,
            f"mkdir -p {self.cache} {CACHE}",
            f"mount --bind {self.cache} {CACHE}",
            " ".join(map(str, command)),
        )

    def step(self, name: str, *arguments: str) -> str:
        """Run dnf, which has to succeed; what it printed."""
        status, output = self.dnf(*arguments)
        # dnf only reports that a scriptlet failed.
        self.checks.ok(name, status == 0 and "scriptlet" not in output, output)
        return output

    def refused(self, name: str, *arguments: str) -> str:
        """Run dnf, which must fail; what it printed."""
        status, output = self.dnf(*arguments)
        self.checks.ok(name, status != 0, output)
        return output

    def installed(self, name: str, *packages: str) -> None:
        """Check which of our and QEMU's packages the tree has."""
        _, output = self.tree.around(
            f"rpm --root={self.tree.merged} -qa --qf '%{{name}}-%{{version}}\\n' '*ivshmem*'"
        )
        found = sorted(output.split())
        self.checks.ok(name, found == sorted(packages), f"found {found}, wanted {packages}")

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


def headers(dnf: Dnf) -> None:
    """Dnf understands what it is asked for a kernel's headers, and can install what is
    advised then."""

    def advice(kernel: str, answer: str, then: str = "true") -> str:
        (dnf.tree.upper / "tmp/answer").write_text(answer)
        (dnf.tree.upper / "usr/bin/dnf").write_text(ASKED_DNF + then)
        return dnf.tree.must(
            f"chmod +x /usr/bin/dnf; /usr/libexec/ivshmem-dkms advice {kernel}"
        ).strip()

    kernel = "6.11.4-301.fc99.x86_64"
    advice(kernel, "")
    status, answer = dnf.dnf(*dnf.tree.must("cat /tmp/asked").splitlines())
    dnf.checks.ok("dnf knows the headers of a kernel", status == 0 and kernel in answer, answer)
    for name, words, wanted in (
        ("headers", (kernel, answer), f"dnf install kernel-devel-{kernel}"),
        ("dnf cannot tell", (kernel, "", "exit 1"), f"dnf install kernel-devel-{kernel}"),
        (
            "they are gone",
            (kernel, ""),
            f"{chroots.GONE}: dnf install kernel kernel-devel, then reboot",
        ),
    ):
        told = advice(*words)
        dnf.checks.ok(f"advice: {name}", told == wanted, told)
    dnf.step("dnf installs the headers", "install", f"kernel-devel-{kernel}")
    dnf.tree.must("rm /usr/bin/dnf")


def life(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """Install, another kernel, upgrade, reinstall, downgrade, erase."""
    old, new = built_packages.version(), built_packages.next_version()
    dnf = Dnf(directory, checks, [*ours(old), *ours(old, 2), *ours(new)])
    dnf.step("dnf install", "install", "stand-in", *(f"{name}-{old}-1" for name in NAMES))
    dnf.all_built("installed", old)
    dnf.tree.must(f"{chroots.INSTALL} {' '.join(upgrades.LIBRARIES)}")
    dnf.build_examples("/usr/share/doc/libivshmem-devel/examples")
    dnf.use_library()
    another_kernel(dnf)
    dnf.all_built("another kernel", old)
    headers(dnf)
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


def with_qemu(directory: pathlib.Path, checks: Checks, _devices: devices.Devices) -> None:
    """The distribution has QEMU's server in a package that is newer by its epoch: it
    does not take our place, and does not mix with us."""
    made_up = directory / "qemu"
    made_up.mkdir()
    for name in QEMU_TOOLS:
        make_package(QEMU.format(name=name), made_up)
    version = built_packages.version()
    mine = f"ivshmemctl-{version}"
    dnf = Dnf(directory, checks, [*ours(version), *made_up.glob("*/*.rpm")])
    dnf.step("ours", "install", "stand-in", "ivshmemctl")
    dnf.step("everything is upgraded", "upgrade")
    dnf.installed("ours stays", mine)
    for name in QEMU_TOOLS:
        output = dnf.refused(f"{name} does not come beside it", "install", name)
        dnf.says("dnf says why", output, "conflicts", "ivshmemctl")
        dnf.installed("ours is still there", mine)
        dnf.step(f"{name} can take its place", "install", "--allowerasing", name)
        dnf.installed("it has", f"{name}-10.1.0")
        output = dnf.refused("ours does not come beside it", "install", "ivshmemctl")
        dnf.says("dnf says why", output, "conflicts", name)
        dnf.step("ours can take its place", "install", "--allowerasing", "ivshmemctl")
        dnf.installed("it has", mine)
