# SPDX-License-Identifier: GPL-2.0-only
"""A Debian machine's life with the driver, as its owner sees it: installed
while the machine runs, kernel upgraded, rebooted, upgraded, purged."""

import pathlib
import shutil

import archive
import built_packages
import debian_roots
import kernels
import upgrades
from devices import Devices
from machine import Machine
from checked_system import CheckedSystem, Checks, Test

OPTION = "/etc/modprobe.d/local.conf"
GROUP_AND_MODE = "root:ivshmem 660"
BY_PATH = "/dev/ivshmem/by-path/pci-0000:00:10.0"
SERVER = "/run/ivshmem-server/front/socket"
VARIABLES = "SIZE=1M\\nVECTORS=4\\nOPTIONS=--verbose --reuse-ids\\n"
# What the owner of the machine wrote, and what the test brought.
OTHERS = f"grep -v -e ^{OPTION}$ -e ^/media -e ^/proc -e ^/sys"


def packages_disk(directory: pathlib.Path, repository: pathlib.Path | None = None) -> pathlib.Path:
    """A disk with our packages in two versions, and a repository."""
    tree = directory / "media"
    if repository:
        shutil.copytree(repository, tree / "repository")
    for number in (built_packages.version(), built_packages.next_version()):
        shutil.copytree(built_packages.directory("deb", number), tree / number)
    debian_roots.media(directory / "media.disk", tree)
    shutil.rmtree(tree)
    return directory / "media.disk"


class Life(CheckedSystem):
    """The steps, each of which checks what it did."""

    def __init__(self, machine: Machine, checks: Checks, version: str) -> None:
        super().__init__(checks, machine.run)
        self.machine = machine
        self.version = version

    def settings(self) -> None:
        """What the owner wants: an option, and two users."""
        self.machine.must(
            f"mkdir -p /etc/modprobe.d; echo 'options ivshmem cache=wc' > {OPTION};"
            "useradd member && useradd stranger && "
            "rm -f /etc/apt/sources.list.d/* && "
            "echo 'deb [trusted=yes] file:/media/repository ./' "
            "> /etc/apt/sources.list && apt-get -q update"
        )

    def install(self, number: str) -> str:
        """apt install ./*.deb, all but the development package."""
        self.version = number
        return self.holds(
            f"apt install of {number}",
            f"cd /media/{number} && apt-get -q -y install --no-install-recommends "
            "./ivshmem-dkms_*.deb ./ivshmemctl_*.deb ./libivshmem0_*.deb",
        )

    def present(self, when: str) -> None:
        """The node is there as it should be."""
        self.machine.run("udevadm settle")
        for index in (0, 1):
            self.equal(
                f"{when}: group and mode of /dev/ivshmem{index}",
                f"stat -c '%U:%G %a' /dev/ivshmem{index}",
                GROUP_AND_MODE,
            )
        self.equal(f"{when}: link by path", f"readlink -f {BY_PATH}", "/dev/ivshmem0")
        self.equal(
            f"{when}: link by name", "readlink -f /dev/ivshmem/by-name/front", "/dev/ivshmem0"
        )
        self.equal(
            f"{when}: the option is in effect", "cat /sys/class/ivshmem/ivshmem0/cache", "wc"
        )

    def built(self, when: str, count: int) -> None:
        """Every kernel has this version's module and no other, in DKMS's tree
        and where modules are loaded from."""
        self.equal(
            f"{when}: DKMS has it for {count} kernels",
            "dkms status 2>/dev/null | " "sed -n 's/^ivshmem.\\([^,]*\\),.*: installed.*/\\1/p'",
            *[self.version] * count,
        )
        self.equal(
            f"{when}: one module for each kernel, of this version",
            "for k in /lib/modules/*; do modinfo -k ${k##*/} -F version ivshmem; done; "
            "find /lib/modules/ -name 'ivshmem.ko*' | wc -l",
            *[self.version] * count,
            str(count),
        )
        self.equal(
            f"{when}: DKMS keeps no other version",
            "find /var/lib/dkms/ivshmem -maxdepth 1 -name '[0-9]*' -printf '%f\\n'",
            self.version,
        )

    def kernel_from_outside(self) -> None:
        """One that a hypervisor booted: the machine has nothing of it."""
        output = self.holds(
            "a kernel from outside: install",
            "mv /lib/modules/$(uname -r) /tmp/kernel; /usr/libexec/ivshmem-dkms install; "
            "mv /tmp/kernel /lib/modules/$(uname -r)",
        )
        self.checks.ok(
            "a kernel from outside: its headers are missed",
            f"no module built for kernel {self.machine.must('uname -r').strip()}" in output,
            output,
        )

    def usable(self) -> None:
        """By members of the group, and by them only."""
        self.holds(
            "list sees the devices",
            "ivshmemctl list | grep ivshmem0 && " "ivshmemctl list | grep ivshmem1",
        )
        self.machine.must("usermod -aG ivshmem member")
        self.holds(
            "a member of the group writes and reads",
            "runuser -u member -- ivshmemctl write -d ivshmem0 0 hello && "
            "runuser -u member -- ivshmemctl read -d ivshmem0 --raw 0 5 | grep hello",
        )
        self.holds(
            "another user is refused, and told about the group",
            "! runuser -u stranger -- ivshmemctl read -d ivshmem0 0 5 2>/tmp/told && "
            "grep 'group ivshmem' /tmp/told",
        )
        self.holds("doctor finds nothing wrong", "ivshmemctl doctor")
        self.finds(
            "doctor tells the other user the command",
            "runuser -u stranger -- ivshmemctl doctor",
            "sudo usermod -aG ivshmem",
        )

    def finds(self, name: str, doctor: str, text: str) -> None:
        """The doctor finds something wrong, and says a text."""
        self.holds(name, f"! {doctor} >/tmp/told && cat /tmp/told && grep '{text}' /tmp/told")

    def server(self) -> None:
        """The service, under a real systemd."""
        self.machine.must("echo SIZE=3M > /etc/ivshmem-server/front.conf")
        self.holds(
            "an unsuitable value keeps the server from starting, and status shows it",
            "! systemctl start ivshmem-server@front && systemctl stop ivshmem-server@front.socket "
            "&& systemctl status ivshmem-server@front | grep 'size 3M is not a power of two'",
        )
        self.machine.must(f"printf '{VARIABLES}' > /etc/ivshmem-server/front.conf")
        self.holds("the socket listens", "systemctl start ivshmem-server@front.socket")
        self.holds(
            "a member of the group joins, which starts the service",
            f"runuser -u member -- ivshmemctl info -d {SERVER} && "
            "systemctl is-active ivshmem-server@front || "
            "{ journalctl -n 30 -u ivshmem-server@front; false; }",
        )
        self.holds(
            "the variables are in effect",
            "journalctl -u ivshmem-server@front | grep 'event=listen.* size=1048576 vectors=4 '",
        )
        self.holds(
            "another user does not", f"! runuser -u stranger -- ivshmemctl info -d {SERVER}"
        )
        self.holds(
            "a killed server is started again, with the same memory",
            f"runuser -u member -- ivshmemctl write -d {SERVER} 0 kept && "
            "systemctl kill --kill-who=main --signal=KILL ivshmem-server@front && "
            "timeout 60 sh -c 'until runuser -u member -- "
            f"ivshmemctl read -d {SERVER} --raw 0 4 | grep kept; do sleep 1; done' && "
            "journalctl -u ivshmem-server@front | grep event=restore && "
            "systemctl status ivshmem-server@front | grep ' descriptors of '",
        )
        self.holds(
            "systemd-analyze finds it well confined",
            "systemd-analyze security --no-pager --threshold=20 ivshmem-server@front",
        )

    def variables_kept(self) -> None:
        self.holds(
            "upgraded: the variables of the server are as its owner wrote them",
            f"printf '{VARIABLES}' | diff /etc/ivshmem-server/front.conf -",
        )

    def upgrade_kernel(self, count: int) -> None:
        """Through apt; DKMS has to notice by itself."""
        self.machine.must("echo ivshmem >> /etc/initramfs-tools/modules && update-initramfs -u")
        self.holds("apt full-upgrade brings a kernel", "apt-get -q -y full-upgrade")
        self.built("kernel upgraded", count)

    def reboot(self) -> None:
        """Into whatever kernel is the default now."""
        _, before = self.machine.run("uname -r")
        self.complaints()
        self.machine.down()
        self.machine.boot()
        _, after = self.machine.run("uname -r")
        self.checks.ok(f"the new kernel runs: {after}", before != after)

    def complaints(self) -> None:
        found = self.machine.complaints()
        self.checks.ok("the kernel did not complain", not found, "\n".join(found))

    def initramfs(self, when: str) -> None:
        """Every initramfs that has the module has this version of it."""
        self.equal(
            f"{when}: what is in the initramfs",
            "rm -rf /tmp/i; for image in /boot/initrd.img-*; do mkdir -p /tmp/i; "
            "unmkinitramfs $image /tmp/i; find /tmp/i -name 'ivshmem.ko*' "
            "-exec modinfo -F version {} +; rm -rf /tmp/i; done | sort -u",
            self.version,
        )

    def upgrade_idle(self) -> None:
        """Nobody uses the module: the new one takes over at once."""
        self.install(built_packages.next_version())
        self.equal(
            "upgraded: the new module runs", "cat /sys/module/ivshmem/version", self.version
        )

    def upgrade_used(self) -> None:
        """A program holds the device: all modules stay, and apt says what to do."""
        old = self.version
        self.machine.must("modprobe ivshmem_rings")
        self.machine.must("setsid sleep 9999 </dev/ivshmem0 >/dev/null 2>&1 & echo $! >/tmp/pid")
        output = self.install(built_packages.next_version())
        self.checks.ok(
            "upgraded: the user is told that the old module stays",
            "the old one stays loaded until the next boot" in output,
            output,
        )
        self.equal("upgraded: it does", "cat /sys/module/ivshmem/version", old)
        self.holds("upgraded: so does what nobody uses", "[ -d /sys/module/ivshmem_rings ]")
        self.finds("upgraded: doctor says so", "ivshmemctl doctor", f"version {old} is loaded")
        self.holds(
            "upgraded: what was said helps",
            "kill $(cat /tmp/pid); sleep 1; modprobe -r ivshmem_rings ivshmem && "
            "modprobe ivshmem",
        )
        self.equal(
            "upgraded: the new module runs", "cat /sys/module/ivshmem/version", self.version
        )

    def purge(self) -> None:
        """Nothing of ours is left; the group is."""
        self.holds("apt purge", "apt-get -q -y purge ivshmem-dkms ivshmemctl libivshmem0")
        self.gone()
        self.equal("purged: the group stays", "getent group ivshmem | cut -d: -f1", "ivshmem")

    def gone(self) -> None:
        self.equal(
            "purged: no file is left",
            f"find / -xdev -iname '*ivshmem*' | {OTHERS}; ls -d /dev/ivshmem* /run/ivshmem* "
            "2>/dev/null",
        )
        self.equal("purged: no module is loaded", "lsmod | grep ivshmem")
        self.equal("purged: DKMS knows nothing", "dkms status 2>/dev/null | grep ivshmem")
        self.equal(
            "purged: no unit is left",
            "systemctl list-units --all --no-legend '*ivshmem*'; "
            "systemctl list-unit-files --no-legend '*ivshmem*'",
        )
        self.equal(
            "purged: no initramfs has anything of it",
            "for image in /boot/initrd.img-*; do lsinitramfs $image; done | " "grep ivshmem",
        )


def boots(release: str) -> Test:
    """A test: installed in a chroot, the driver is there at the first boot of a
    release's own kernel."""

    def test(directory: pathlib.Path, checks: Checks, devices: Devices) -> None:
        source = archive.Archive(release, "amd64")
        own = min(kernels.offers(source), key=kernels.age)  # newer ones are backports
        kernel = kernels.newest(source, own)["cloud-amd64"]
        tree = debian_roots.Tree(
            debian_roots.base(release, [f"linux-image-{kernel}", f"linux-headers-{kernel}"]),
            directory / "tree",
        )
        tree.copy_in(
            built_packages.directory("deb", built_packages.version()).glob("ivshmem-dkms_*.deb"),
            "packages",
        )
        status, output = tree.run(
            f"echo 'options ivshmem cache=wc' > {OPTION}; " "apt-get -q -y install /packages/*.deb"
        )
        checks.ok(f"apt install in a chroot, for {kernel}", status == 0, output)
        tree.disk(directory / "disk")
        machine = Machine(directory, directory / "disk", None, devices)
        try:
            machine.boot()
            owner = Life(machine, checks, built_packages.version())
            owner.equal("the kernel", "uname -r", kernel)
            owner.built("booted", 1)
            owner.present("booted")
            owner.complaints()
        finally:
            machine.kill()

    return test


def life(release: str, used: bool) -> Test:
    """A test: used says whether a program holds the device during the upgrade."""

    def test(directory: pathlib.Path, checks: Checks, devices: Devices) -> None:
        tree = debian_roots.Tree(debian_roots.base(release, upgrades.KERNEL), directory / "tree")
        store = upgrades.fetch(tree.lower, directory / "fetch", release)
        disk = directory / "disk"
        tree.disk(disk)
        machine = Machine(directory, disk, packages_disk(directory, store), devices)
        try:
            machine.boot()
            _steps(Life(machine, checks, built_packages.version()), used)
        finally:
            machine.kill()

    return test


def _steps(owner: Life, used: bool) -> None:
    owner.settings()
    owner.install(built_packages.version())
    owner.built("installed", 1)
    owner.present("installed")
    owner.kernel_from_outside()
    owner.usable()
    owner.server()
    owner.upgrade_kernel(2)
    owner.reboot()
    owner.present("rebooted")
    if used:
        owner.upgrade_used()
    else:
        owner.upgrade_idle()
    owner.variables_kept()
    owner.built("upgraded", 2)
    owner.initramfs("upgraded")
    owner.present("upgraded")
    owner.purge()
    owner.complaints()
