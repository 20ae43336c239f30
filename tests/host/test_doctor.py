# SPDX-License-Identifier: GPL-2.0-only
"""What ivshmemctl doctor says of each thing that can be wrong: what happened to a machine
where all was well, and the problems that it finds, each by its name and with its whole text.
The exit code is 1 if there are any. It looks at machines made of files (common/machine.py)."""

import lzma
import os
import pathlib
import re
import tempfile
import typing

import ctl
import pytest
from machine import DEVICE, EFIVARS, KERNEL, KEY, LOG, MODULE, PCI, SERVER, Change, Machine, Row
from machine import module, signed
from networks import NETWORK, VSOCK

ABSENT = {
    "device-absent": "no ivshmem device in this machine, and no server that you can use: add a "
    "device to the hypervisor, for QEMU with -object memory-backend-file,id=shm,share=on,"
    "mem-path=/dev/shm/shm,size=64M -device ivshmem-plain,memdev=shm; or, on a host, start "
    "ivshmem-server"
}
NOT_LOADED = {"not-loaded": "the driver is installed but not loaded: sudo modprobe ivshmem"}
INSTALL = f"sudo dkms install ivshmem/0.2.0 -k {KERNEL}"
TRIGGER = "sudo udevadm trigger --subsystem-match=ivshmem"
NODE = f"sudo mknod /dev/ivshmem0 c 0 0; {TRIGGER}"
PROBE = (
    f"echo {PCI} | sudo tee /sys/bus/pci/drivers_probe; echo | sudo tee /{DEVICE}/driver_override"
)
OVERRIDE = f"sudo modprobe ivshmem, then: echo ivshmem | sudo tee /{DEVICE}/driver_override; "
FIND = (
    "find it with: grep -rw ivshmem /etc/modprobe.d /run/modprobe.d /usr/local/lib/modprobe.d "
    "/usr/lib/modprobe.d /lib/modprobe.d; remove it, then: sudo modprobe ivshmem"
)
COMMAND_LINE = {
    "blacklisted": "module_blacklist= or modprobe.blacklist= on the kernel command line prevents "
    "the module from being loaded: boot without it"
}
STOP = "stop the programs that use it, then: sudo modprobe -r"
OLD = f"{STOP} ivshmem && sudo modprobe -a ivshmem"
UNSIGNED = f"sudo dkms remove ivshmem/0.2.0 -k {KERNEL}; {INSTALL}; then run this again"
UNKNOWN_KEY = "the firmware does not know the key of the module's signature, so the kernel"
QMP = b'{"QMP": {"version": {}, "capabilities": []}}\r\n'
LOCKDOWN = "sys/kernel/security/lockdown"
OTHER = "lib/modules/4.2-other/extra/ivshmem.ko"
SECURE_BOOT = f"{EFIVARS}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
GROUP = "sudo usermod -aG ivshmem $USER, then log in again"
OTHER_LINES = (
    "#blacklist ivshmem\nblacklist ivshmem_net\noptions ivshmem cache=wc\n"
    "install ivshmem /sbin/modprobe --ignore-install ivshmem\n"
)


NOT_BUILT = {"not-built": f"the module is not built for any kernel: {INSTALL}"}
FAILED_BUILD = {
    "build-failed": f"the build of the module for kernel {KERNEL} failed: see {{root}}/{LOG}; "
    f"try again: {INSTALL}"
}
NO_HEADERS = f"no headers for kernel {KERNEL}, so DKMS built no module: "
WRONG_KERNEL = {
    "wrong-kernel": "the module is built for 4.2-other, but not for the running kernel "
    f"{KERNEL}: {INSTALL}"
}
TOO_OLD = {
    "kernel-too-old": f"kernel {KERNEL} is too old for the driver: boot kernel 99.10 or later"
}


def unbuilt(machine: Machine) -> Machine:
    return machine.unload().remove(MODULE)


def no_headers(machine: Machine) -> Machine:
    return unbuilt(machine).remove(f"lib/modules/{KERNEL}/build")


def uninstalled(machine: Machine) -> Machine:
    return unbuilt(machine).remove("usr")


def unsigned(machine: Machine) -> Machine:
    return machine.unload().enforce("MokListRT")


def locked(machine: Machine, *variables: str) -> Machine:
    """The module is signed, by a key that these variables have."""
    return machine.unload().install(MODULE, signed(module())).enforce(*variables)


def configured(name: str, text: str) -> Change:
    return lambda machine: machine.unload().write(name, text)


def blacklisted(line: str) -> dict[str, str]:
    return {
        "blacklisted": f'the line "{line}" in modprobe.d prevents the module from being loaded: '
        + FIND
    }


def compressed(content: bytes) -> Change:
    return lambda machine: machine.remove(MODULE).install(MODULE + ".xz", content)


def not_signed(why: str, advice: str = f"to sign it, {UNSIGNED}") -> dict[str, str]:
    return {
        "unsigned": "the module is not signed, but the kernel requires a signature "
        f"({why}): {advice}"
    }


def obstructed(put: typing.Callable[[pathlib.Path], object]) -> Change:
    """Something else is where the node must be."""

    def obstruct(machine: Machine) -> Machine:
        machine.remove("dev/ivshmem0")
        put(machine.root / "dev/ivshmem0")
        return machine

    return obstruct


HOST = [
    Row("no device", lambda m: m.unload().remove(DEVICE), ABSENT),
    Row("nothing at all", lambda m: m.host().remove("sys"), ABSENT),
    Row("a server", lambda m: m.host().serve(), {}, [SERVER]),
    Row("a server and a device", lambda m: m.serve(), {}, [SERVER, "/dev/ivshmem0"]),
    Row(
        "a server for others",
        lambda m: m.host().serve(),
        {"not-in-group": f"no permission to use {SERVER}: {GROUP}"},
        user="you",
    ),
    Row("a server of one user", lambda m: m.host().serve("0600"), ABSENT, user="you"),
    Row(
        "sockets of other programs",
        lambda m: m.host()
        .listen("/run/ivshmem-monitor", "/run/ivshmem.control", answer=QMP)
        .listen(SERVER, f"{SERVER}.control", answer=QMP)
        .show_sockets("@/tmp/ivshmem", "@/tmp/ivshmem.control", ""),
        ABSENT,
    ),
    Row(
        "the socket of a dead server",
        lambda m: m.host().leave(SERVER, f"{SERVER}.control"),
        ABSENT,
    ),
    Row(
        "a server of another mount namespace",
        lambda m: m.host().show_sockets(SERVER, f"{SERVER}.control"),
        ABSENT,
    ),
    Row(
        "sockets that do not listen",
        lambda m: m.host().show_sockets(SERVER, f"{SERVER}.control", flags="00000000"),
        ABSENT,
    ),
    Row(
        "a server that hangs",
        lambda m: m.host().serve().stop(),
        {"server-silent": f"the server of {SERVER} does not answer: see its log, then restart it"},
    ),
    Row(
        "a server, and a build that failed",
        lambda m: unbuilt(m).remove(DEVICE).failed(KERNEL).serve(),
        FAILED_BUILD,
        [SERVER],
    ),
]

CONTAINER = [
    Row("a container with a node", Machine.container, {}, ["/dev/ivshmem0"]),
    Row(
        "a container without",
        lambda m: m.container().remove("dev/ivshmem0"),
        {
            "container": "no device or server that you can use in this container: run "
            "'ivshmemctl doctor' on its host, which has the driver, then pass in a node and its "
            "group, as with podman run --device /dev/ivshmem0 --group-add keep-groups, or the "
            "directory of a server's socket"
        },
    ),
    Row(
        "a virtual machine made of a container's image",
        lambda m: m.write(".dockerenv").link("proc/self/ns/uts", "uts:[4026531838]"),
        {},
        ["/dev/ivshmem0"],
    ),
]


def other_driver(driver: str) -> dict[str, str]:
    return {
        "other-driver": f"the driver {driver} has the device {PCI}: to take it back, stop the "
        f"programs that use it, {OVERRIDE}echo {PCI} | sudo tee "
        f"/sys/bus/pci/drivers/{driver}/unbind; {PROBE}"
    }


BINDING = [
    Row("all is well", lambda m: m, {}, ["/dev/ivshmem0"]),
    Row("a device that is not on PCI", lambda m: m.remove(DEVICE), {}, ["/dev/ivshmem0"]),
    Row(
        "revision 0",
        lambda m: m.unload().write(f"{DEVICE}/revision", "0x00\n"),
        {
            "revision": f"the ivshmem device {PCI} has revision 0, but the driver supports only 1: "
            "replace it by ivshmem-plain or ivshmem-doorbell of QEMU 2.6 or later"
        },
    ),
    *(
        Row(
            f"bound to {driver}",
            lambda m, driver=driver: m.give_away(driver),  # type: ignore[misc]
            other_driver(driver),
        )
        for driver in ("vfio-pci", "uio_pci_generic", "kvmfr")
    ),
    Row(
        "reserved for another driver",
        lambda m: m.give_away("").write(f"{DEVICE}/driver_override", "vfio-pci\n"),
        {
            "reserved": f"driver_override reserves the device {PCI} for the driver vfio-pci, which "
            f"has not bound it: to take it back, {OVERRIDE}{PROBE}"
        },
    ),
    Row(
        "not bound",
        lambda m: m.give_away(""),
        {
            "not-taken": f"the driver is loaded but has not bound the device {PCI}: echo {PCI} | "
            "sudo tee /sys/bus/pci/drivers_probe; if that does not help, for the reason: sudo "
            "dmesg | grep ivshmem"
        },
    ),
]

REGION = "/sys/class/ivshmem/ivshmem0/region"
MOUNT = f"sudo mount --bind {REGION} /{DEVICE}/resource2"


def used(process: str) -> dict[str, str]:
    return {
        "resource2-used": f"{process} has resource2 of the device {PCI} open or mapped: while the "
        "driver has the device, to map it fails (Invalid argument), and what was mapped before "
        f"has ended (Bus error): have the program use {REGION}, or put that in its place by: "
        f"{MOUNT}; then start it again"
    }


def stale(again: str = "") -> dict[str, str]:
    return {
        "resource2-stale": f"the region that is mounted over resource2 of the device {PCI} ended "
        'when the driver was unbound or unloaded, so programs get "No such device": stop them, '
        f"then: sudo umount /{DEVICE}/resource2{again}"
    }


RESOURCE2 = [
    *(
        Row(
            f"a program that has {'mapped' if mapped else 'opened'} {file}",
            lambda m, file=file, mapped=mapped: m.process(  # type: ignore[misc]
                "scream", file, mapped
            ),
            used("scream (process 123)"),
            ["/dev/ivshmem0"],
        )
        for file in ("resource2", "resource2_wc")
        for mapped in (False, True)
    ),
    Row(
        "and has a name that is not printable",
        lambda m: m.process("\33[2J", "resource2"),
        used("?[2J (process 123)"),
        ["/dev/ivshmem0"],
    ),
    Row(
        "a program that has another file of the device",
        lambda m: m.process("lspci", "resource0").process("lspci", "resource0", True),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "a program that has resource2 of a device which is not ours",
        lambda m: m.give_away("vfio-pci").process("scream", "resource2"),
        other_driver("vfio-pci"),
    ),
    Row(
        "the region in the place of resource2",
        lambda m: m.mount_region()
        .process("scream", "resource2")
        .process("scream", "resource2", True),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "that of an earlier binding",
        lambda m: m.mount_region()
        .process("scream", "resource2")
        .process("scream", "resource2", True)
        .remove("sys/class/ivshmem/ivshmem0/region")
        .write("sys/class/ivshmem/ivshmem0/region"),
        stale(f" && {MOUNT}"),
        ["/dev/ivshmem0"],
    ),
    Row(
        "that of a driver that was unloaded",
        lambda m: m.mount_region().unload(),
        stale() | NOT_LOADED,
    ),
    Row(
        "another mount, and the region elsewhere",
        lambda m: m.write(
            "proc/self/mountinfo",
            f"30 25 0:20 /shm /{DEVICE}/resource2 rw - tmpfs shm rw\n"
            "31 25 0:20 /devices/pci/ivshmem0/region /mnt rw - sysfs sysfs rw\n",
        ),
        {},
        ["/dev/ivshmem0"],
    ),
]

LOADING = [
    Row("not loaded", Machine.unload, NOT_LOADED),
    Row(
        "an old version is loaded",
        lambda m: m.write("sys/module/ivshmem/version", "0.1.0\n"),
        {
            "old-module": "the loaded module is out of date: version 0.1.0 is loaded, version "
            f"0.2.0 is installed: {OLD}; or reboot"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "an old version is loaded, and modules that depend on it",
        lambda m: m.write("sys/module/ivshmem/version", "0.1.0\n")
        .write("sys/module/ivshmem_soft/version", "0.1.0\n")
        .write("sys/module/ivshmem_rings/version", "0.1.0\n"),
        {
            "old-module": "the loaded module is out of date: version 0.1.0 is loaded, version "
            f"0.2.0 is installed: {STOP} ivshmem_rings ivshmem_soft ivshmem && sudo modprobe -a "
            "ivshmem_rings ivshmem_soft ivshmem; or reboot"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "another build of the same version is",
        lambda m: m.write("sys/module/ivshmem/srcversion", "OTHER\n"),
        {
            "old-module": "the loaded module is out of date: version 0.2.0 is loaded, another "
            f"build of version 0.2.0 is installed: {OLD}; or reboot"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "loaded by hand, without sources",
        lambda m: m.remove(MODULE, "usr"),
        {},
        ["/dev/ivshmem0"],
    ),
    Row("a compressed module", compressed(lzma.compress(module())), {}, ["/dev/ivshmem0"]),
    Row(
        "a compressed module of another version",
        compressed(lzma.compress(module("0.3.0"))),
        {
            "old-module": "the loaded module is out of date: version 0.2.0 is loaded, version "
            f"0.3.0 is installed: {OLD}; or reboot"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a damaged module",
        compressed(b"nonsense"),
        {
            "module-unreadable": f"modinfo cannot read {{root}}/{MODULE}.xz: reinstall the "
            "packages kmod and ivshmem-dkms"
        },
        ["/dev/ivshmem0"],
    ),
]

BUILDING = [
    Row("not built", unbuilt, NOT_BUILT),
    Row(
        "not built, but still loaded",
        lambda m: m.remove(MODULE),
        NOT_BUILT,
        ["/dev/ivshmem0"],
    ),
    Row(
        "copies of the sources",
        lambda m: unbuilt(m).sources("0.2.0", "0.2.0.orig").write("usr/src/ivshmem-0.9/README"),
        NOT_BUILT,
    ),
    Row(
        "built for another kernel",
        lambda m: unbuilt(m).install(OTHER),
        WRONG_KERNEL,
    ),
    Row(
        "and a build failed for yet another, which is gone",
        lambda m: unbuilt(m).install(OTHER).failed("4.3-gone"),
        WRONG_KERNEL,
    ),
    Row("the build failed", lambda m: unbuilt(m).failed(KERNEL), FAILED_BUILD),
    Row(
        "for a kernel whose name this one begins",
        lambda m: unbuilt(m).failed(f"{KERNEL}0"),
        NOT_BUILT,
    ),
    Row(
        "the build for the next kernel failed",
        lambda m: m.write("lib/modules/99-next/modules.order").failed("99-next"),
        {
            "build-failed": "the build of the module for kernel 99-next failed: see "
            f"{{root}}/{LOG}; try again: sudo dkms install ivshmem/0.2.0 -k 99-next"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "sources that DKMS has lost",
        lambda m: m.link("var/lib/dkms/ivshmem/0.0.9/source", "/usr/src/ivshmem-0.0.9"),
        {
            "dkms-stale": "DKMS has ivshmem/0.0.9 without its sources in /usr/src/ivshmem-0.0.9, "
            "and can leave new kernels half configured: sudo rm -r /var/lib/dkms/ivshmem/0.0.9"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "sources that it has",
        lambda m: m.link("var/lib/dkms/ivshmem/0.2.0/source", "/usr/src/ivshmem-0.2.0"),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "no headers, and the package knows what to do",
        lambda m: no_headers(m).helper("sudo apt install linux-image linux-headers"),
        {"headers-missing": f"{NO_HEADERS}sudo apt install linux-image linux-headers"},
    ),
    Row(
        "no headers, and nobody knows",
        no_headers,
        {"headers-missing": f"{NO_HEADERS}install the headers of kernel {KERNEL}"},
    ),
    Row(
        "the kernel is too old",
        lambda m: unbuilt(m).sources("0.2.0", minimum="99.10"),
        TOO_OLD,
    ),
    Row(
        "which matters without a device too",
        lambda m: unbuilt(m).sources("0.2.0", minimum="99.10").remove(DEVICE),
        ABSENT | TOO_OLD,
    ),
    Row(
        "not installed",
        uninstalled,
        {"not-installed": "the driver is not installed: install the package ivshmem-dkms"},
    ),
    Row(
        "but for another kernel",
        lambda m: uninstalled(m).install(OTHER),
        {
            "wrong-kernel": "the module is installed for kernel 4.2-other, but not for the "
            f"running kernel {KERNEL}: boot a kernel that has it, or install the package "
            "ivshmem-dkms"
        },
    ),
]

BLACKLIST = [
    *(
        Row(f"{name}: {text!r}", configured(name, text), blacklisted(line))
        for name, text, line in (
            ("etc/modprobe.d/a.conf", "  blacklist  ivshmem # no\n", "blacklist ivshmem"),
            (
                "usr/lib/modprobe.d/b.conf",
                "install ivshmem /bin/false\n",
                "install ivshmem /bin/false",
            ),
            ("run/modprobe.d/c.conf", "#\nblacklist ivshmem", "blacklist ivshmem"),
            ("run/modprobe.d/c.conf", "blacklist \\\n ivshmem", "blacklist ivshmem"),
            (
                "usr/lib/modprobe.d/d.conf",
                "install ivshmem /usr/bin/true\n",
                "install ivshmem /usr/bin/true",
            ),
        )
    ),
    Row("other lines", configured("etc/modprobe.d/a.conf", OTHER_LINES), NOT_LOADED),
    Row(
        "another file",
        configured("etc/modprobe.d/e.conf.old", "blacklist ivshmem\n"),
        NOT_LOADED,
    ),
    Row(
        "a file that another one hides",
        lambda m: m.unload()
        .write("usr/lib/modprobe.d/f.conf", "blacklist ivshmem\n")
        .write("etc/modprobe.d/f.conf"),
        NOT_LOADED,
    ),
    *(
        Row(
            option, configured("proc/cmdline", f"quiet {option}=floppy,ivshmem ro\n"), COMMAND_LINE
        )
        for option in ("module_blacklist", "modprobe.blacklist")
    ),
    Row(
        "other options",
        configured("proc/cmdline", "module_blacklist=ivshmem_net ivshmem.cache=wc\n"),
        NOT_LOADED,
    ),
    Row(
        "blacklisted, and nobody misses it",
        lambda m: m.unload()
        .write("etc/modprobe.d/a.conf", "blacklist ivshmem\n")
        .remove(DEVICE)
        .serve(),
        {},
        [SERVER],
    ),
]


SIGNATURE = [
    Row("a module that is loaded", lambda m: m.enforce(), {}, ["/dev/ivshmem0"]),
    Row("not signed, and lockdown", unsigned, not_signed("lockdown")),
    Row(
        "lockdown is not visible",
        lambda m: unsigned(m).remove(LOCKDOWN),
        NOT_LOADED,
    ),
    Row(
        "but Secure Boot is",
        lambda m: unsigned(m).remove(LOCKDOWN).write(SECURE_BOOT, b"\6\0\0\0\1"),
        not_signed("Secure Boot"),
    ),
    Row(
        "the parameter",
        lambda m: unsigned(m).write("sys/module/module/parameters/sig_enforce", "Y\n"),
        not_signed("module.sig_enforce"),
    ),
    Row(
        "not signed, without sources",
        lambda m: unsigned(m).remove("usr/src"),
        not_signed("lockdown", "install the package ivshmem-dkms, which signs it"),
    ),
    Row("the firmware knows the key", lambda m: locked(m, "MokListRT"), NOT_LOADED),
    Row("from its own list", lambda m: locked(m, "db"), NOT_LOADED),
    Row(
        "it does not know the key",
        locked,
        {
            "key-unknown": f"{UNKNOWN_KEY} rejects it (lockdown): sudo mokutil --import "
            "/var/lib/dkms/mok.pub, then reboot and select Enroll MOK in the blue screen"
        },
    ),
    Row(
        "the same on Ubuntu",
        lambda m: locked(m).write("var/lib/shim-signed/mok/MOK.der", KEY),
        {
            "key-unknown": f"{UNKNOWN_KEY} rejects it (lockdown): sudo update-secureboot-policy "
            "--enroll-key, then reboot and select Enroll MOK in the blue screen"
        },
    ),
    Row(
        "not yet",
        lambda m: locked(m, "MokNew"),
        {
            "key-waiting": "the key of the module's signature is waiting for enrollment: reboot, "
            "and select Enroll MOK in the blue screen"
        },
    ),
    Row(
        "there is no firmware to know it",
        lambda m: locked(m).remove("sys/firmware"),
        {
            "key-unknown": "the kernel does not know the key of the module's signature and "
            "rejects it (lockdown), and there is no UEFI firmware to enroll the key: boot "
            "without module.sig_enforce and lockdown="
        },
    ),
    Row(
        "a key from elsewhere",
        lambda m: locked(m).remove("var/lib/dkms/mok.pub"),
        NOT_LOADED,
    ),
]


def slots(machine: Machine, number: str, msix: int = 0, vectors: int = 4) -> Machine:
    """A plain device, or one with a BAR for MSI-X, whose label has a peer area."""
    device = "sys/class/ivshmem/ivshmem0"
    bars = (0xFEBF0000, msix, 0x380000000000)
    machine.write(f"{DEVICE}/resource", "".join(f"{bar:#018x} 0x0 0x0\n" for bar in bars))
    machine.write(f"{device}/label_uuid", "6f1a3b5c\n")
    machine.write(f"{device}/vectors", f"{vectors}\n")
    return machine.write(f"{device}/id", f"{number}\n")


NO_SLOT = {
    "no-slot": "the label of /dev/ivshmem0 has no slot left for this machine, so peers cannot "
    "ring it: see who has them with 'ivshmemctl peers --device ivshmem0'; the driver takes the "
    "next one that becomes free, and 'ivshmemctl format --peers N --force' makes more, but ends "
    "all partitions"
}

ACCESS = [
    Row(
        "no group",
        lambda m: m.write("etc/group", "root:x:0:\nivshmem2:x:5:\n"),
        {
            "group-missing": "no group ivshmem, so only root can use devices: sudo groupadd "
            f"--system ivshmem && sudo udevadm control --reload && {TRIGGER}"
        },
    ),
    Row(
        "another group",
        lambda m: m.write("etc/group", f"ivshmem:x:{os.getgid() + 1}:\n"),
        {
            "node-rights": f"/dev/ivshmem0 has group {os.getgid()} and mode 0660, not group "
            f"ivshmem ({os.getgid() + 1}) and 0660 as the udev rule sets: sudo udevadm control "
            f"--reload; {TRIGGER}"
        },
        root=True,
    ),
    Row(
        "another mode",
        lambda m: m.chmod("dev/ivshmem0", 0o600),
        {
            "node-rights": f"/dev/ivshmem0 has group {os.getgid()} and mode 0600, not group "
            f"ivshmem ({os.getgid()}) and 0660 as the udev rule sets: sudo udevadm control "
            f"--reload; {TRIGGER}"
        },
        root=True,
    ),
    Row(
        "another mode, and no label",
        lambda m: m.write("sys/class/ivshmem/ivshmem0/label_uuid", "\n").chmod(
            "dev/ivshmem0", 0o600
        ),
        {
            "node-rights": f"/dev/ivshmem0 has group {os.getgid()} and mode 0600, not group "
            f"ivshmem ({os.getgid()}) and 0660 as the udev rule sets: sudo udevadm control "
            f"--reload; {TRIGGER}"
        },
        root=True,
    ),
    Row(
        "a label, so the device is root's",
        lambda m: m.write("sys/class/ivshmem/ivshmem0/label_uuid", "6f1a3b5c\n").chmod(
            "dev/ivshmem0", 0o600
        ),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "a rule that gives the device to another group",
        lambda m: m.write("etc/group", f"ivshmem:x:{os.getgid()}:\nviewers:x:77:\n").give(
            "dev/ivshmem0", 77
        ),
        {},
        ["/dev/ivshmem0"],
        root=True,
    ),
    Row(
        "a rule that gives the device to everybody",
        lambda m: m.write("etc/group", f"ivshmem:x:{os.getgid() + 1}:\n").chmod(
            "dev/ivshmem0", 0o666
        ),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "a group that was created again",
        lambda m: m.give("dev/ivshmem0", 77),
        {
            "node-rights": "/dev/ivshmem0 has group 77 and mode 0660, not group "
            f"ivshmem ({os.getgid()}) and 0660 as the udev rule sets: sudo udevadm control "
            f"--reload; {TRIGGER}"
        },
        root=True,
    ),
    Row(
        "a partition for nobody",
        lambda m: m.write("etc/group", f"ivshmem:x:{os.getgid() + 1}:\n")
        .write("sys/class/ivshmem/ivshmem0/label_uuid", "6f1a3b5c\n")
        .chmod("dev/ivshmem0", 0o600)
        .node("ivshmem0p1")
        .write("sys/class/ivshmem/ivshmem0p1/partition", "1\n"),
        {},
        user="you",
    ),
    Row(
        "a device for another group",
        lambda m: m.write("etc/group", f"ivshmem:x:{os.getgid()}:\nviewers:x:77:\n").give(
            "dev/ivshmem0", 77
        ),
        {
            "not-in-group": "no permission to use /dev/ivshmem0, or any other device: it is for "
            "the group viewers: sudo usermod -aG viewers $USER, then log in again"
        },
        user="you",
    ),
    Row(
        "a device for root, and a partition for another group",
        lambda m: m.write("etc/group", f"ivshmem:x:{os.getgid()}:\nviewers:x:77:\n")
        .write("sys/class/ivshmem/ivshmem0/label_uuid", "6f1a3b5c\n")
        .chmod("dev/ivshmem0", 0o600)
        .node("ivshmem0p1")
        .write("sys/class/ivshmem/ivshmem0p1/partition", "1\n")
        .give("dev/ivshmem0p1", 77),
        {
            "not-in-group": "no permission to use /dev/ivshmem0p1, or any other device: it is "
            "for the group viewers: sudo usermod -aG viewers $USER, then log in again"
        },
        user="you",
    ),
    Row("a label that has a slot", lambda m: slots(m, "65280"), {}, ["/dev/ivshmem0"]),
    Row("a label without a free slot", lambda m: slots(m, "unknown"), NO_SLOT, ["/dev/ivshmem0"]),
    Row(
        "interrupts, and no id yet",
        lambda m: slots(m, "unknown", 0xFEBF1000),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "no id where nothing is polled",
        lambda m: slots(m, "unknown", vectors=0),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "a partition of another mode",
        lambda m: m.node("ivshmem0p1")
        .write("sys/class/ivshmem/ivshmem0p1/partition", "1\n")
        .chmod("dev/ivshmem0p1", 0o640),
        {},
        ["/dev/ivshmem0", "/dev/ivshmem0p1"],
    ),
    Row(
        "no node",
        lambda m: m.remove("dev/ivshmem0"),
        {"node-missing": f"/dev/ivshmem0 is missing, but the driver has the device: {NODE}"},
    ),
    Row(
        "a file",
        obstructed(lambda path: path.write_text("shared memory")),
        {
            "node-wrong": "/dev/ivshmem0 is not the device but a regular file, which a program "
            "made before the driver had the device, such as QEMU with mem-path=: stop that "
            f"program, then: sudo rm /dev/ivshmem0; {NODE}"
        },
    ),
    Row(
        "a directory",
        obstructed(pathlib.Path.mkdir),
        {
            "node-wrong": "/dev/ivshmem0 is not the device but a directory, which a program made "
            "before the driver had the device, such as a container engine with a volume: stop "
            f"that program, then: sudo rmdir /dev/ivshmem0; {NODE}"
        },
    ),
    Row(
        "a link to nowhere",
        obstructed(lambda path: path.symlink_to("ivshmem7")),
        {
            "node-wrong": "/dev/ivshmem0 is not the device but a symbolic link that leads "
            f"nowhere: sudo rm /dev/ivshmem0; {NODE}"
        },
    ),
    Row(
        "a pipe",
        obstructed(os.mkfifo),
        {
            "node-wrong": "/dev/ivshmem0 is not the device but a pipe, socket or block device: "
            f"sudo rm /dev/ivshmem0; {NODE}"
        },
    ),
    Row(
        "the node of another device",
        lambda m: m.write("sys/class/ivshmem/ivshmem0/dev", "244:0\n"),
        {
            "node-wrong": "/dev/ivshmem0 is not the device but the node 0:0 instead of 244:0: "
            f"sudo rm /dev/ivshmem0; sudo mknod /dev/ivshmem0 c 244 0; {TRIGGER}"
        },
    ),
    Row(
        "somebody else",
        lambda m: m,
        {"not-in-group": f"no permission to use /dev/ivshmem0: {GROUP}"},
        user="you",
    ),
    Row(
        "a new member",
        lambda m: m.write("etc/group", f"ivshmem:x:{os.getgid()}:you,me\n"),
        {
            "not-in-group": "no permission to use /dev/ivshmem0 yet: you were added to group "
            "ivshmem after your login; log in again"
        },
        user="me",
    ),
    Row(
        "a node for all",
        lambda m: m.chmod("dev/ivshmem0", 0o666),
        {},
        ["/dev/ivshmem0"],
        user="you",
    ),
    Row(
        "several problems",
        lambda m: m.node("ivshmem1")
        .remove("dev/ivshmem1")
        .write("sys/module/ivshmem/version", "0.1.0\n")
        .chmod("dev/ivshmem0", 0o600),
        {
            "old-module": "the loaded module is out of date: version 0.1.0 is loaded, version "
            f"0.2.0 is installed: {OLD}; or reboot",
            "node-rights": f"/dev/ivshmem0 has group {os.getgid()} and mode 0600, not group "
            f"ivshmem ({os.getgid()}) and 0660 as the udev rule sets: sudo udevadm control "
            f"--reload; {TRIGGER}",
            "node-missing": "/dev/ivshmem1 is missing, but the driver has the device: sudo mknod "
            f"/dev/ivshmem1 c 0 0; {TRIGGER}",
        },
        root=True,
    ),
]

ROWS = [
    *HOST,
    *CONTAINER,
    *BINDING,
    *RESOURCE2,
    *LOADING,
    *BUILDING,
    *BLACKLIST,
    *SIGNATURE,
    *ACCESS,
    *NETWORK,
    *VSOCK,
]


@pytest.fixture(name="machine")
def fixture_machine() -> typing.Iterator[Machine]:
    with tempfile.TemporaryDirectory() as directory:
        made = Machine(pathlib.Path(directory))
        yield made
        made.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row(machine: Machine, row: Row) -> None:
    if (row.user or row.root) and os.getuid():
        pytest.skip("needs root, to be somebody else, or to see what only root is told")
    row.happens(machine)
    expected = [(name, text.format(root=machine.root)) for name, text in row.problems.items()]
    report = machine.report(row.user)
    assert [(one["name"], one["text"]) for one in report["problems"]] == expected
    assert report["usable"] == row.usable
    assert report["well"] == (not row.problems)
    ended = machine.doctor(user=row.user)
    well = "all is well"
    if row.usable:
        well += f": you can use {', '.join(row.usable)}"
    assert ended.stdout.splitlines() == ([text for _, text in expected] or [well])
    assert ended.stderr == ""
    assert ended.returncode == (ctl.FAILED if row.problems else ctl.OK)


def test_a_path_does_nothing_to_the_terminal(machine: Machine) -> None:
    """Any user can listen on a socket with any path."""
    path = "/run/a\x1b]0;b"
    machine.listen(path, f"{path}.control", answer=b"")
    ended = machine.doctor()
    assert ended.stdout.splitlines() == [
        r"the server of /run/a\x1b]0;b does not answer: see its log, then restart it"
    ]


def test_silent_servers_of_others_hide_none(machine: Machine) -> None:
    """They are asked last, as there is no time for all."""
    machine.serve()
    for number in range(4):
        for path in (f"/a/{number}", f"/a/{number}.control"):
            machine.bind_to(path).listen(8)
            machine.show_sockets(path)
            (machine.root / path[1:]).chmod(0o600)
    report = machine.report()
    assert {one["name"] for one in report["problems"]} == {"server-silent"}
    assert report["usable"] == [SERVER, "/dev/ivshmem0"]


def test_a_server_is_asked_without_joining_it(machine: Machine) -> None:
    machine.serve()
    assert machine.doctor().returncode == ctl.OK
    assert b"event=join" not in machine.log.read_bytes()


def test_each_name_is_in_the_table_and_in_the_manual() -> None:
    sources = (ctl.ROOT / "tools/ctl").glob("doctor*.c")
    text = "".join(source.read_text() for source in sources)
    names = set(re.findall(r'problem\((?:\*\w+ \? )?"([\w-]+)"', text))
    manual = (
        (ctl.ROOT / "tools/ctl/ivshmemctl.1").read_text().partition("The names of problems")[2]
    )
    documented = re.findall(r"\.TP\n\.B ([\w\\-]+)\n", manual.partition(".SH OPTIONS")[0])
    assert {name.replace("\\", "") for name in documented} == names
    assert {name for row in ROWS for name in row.problems} == names
