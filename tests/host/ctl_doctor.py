#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl doctor on machines that are made up of files: each thing that can be
wrong, alone, on a machine where all else is well (tools/ctl/doctor*.c)."""

import contextlib
import json
import lzma
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import typing

sys.path.insert(0, str(pathlib.Path(__file__).parent / "common"))
from ctl import CTL, FAILED, OK, Program, check, done, run, skip  # noqa: E402

KERNEL = os.uname().release
PCI = "0000:00:05.0"
MODULE = f"lib/modules/{KERNEL}/updates/dkms/ivshmem.ko"
LOG = "var/lib/dkms/ivshmem/0.2.0/build/make.log"
EFIVARS = "sys/firmware/efi/efivars"
GUID = "605dab50-e046-4300-abb6-3dd810dd8b23"
KEY = bytes(range(256))
SOMEBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


def module(version: str = "0.2.0") -> bytes:
    """An object file that tells modinfo what a module would."""
    fields = (f"version={version}", f"srcversion=SOURCES{version}", f"vermagic={KERNEL} SMP")
    text = "\\0".join(fields)
    with tempfile.TemporaryDirectory() as directory:
        built = pathlib.Path(directory) / "module.o"
        subprocess.run(
            ["gcc", "-c", "-x", "c", "-", "-o", built],
            check=True,
            text=True,
            input=f"static const char info[] "
            f'__attribute__((section(".modinfo"), used)) = "{text}";',
        )
        return built.read_bytes()


def signed(content: bytes) -> bytes:
    """With a signature of the form that the kernel's scripts/sign-file appends."""
    signer, key, signature = b"somebody", b"1234", bytes(256)
    return (
        content
        + signer
        + key
        + signature
        + struct.pack(">BBBBB3xI", 1, 4, 1, len(signer), len(key), len(signature))
        + b"~Module signature appended~\n"
    )


class Machine:
    """One where all is well, below a directory."""

    def __init__(self, directory: str) -> None:
        self.root = pathlib.Path(directory)
        self.write(f"sys/bus/pci/devices/{PCI}/vendor", "0x1af4\n")
        self.write(f"sys/bus/pci/devices/{PCI}/device", "0x1110\n")
        self.write(f"sys/bus/pci/devices/{PCI}/revision", "0x01\n")
        self.bind("ivshmem")
        self.write("sys/bus/pci/devices/0000:00:01.0/vendor", "0x8086\n")
        self.write("sys/bus/pci/devices/0000:00:01.0/device", "0x1110\n")
        self.write("sys/module/ivshmem/version", "0.2.0\n")
        self.write("sys/module/ivshmem/srcversion", "SOURCES0.2.0\n")
        self.write("sys/class/ivshmem/ivshmem0/dev", "244:0\n")
        self.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.write("dev/ivshmem0", "").chmod(0o660)
        self.write("etc/group", f"root:x:0:\nivshmem:x:{os.getgid()}:\n")
        self.write("etc/os-release", 'ID=ubuntu\nID_LIKE="debian"\n')
        self.write("usr/src/ivshmem-0.1.0/dkms.conf", "")
        self.write("usr/src/ivshmem-0.2.0/dkms.conf", 'BUILD_EXCLUSIVE_KERNEL_MIN="2.10"\n')
        self.write(f"lib/modules/{KERNEL}/build/Makefile", "")
        self.install(MODULE, module())

    def write(self, name: str, content: str | bytes) -> pathlib.Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def install(self, name: str, content: bytes) -> None:
        """A module's file, in the index by which modprobe finds it."""
        self.write(name, content)
        usr = self.root / "usr/lib/modules"  # where kmod may have been built to look
        usr.parent.mkdir(parents=True, exist_ok=True)
        if not usr.is_symlink():
            usr.symlink_to("../../lib/modules")
        subprocess.run(
            ["depmod", "-b", self.root, pathlib.PurePath(name).parts[2]],
            check=True,
            stderr=subprocess.DEVNULL,  # no list of the kernel's own modules
            env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"},
        )

    def remove(self, *names: str) -> None:
        for name in names:
            path = self.root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def bind(self, driver: str | None) -> None:
        link = self.root / "sys/bus/pci/devices" / PCI / "driver"
        link.unlink(missing_ok=True)
        if driver:
            link.symlink_to(f"../../drivers/{driver}")

    def unload(self) -> None:
        """The driver is installed, and not loaded."""
        self.remove("sys/module/ivshmem", "sys/class/ivshmem", "dev/ivshmem0")
        self.bind(None)

    def enforce(self, *variables: str) -> None:
        """Secure Boot, and which of the firmware's variables have the key."""
        self.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
        self.write(f"{EFIVARS}/MokListTrustedRT-{GUID}", b"1234" + KEY)
        for name in ("MokListRT", *variables):
            known = name in variables
            self.write(f"{EFIVARS}/{name}-{GUID}", b"1234other" + (KEY if known else b""))
        self.write("var/lib/dkms/mok.pub", KEY)

    def ask(self, *options: str, prefix: typing.Sequence[str] = ()) -> Program:
        return run("doctor", "--root", self.root, *options, prefix=prefix)

    def verdict(
        self, name: str, problems: list[str], *words: str, prefix: typing.Sequence[str] = ()
    ) -> dict[str, typing.Any]:
        """These are the problems, by name, and the first line has these words."""
        text, report = self.ask(prefix=prefix), self.ask("--json", prefix=prefix)
        lines = text.out.decode().splitlines()
        found = json.loads(report.out)
        code = FAILED if problems else OK
        passed = (
            [one["name"] for one in found["problems"]] == problems
            and found["well"] == (not problems)
            and (lines == [one["text"] for one in found["problems"]] or not problems)
            and text.process.returncode == report.process.returncode == code
            and len(lines) == max(len(problems), 1)
            and all(word in lines[0] for word in words)
        )
        check(
            passed,
            name,
            text.report(),
            text.out.decode(),
            report.out.decode(),
            f"expected: {problems} {words}",
        )
        return found


@contextlib.contextmanager
def machine() -> typing.Iterator[Machine]:
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Machine(directory)


def test_well() -> None:
    with machine() as fake:
        found = fake.verdict("all is well", [], "all is well: you can use /dev/ivshmem0")
        check(found["usable"] == ["/dev/ivshmem0"], "the JSON says what can be used", found)
        fake.remove(f"sys/bus/pci/devices/{PCI}")
        fake.verdict("a device that is no PCI device will do", [], "/dev/ivshmem0")


def test_device() -> None:
    with machine() as fake:
        fake.unload()
        fake.remove(f"sys/bus/pci/devices/{PCI}")
        fake.verdict("no device", ["device-absent"], "no ivshmem device", "-device ivshmem-plain")
        fake.remove("sys", "usr", "lib")
        fake.verdict("nor anything else", ["device-absent"])
    with machine() as fake:
        fake.unload()
        fake.write(f"sys/bus/pci/devices/{PCI}/revision", "0x00\n")
        fake.verdict("revision 0", ["revision"], PCI, "revision 0", "QEMU 2.6")
    for driver in ("vfio-pci", "uio_pci_generic"):
        with machine() as fake:
            fake.remove("sys/class/ivshmem", "dev/ivshmem0")
            fake.bind(driver)
            fake.verdict(
                f"claimed by {driver}",
                ["other-driver"],
                f"driver {driver} has",
                PCI,
                f"drivers/{driver}/unbind",
                "drivers_probe",
            )
    with machine() as fake:
        fake.bind(None)
        fake.verdict("not taken", ["not-taken"], PCI, "dmesg")


def test_host() -> None:
    def sockets(fake: Machine, *lines: str) -> None:
        fake.write(
            "proc/net/unix",
            "Num RefCount Protocol Flags Type St Inode Path\n"
            + "".join(f"0000000000000000: 00000002 00000000 {line}\n" for line in lines),
        )

    socket = "/run/ivshmem-server/a b/socket"
    with machine() as fake:
        fake.unload()
        fake.remove(f"sys/bus/pci/devices/{PCI}", "usr", "lib", "etc/group")
        sockets(
            fake,
            f"00000000 0001 03 123 {socket}",
            "00010000 0001 01 124 /run/other",
            "00010000 0001 01 125 @/tmp/ivshmem_socket",
            "00010000 0001 01 126",
        )
        fake.verdict("no server listens", ["device-absent"], "ivshmem-server")
        sockets(
            fake,
            f"00010000 0001 01 123 {socket}",
            f"00010000 0001 01 124 {socket}.control",
        )
        fake.write(socket[1:], "").chmod(0o660)
        found = fake.verdict("a host with a server", [], f"you can use {socket}")
        check(found["usable"] == [socket], "the JSON says which", found)
        if as_somebody(fake):
            fake.verdict(
                "which others may not use", ["not-in-group"], socket, "usermod", prefix=SOMEBODY
            )


def test_loading() -> None:
    with machine() as fake:
        fake.unload()
        fake.verdict("not loaded", ["not-loaded"], "modprobe ivshmem")
        fake.remove(f"sys/bus/pci/devices/{PCI}")
        fake.verdict("which is only natural without a device", ["device-absent"])
    with machine() as fake:
        fake.write("sys/module/ivshmem/version", "0.1.0\n")
        fake.verdict(
            "an old version is loaded",
            ["old-module"],
            "version 0.1.0",
            "version 0.2.0",
            "modprobe -r ivshmem",
        )
        fake.write("sys/module/ivshmem/version", "0.2.0\n")
        fake.write("sys/module/ivshmem/srcversion", "OTHER\n")
        fake.verdict(
            "another build of the same version is", ["old-module"], "another build of version"
        )
        fake.remove(MODULE)
        fake.verdict("one that was loaded by hand is fine", [])
    with machine() as fake:
        fake.remove(MODULE)
        fake.install(MODULE + ".xz", lzma.compress(module()))
        fake.verdict("a compressed file", [])
        fake.install(MODULE + ".xz", lzma.compress(module("0.3.0")))
        fake.verdict("is read", ["old-module"], "version 0.3.0")
        fake.install(MODULE + ".xz", b"nonsense")
        fake.verdict("if it can be", ["module-unreadable"], "ivshmem.ko.xz", "reinstall")


def test_building() -> None:
    with machine() as fake:
        fake.unload()
        fake.remove(MODULE)
        again = f"sudo dkms install ivshmem/0.2.0 -k {KERNEL}"
        fake.verdict("not built", ["not-built"], KERNEL, again)
        fake.install("lib/modules/4.2-other/extra/ivshmem.ko", b"")
        fake.verdict(
            "built for another kernel",
            ["wrong-kernel"],
            "built for 4.2-other",
            f"running kernel {KERNEL}",
            again,
        )
        fake.write(LOG, "DKMS make.log for ivshmem-0.2.0 for kernel 4.2-other (x86_64)\n")
        fake.verdict("and a build for yet another failed", ["wrong-kernel"])
        fake.write(LOG, f"DKMS make.log for ivshmem-0.2.0 for kernel {KERNEL} (x86_64)\n")
        fake.verdict("the build failed", ["build-failed"], LOG, again)
        fake.remove(f"lib/modules/{KERNEL}/build")
        fake.verdict(
            "no headers",
            ["headers-missing"],
            "no headers",
            f"sudo apt install linux-headers-{KERNEL}",
        )
        fake.write("etc/os-release", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n')
        fake.verdict(
            "the same on Fedora's", ["headers-missing"], f"sudo dnf install kernel-devel-{KERNEL}"
        )
        fake.write("etc/os-release", "ID=arch\n")
        fake.verdict("and elsewhere", ["headers-missing"], "install the headers of kernel")
        fake.write("usr/src/ivshmem-0.2.0/dkms.conf", 'BUILD_EXCLUSIVE_KERNEL_MIN="99.10"\n')
        fake.verdict("the kernel is too old", ["kernel-too-old"], KERNEL, "99.10")
        fake.remove(f"sys/bus/pci/devices/{PCI}")
        fake.verdict("which matters without a device too", ["device-absent", "kernel-too-old"])
    with machine() as fake:
        fake.unload()
        fake.remove("usr", MODULE)
        fake.verdict("not installed", ["not-installed"], "install the package ivshmem-dkms")
        fake.install("lib/modules/4.2-other/extra/ivshmem.ko", b"")
        fake.verdict("but for another kernel", ["wrong-kernel"], "4.2-other", KERNEL)


def test_blacklist() -> None:
    with machine() as fake:
        fake.unload()
        for name, text, line in (
            ("etc/modprobe.d/a.conf", "  blacklist  ivshmem # no\n", "blacklist ivshmem"),
            ("usr/lib/modprobe.d/b.conf", "install ivshmem /bin/false\n", "/bin/false"),
            ("run/modprobe.d/c.conf", "#\nblacklist ivshmem", "blacklist ivshmem"),
            ("run/modprobe.d/c.conf", "blacklist \\\n ivshmem", "blacklist ivshmem"),
            ("usr/lib/modprobe.d/d.conf", "install ivshmem /usr/bin/true\n", "/usr/bin/true"),
        ):
            fake.write(name, text)
            fake.verdict(f"{name}: {text!r}", ["blacklisted"], line, "grep", "remove it")
            fake.write(
                name,
                "#blacklist ivshmem\nblacklist ivshmem_net\noptions ivshmem cache=wc\n"
                "install ivshmem /sbin/modprobe --ignore-install ivshmem\n",
            )
        fake.write("etc/modprobe.d/e.conf.old", "blacklist ivshmem\n")
        fake.verdict("other lines and files do not matter", ["not-loaded"])
        fake.write("usr/lib/modprobe.d/f.conf", "blacklist ivshmem\n")
        fake.write("etc/modprobe.d/f.conf", "")
        fake.verdict("nor does a file that another one hides", ["not-loaded"])
        for option in ("module_blacklist", "modprobe.blacklist"):
            fake.write("proc/cmdline", f"quiet {option}=floppy,ivshmem ro\n")
            fake.verdict(option, ["blacklisted"], "command line", "boot without")
        fake.write("proc/cmdline", "module_blacklist=ivshmem_net ivshmem.cache=wc\n")
        fake.verdict("nor do other options", ["not-loaded"])


def test_signature() -> None:
    rebuild = f"sudo dkms install ivshmem/0.2.0 -k {KERNEL}"
    with machine() as fake:
        fake.enforce("MokListRT")
        fake.verdict("a module that is loaded was accepted", [])
        fake.unload()
        fake.verdict("unsigned, and lockdown", ["unsigned"], "(lockdown)", "not signed", rebuild)
        fake.remove("sys/kernel/security/lockdown")
        fake.verdict("lockdown is not visible", ["not-loaded"])
        fake.write(f"{EFIVARS}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\6\0\0\0\1")
        fake.verdict("but Secure Boot", ["unsigned"], "(Secure Boot)")
        fake.write("sys/module/module/parameters/sig_enforce", "Y\n")
        fake.verdict("or the parameter", ["unsigned"], "(module.sig_enforce)")
        fake.remove("usr")
        fake.verdict("with no sources", ["unsigned"], "install the package ivshmem-dkms")


def test_key() -> None:
    with machine() as fake:
        fake.unload()
        fake.install(MODULE, signed(module()))
        fake.enforce("MokListRT")
        fake.verdict("the firmware knows the key", ["not-loaded"])
        fake.enforce("db")
        fake.verdict("or has it in its own list", ["not-loaded"])
        fake.remove(f"{EFIVARS}/db-{GUID}")
        fake.verdict(
            "it does not",
            ["key-unknown"],
            "(lockdown)",
            "sudo mokutil --import /var/lib/dkms/mok.pub",
            "reboot",
        )
        fake.write("var/lib/shim-signed/mok/MOK.der", KEY)
        fake.verdict(
            "the same on Ubuntu", ["key-unknown"], "update-secureboot-policy --enroll-key"
        )
        fake.enforce("MokNew")
        fake.verdict("not yet", ["key-waiting"], "reboot", "Enroll MOK")
        fake.remove("sys/firmware")
        fake.verdict(
            "there is no firmware to know it", ["key-unknown"], "boot without module.sig_enforce"
        )
        fake.remove("var/lib/shim-signed", "var/lib/dkms/mok.pub")
        fake.verdict("of a key from elsewhere nothing is said", ["not-loaded"])


def as_somebody(fake: Machine) -> bool:
    """Whether somebody else may run the program on a made-up machine."""
    allowed = (
        os.getuid() == 0
        and subprocess.run(
            [*SOMEBODY, CTL, "doctor", "--root", fake.root / "none"],
            capture_output=True,
            check=False,
        ).returncode
        == FAILED
    )
    if not allowed:
        skip("other users", "needs root, and a build that other users can run")
    return allowed


def test_access() -> None:
    with machine() as fake:
        fake.write("etc/group", "root:x:0:\nivshmem2:x:5:\n")
        fake.verdict("no group", ["group-missing"], "groupadd --system ivshmem", "udevadm trigger")
        fake.write("etc/group", f"ivshmem:x:{os.getgid() + 1}:\n")
        fake.verdict(
            "another group",
            ["node-rights"],
            "/dev/ivshmem0",
            f"group {os.getgid()} ",
            "udevadm trigger",
        )
    with machine() as fake:
        (fake.root / "dev/ivshmem0").chmod(0o600)
        fake.verdict("another mode", ["node-rights"], "mode 0600")
        fake.remove("dev/ivshmem0")
        fake.verdict(
            "no node",
            ["node-missing"],
            "/dev/ivshmem0",
            "mknod /dev/ivshmem0 c 244 0",
            "container",
        )
    with machine() as fake:
        if not as_somebody(fake):
            return
        fake.verdict(
            "somebody else",
            ["not-in-group"],
            "usermod -aG ivshmem $USER",
            "log in again",
            prefix=SOMEBODY,
        )
        fake.write("etc/group", f"ivshmem:x:{os.getgid()}:you,me\n")
        fake.verdict(
            "a new member",
            ["not-in-group"],
            "yet",
            "log in again",
            prefix=("env", "USER=me", *SOMEBODY),
        )
        (fake.root / "dev/ivshmem0").chmod(0o666)
        fake.verdict("all may use it", [], prefix=SOMEBODY)


def test_several() -> None:
    with machine() as fake:
        fake.write("sys/class/ivshmem/ivshmem1/dev", "244:1\n")
        fake.write("sys/module/ivshmem/version", "0.1.0\n")
        (fake.root / "dev/ivshmem0").chmod(0o600)
        fake.verdict("one line for each problem", ["old-module", "node-rights", "node-missing"])


def main() -> None:
    for test in (
        test_well,
        test_device,
        test_host,
        test_loading,
        test_building,
        test_blacklist,
        test_signature,
        test_key,
        test_access,
        test_several,
    ):
        test()
    done()


main()
