# SPDX-License-Identifier: GPL-2.0-only
"""A guest: a QEMU process, its console log, and a line to its init."""

import os
import pathlib
import shutil
import socket
import subprocess
import time
import typing

import arches
import cache
import qmp
import scratch
import settings
import tap

BOOT_SECONDS = 40
PROBE_SECONDS = 15
POKE_SECONDS = 5
FIRST_SLOT = 0x10  # ivshmem devices are at 00:10.0, 00:11.0 and so on
FIRST_PORT_SLOT = 0x18  # all but pc: root ports for what is plugged in later
PORTS = 4

# The kernel gives init what it does not know itself as environment: rig_port. An
# emulated guest counts timer interrupts against instructions at boot, and panics
# where a busy host brings the two out of step, unless told not to: no_timer_check.
# An empty port that sleeps, as kernel 7.3 lets it on arm64, does not notice what QEMU
# plugs into it.
APPEND = (
    "console={arch.console} rig_port={arch.port} quiet panic=-1 no_timer_check "
    "printk.devkmsg=on pcie_port_pm=off rcupdate.rcu_cpu_stall_timeout=60 "
)


def patience(seconds: float) -> float:
    """A time limit, on a machine that SLOW= says is slow."""
    return seconds * float(settings.get("SLOW") or 1)


# What takes a line that a guest prints; what it returns, if anything, is sent back.
OnLine = typing.Callable[[str], str | None]


class Bootable(typing.Protocol):
    """What is to be known of a kernel."""

    @property
    def image(self) -> pathlib.Path:
        ...

    @property
    def arch(self) -> str:
        ...

    @property
    def instruments(self) -> tuple[str, ...]:
        ...


class GuestError(Exception):
    """The guest died or did not answer in time."""


def binary(name: str) -> str:
    """The emulator of an architecture; QEMU= names another one for x86-64."""
    arch = arches.ALL[name]
    name = arch.qemu
    if arch is arches.AMD64:
        name = settings.get("QEMU") or name
    path = shutil.which(name)
    if not path:
        raise GuestError(f"{name} not found: apt-get install {arch.package}")
    return path


def accelerator(kernel: Bootable, initramfs: pathlib.Path) -> str:
    """ "kvm" if a guest really boots with it, else "tcg". On some hosts
    /dev/kvm opens and guests hang, so one is booted once per boot of the host."""
    if kernel.arch != arches.HOST or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    verdict = cache.directory() / f"kvm-{boot}"
    with cache.locked(verdict):
        if not verdict.exists() or not verdict.read_text():
            verdict.write_text("kvm" if _kvm_works(kernel, initramfs) else "tcg")
        return verdict.read_text()


def _kvm_works(kernel: Bootable, initramfs: pathlib.Path) -> bool:
    tap.say("# trying KVM")
    directory = scratch.directory("ivshmem-kvm-")
    guest = Guest(directory, "probe", kernel, initramfs, "kvm", [], "")
    try:
        guest.start()
        guest.wait_ready(PROBE_SECONDS)
        return True
    except GuestError:
        return False
    finally:
        guest.kill()
        scratch.remove(directory)


class Guest:
    """One machine. directory holds its sockets and its console log."""

    def __init__(
        self,
        directory: pathlib.Path,
        name: str,
        kernel: Bootable,
        initramfs: pathlib.Path,
        accel: str,
        devices: list[str],
        append: str,
        machine: str = "pc",
        mem: str = "256",
        smp: str = "2",
        turns: str = "",
        program: list[str] | None = None,
    ) -> None:
        self.name = name
        self.arch = arches.ALL[kernel.arch]
        self.watches = bool(kernel.instruments)
        self.program = program or [binary(kernel.arch)]
        self.directory = pathlib.Path(directory)
        self.console = self.directory / f"{name}.console"
        self.errors = self.directory / f"{name}.qemu"
        self.process: subprocess.Popen[bytes] | None = None
        self.control: socket.socket  # from start() on, as is the next
        self.qmp: qmp.Qmp
        self.buffer = b""
        self.listeners: dict[str, socket.socket] = {}
        self.ports: list[str] = []
        if self.arch.machine or machine != "pc":
            self.ports = [f"port{index}" for index in range(PORTS)]
        self.arguments = [
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            *self._processors(accel, machine, smp, turns),
            "-m",
            mem,
            "-kernel",
            str(kernel.image),
            "-initrd",
            str(initramfs),
            "-append",
            APPEND.format(arch=self.arch) + append,
            *self._lines(),
            *devices,
            *self._root_ports(),
        ]

    def _processors(self, accel: str, machine: str, smp: str, turns: str) -> list[str]:
        return [
            "-machine",
            self.arch.machine or machine,
            "-cpu",
            self.arch.cpu[accel],
            # While a BAR moves, emulated processors that run at once can lose an
            # access to any device, such as the one that sets the next timer; and
            # while the kernel's text changes, one can meet the int3 of a step before.
            "-accel",
            "tcg,thread=single" if turns and accel == "tcg" else accel,
            # A machine that can never have a second processor is emulated without the
            # barriers that other machines with the same memory rely on.
            "-smp",
            f"{smp},maxcpus={max(int(smp), 2)}",
        ]

    def _lines(self) -> list[str]:
        """The console, the line to init and QEMU's monitor."""
        return [
            "-chardev",
            f"file,id=console,path={self.console}",
            "-serial",
            "chardev:console",
            "-chardev",
            f"socket,id=control,path={self._path('control')}",
            *self.arch.port_device,
            "-chardev",
            f"socket,id=monitor,path={self._path('monitor')}",
            "-mon",
            "chardev=monitor,mode=control",
        ]

    def _root_ports(self) -> list[str]:
        """Where devices are plugged in later."""
        return [
            word
            for index, port in enumerate(self.ports)
            for word in (
                "-device",
                f"pcie-root-port,id={port},chassis={index + 1},slot={index + 1},"
                f"addr={FIRST_PORT_SLOT + index:#x},pref64-reserve=64M",
            )
        ]

    def _path(self, purpose: str) -> pathlib.Path:
        return self.directory / f"{self.name}.{purpose}"

    def _listen(self, purpose: str) -> None:
        """QEMU connects to us, so nothing that it says is lost."""
        listener = socket.socket(socket.AF_UNIX)
        self._path(purpose).unlink(missing_ok=True)
        listener.bind(str(self._path(purpose)))
        listener.listen(1)
        listener.settimeout(patience(10))
        self.listeners[purpose] = listener

    def start(self) -> None:
        """Start QEMU, also again after kill(). It dies with the thread that calls this."""
        self.buffer = b""
        for purpose in ("control", "monitor"):
            self._listen(purpose)
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *self.program, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        try:
            self.control, _ = self.listeners["control"].accept()
            self.qmp = qmp.Qmp(self.listeners["monitor"].accept()[0])
        except (OSError, qmp.QmpError) as error:
            raise self._lost() from error

    def wait_ready(self, seconds: float = BOOT_SECONDS) -> None:
        deadline = time.monotonic() + patience(seconds)
        while self.read_line(deadline, poke=False) != "@rig-ready":
            pass

    def read_line(self, deadline: float, poke: bool = True) -> str:
        """The guest's next line. Emulated at once with others, its serial port loses
        an interrupt now and then, and then says nothing until it is sent something:
        a 0, which everybody there passes over, once the port does not echo any more."""
        while b"\n" not in self.buffer:
            left = max(deadline - time.monotonic(), 0.001)
            self.control.settimeout(min(left, POKE_SECONDS) if poke else left)
            try:
                data = self.control.recv(65536)
            except socket.timeout as error:
                if not poke or left <= POKE_SECONDS:
                    raise GuestError("timed out") from error
                self._send(b"\0")
                continue
            except OSError as error:
                raise self._lost() from error
            if not data:
                raise self._lost()
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def write_line(self, line: str) -> None:
        self._send(line.encode() + b"\n")

    def _send(self, data: bytes) -> None:
        try:
            self.control.settimeout(10)
            self.control.sendall(data)
        except OSError as error:
            raise self._lost() from error

    def _lost(self) -> GuestError:
        """Why QEMU is not there any more."""
        try:
            status = self.wait(5)
        except subprocess.TimeoutExpired:
            return GuestError("QEMU closed the guest's port")
        how = f"was killed by signal {-status}" if status < 0 else "ended"
        return GuestError(f"QEMU {how}\n{self.errors.read_text(errors='replace')}")

    def run(self, command: str, timeout: float, on_line: OnLine | None = None) -> int:
        """Run a shell command in the guest and return its exit status. Each
        line it prints is given to on_line, whose result, if any, is sent back."""
        deadline = time.monotonic() + timeout
        self.write_line(command)
        while True:
            line = self.read_line(deadline)
            if line.startswith("@rig-exit "):
                return int(line.split()[1])
            answer = on_line(line) if on_line and line else None
            if answer is not None:
                self.write_line(answer)

    def has_ended(self) -> bool:
        """Has QEMU, by itself?"""
        return self.process is not None and self.process.poll() is not None

    def wait(self, seconds: float) -> int:
        """Wait for QEMU to end by itself; its exit status."""
        assert self.process
        return self.process.wait(seconds)

    def kill(self) -> None:
        for listener in self.listeners.values():
            listener.close()
        if self.process:
            self.process.kill()
            self.process.wait()
