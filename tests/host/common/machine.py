# SPDX-License-Identifier: GPL-2.0-only
"""Machines that are made up of files, for ivshmemctl doctor: each begins as one where all
is well, and then something goes wrong."""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import struct
import subprocess
import tempfile
import threading
import typing

import ctl
import wrong_input

KERNEL = os.uname().release
PCI = "0000:00:05.0"
DEVICE = f"sys/bus/pci/devices/{PCI}"
MODULE = f"lib/modules/{KERNEL}/updates/dkms/ivshmem.ko"
LOG = "var/lib/dkms/ivshmem/0.2.0/build/make.log"
EFIVARS = "sys/firmware/efi/efivars"
GUID = "605dab50-e046-4300-abb6-3dd810dd8b23"
KEY = bytes(range(256))
NOBODY = 65534
SERVER = "/run/ivshmem-server/a b/socket"


@functools.cache
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

    def __init__(self, directory: pathlib.Path) -> None:
        directory.chmod(0o755)
        self.root = directory / "root"
        self.program = directory / "ivshmemctl"  # where any user can run it
        shutil.copy(ctl.CTL, self.program)
        self.sockets: list[socket.socket] = []
        self.listening: list[str] = []
        self.log = directory / "log"
        self.server: subprocess.Popen[bytes] | None = None
        self.write(f"{DEVICE}/vendor", "0x1af4\n")
        self.write(f"{DEVICE}/device", "0x1110\n")
        self.write(f"{DEVICE}/revision", "0x01\n")
        self.write(f"{DEVICE}/driver_override", "(null)\n")
        self.write(f"{DEVICE}/resource2")
        self.bind("ivshmem")
        self.write("sys/bus/pci/devices/0000:00:01.0/vendor", "0x8086\n")
        self.write("sys/bus/pci/devices/0000:00:01.0/device", "0x1110\n")
        self.write("sys/module/ivshmem/version", "0.2.0\n")
        self.write("sys/module/ivshmem/srcversion", "SOURCES0.2.0\n")
        self.write("sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
        self.node("ivshmem0")
        self.write("sys/class/ivshmem/ivshmem0/region")
        self.link("sys/class/ivshmem/ivshmem0/device", f"../../../bus/pci/devices/{PCI}")
        self.write("etc/group", f"root:x:0:\nivshmem:x:{os.getgid()}:\n")
        self.sources("0.1.0")
        self.sources("0.2.0")
        self.write(f"lib/modules/{KERNEL}/build/Makefile", "")
        self.install(MODULE, module())

    def write(self, name: str, content: str | bytes = "") -> "Machine":
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def link(self, name: str, target: str) -> "Machine":
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        return self

    def remove(self, *names: str) -> "Machine":
        for name in names:
            path = self.root / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        return self

    def node(self, name: str) -> "Machine":
        """A device of the driver, with a node that anybody may create."""
        self.write(f"sys/class/ivshmem/{name}/dev", "0:0\n")
        path = self.root / "dev" / name
        path.parent.mkdir(exist_ok=True)
        os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
        path.chmod(0o660)
        return self

    def chmod(self, name: str, mode: int) -> "Machine":
        (self.root / name).chmod(mode)
        return self

    def give(self, name: str, group: int) -> "Machine":
        os.chown(self.root / name, -1, group)
        return self

    def sources(
        self, version: str, directory: str | None = None, minimum: str = "2.10"
    ) -> "Machine":
        return self.write(
            f"usr/src/ivshmem-{directory or version}/dkms.conf",
            "# PACKAGE_VERSION is that of the project.\n"
            f'PACKAGE_VERSION="{version}"\nBUILD_EXCLUSIVE_KERNEL_MIN="{minimum}"\n',
        )

    def helper(self, advice: str) -> "Machine":
        """What the package ivshmem-dkms would say of missing headers."""
        name = "usr/libexec/ivshmem-dkms"
        self.write(name, f'#!/bin/sh\n[ "$*" = "advice {KERNEL}" ] && echo "{advice}"\n')
        return self.chmod(name, 0o755)

    def failed(self, kernel: str) -> "Machine":
        """The last build, which was for this kernel."""
        head = f"DKMS make.log for ivshmem-0.2.0 for kernel {kernel} (x86_64)\n"
        return self.write(LOG, f"{head}Mon Nov 30\nmake: *** [Makefile:2] Error 1\n")

    def install(self, name: str, content: bytes = b"") -> "Machine":
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
        return self

    def bind(self, driver: str | None) -> "Machine":
        self.link(f"{DEVICE}/driver", f"../../drivers/{driver}")
        if not driver:
            self.remove(f"{DEVICE}/driver")
        return self

    def unload(self) -> "Machine":
        """The driver is installed, and not loaded."""
        self.remove("sys/module/ivshmem", "sys/class/ivshmem", "dev/ivshmem0")
        return self.bind(None)

    def give_away(self, driver: str) -> "Machine":
        """The device, to another driver."""
        self.remove("sys/class/ivshmem", "dev/ivshmem0")
        return self.bind(driver)

    def host(self) -> "Machine":
        """No device, and nothing of the driver."""
        self.unload()
        return self.remove(DEVICE, "usr", "lib")

    def container(self) -> "Machine":
        """Of an engine that leaves this mark."""
        self.write("run/.containerenv")
        self.link("proc/self/ns/uts", "uts:[4026532000]")
        return self.remove("usr", "lib", "etc/group")

    def enforce(self, *variables: str) -> "Machine":
        """Secure Boot, and which of the firmware's variables have the key."""
        self.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
        self.write(f"{EFIVARS}/MokListTrustedRT-{GUID}", b"1234" + KEY)
        for name in ("MokListRT", *variables):
            known = name in variables
            self.write(f"{EFIVARS}/{name}-{GUID}", b"1234other" + (KEY if known else b""))
        return self.write("var/lib/dkms/mok.pub", KEY)

    def mount_region(self) -> "Machine":
        """Over resource2, which has the inode of the region then."""
        self.remove(f"{DEVICE}/resource2")
        (self.root / DEVICE / "resource2").hardlink_to(
            self.root / "sys/class/ivshmem/ivshmem0/region"
        )
        line = f"30 25 0:20 /devices/pci/ivshmem0/region /{DEVICE}/resource2 rw - sysfs sysfs rw\n"
        return self.write("proc/self/mountinfo", f"25 1 0:20 / /sys rw - sysfs sysfs rw\n{line}")

    def process(self, name: str, file: str, mapped: bool = False) -> "Machine":
        """One that has a file of the device."""
        path = self.root / DEVICE / file
        self.write("proc/123/comm", f"{name}\n")
        if not mapped:
            return self.link("proc/123/fd/3", str(path))
        inode = path.stat().st_ino if path.exists() else 1
        line = f"7f0000000000-7f0000400000 rw-s 00000000 00:14 {inode}       {path}\n"
        return self.write(
            "proc/123/maps", f"7f0000000000-7f0000400000 rw-p 00000000 00:00 0\n{line}"
        )

    def show_sockets(self, *paths: str, flags: str = "00010000") -> "Machine":
        """As the kernel does, of all mount namespaces and even if the path is gone."""
        self.listening += [
            f"0000000000000000: 00000002 00000000 {flags} 0001 01 123 {path}\n" for path in paths
        ]
        head = "Num RefCount Protocol Flags Type St Inode Path\n"
        return self.write("proc/net/unix", head + "".join(self.listening))

    def listen(self, *paths: str, answer: bytes) -> "Machine":
        """A program that says this to each client, and hangs up."""
        for path in paths:
            listener = self.bind_to(path)
            listener.listen(8)
            threading.Thread(
                target=wrong_input.speak, args=(listener, answer), daemon=True
            ).start()
        return self.show_sockets(*paths)

    def leave(self, *paths: str) -> "Machine":
        """The sockets of a program that has ended."""
        for path in paths:
            self.bind_to(path)
        return self.show_sockets(*paths)

    def bind_to(self, path: str) -> socket.socket:
        place = self.root / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        self.sockets.append(socket.socket(socket.AF_UNIX))
        self.sockets[-1].bind(str(place))
        return self.sockets[-1]

    def serve(self, mode: str = "0660") -> "Machine":
        """A server."""
        place = self.root / SERVER[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        words: list[ctl.Place] = [
            ctl.SERVER,
            "-F",
            "-S",
            place,
            "--memfd",
            "-l",
            "1M",
            "-n",
            "1",
            "--mode",
            mode,
        ]
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(words, stderr=log, env=ctl.environment())
        assert ctl.wait_until(lambda: b"event=listen" in self.log.read_bytes())
        return self.show_sockets(SERVER, f"{SERVER}.control")

    def stop(self) -> "Machine":
        """The server, which does not notice."""
        assert self.server
        self.server.send_signal(signal.SIGSTOP)
        return self

    def close(self) -> None:
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        if self.server:
            self.server.kill()
            self.server.wait(ctl.LIMIT)

    def doctor(self, *options: str, user: str = "") -> subprocess.CompletedProcess[str]:
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        return subprocess.run(
            [*(prefix if user else []), self.program, "doctor", "--root", self.root, *options],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=ctl.environment(USER=user or "root"),
            timeout=ctl.LIMIT,
        )

    def report(self, user: str = "") -> dict[str, typing.Any]:
        return json.loads(self.doctor("--json", user=user).stdout)


Change = typing.Callable[[Machine], Machine]


@dataclasses.dataclass(frozen=True)
class Row:
    """One thing that happened to a machine."""

    name: str
    happens: Change
    problems: dict[str, str]  # in the order of the lines; {root} is where the machine is
    usable: list[str] = dataclasses.field(default_factory=list)  # what else works
    user: str = ""  # who is in no group, though perhaps in the file
    root: bool = False  # something that only root is told, or can do
