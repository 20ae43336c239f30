# SPDX-License-Identifier: GPL-2.0-only
"""The machines of the bench: guests as the tests have them, with the hardware of
the alternatives, and programs run in them that print what they measured."""

import contextlib
import copy
import ctypes
import json
import os
import pathlib
import subprocess
import threading
import time
import typing

import boot
import build
import qemu
import scratch
import topology as topo
import verbs

OTHER = "0000:00:11.0"  # the second device, which vfio-pci gets
PROGRAMS = (
    "channels",
    "cost",
    "crowd",
    "doorbell",
    "flows",
    "idle",
    "instructions",
    "mapping",
    "packets",
    "polled",
    "probe",
    "stream",
    "waiters",
)
VFIO_MODULES = "vfio-pci,vfio_iommu_type1"  # for the second device
MACHINE = {"tcg": "q35", "kvm": "q35,kernel-irqchip=split"}
APPEND = "intel_iommu=on "
ICOUNT = " -icount shift=0,sleep=off"

# What stands between the two guests beside us, in the order of the guests' eth0,
# eth1 and so on.
NETS = ("stream", "dgram", "tap")
NET_ARGUMENTS = (
    "stream,id=net0,addr.type=unix,addr.path={directory}/net,server={server}",
    "dgram,id=net1,local.type=unix,local.path={directory}/net{guest},"
    "remote.type=unix,remote.path={directory}/net{other}",
    "tap,id=net2,ifname=bench{guest},script=no,downscript=no",
)


class MeasureError(Exception):
    """A program of the bench did not get to its figures."""


def private_network() -> bool:
    """Leave the host's network for an empty one that goes with us, and connect two
    taps in it. Whether that worked: it takes root and the kernel's help."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000):  # CLONE_NEWNET
        return False
    commands = ["ip link add bridge type bridge", "ip link set bridge up"]
    for guest in (0, 1):
        commands += [
            f"ip tuntap add bench{guest} mode tap vnet_hdr",
            f"ip link set bench{guest} master bridge up",
        ]
    return not any(
        subprocess.run(command.split(), stderr=subprocess.DEVNULL).returncode
        for command in commands
    )


def hardware(nets: typing.Sequence[str]) -> str:
    """QEMU's arguments for the alternatives: an IOMMU for vfio-pci, networks and
    a serial line between the guests."""
    arguments = ["-device intel-iommu,intremap=on"]
    for index, net in enumerate(NET_ARGUMENTS):
        if NETS[index] in nets:
            arguments.append(
                f"-netdev {net} -device virtio-net-pci,netdev=net{index},"
                f"mac=52:54:00:00:0{index}:0{{guest}},addr={8 + index:#x}"
            )
    if nets:
        arguments.append(
            "-chardev socket,id=line,path={directory}/line,{listen} "
            "-device virtio-serial-pci,addr=7 "
            "-device virtserialport,chardev=line"
        )
    return " ".join(arguments)


class Runner(typing.Protocol):
    """What runs a shell command, and answers the lines it prints: a guest."""

    def run(self, command: str, timeout: float, on_line: qemu.OnLine | None = None) -> int:
        ...


class Programs:
    """What runs the programs of the bench, one in each guest, at once."""

    guests: typing.Sequence[Runner]
    programs: str | pathlib.Path = "/bench"
    devices: typing.Any = None
    environment = ""

    def shell(
        self, guest: int, command: str, seconds: float = 60, on_line: qemu.OnLine | None = None
    ) -> None:
        """Run a shell command in one guest; fails if that does."""
        lines = []

        def keep(line: str) -> str | None:
            answer = on_line(line) if on_line else None
            lines.append(line)
            return answer

        try:
            status = self.guests[guest].run(command, seconds, keep)
        except qemu.GuestError as error:
            raise MeasureError(f"guest {guest}: {command}: {error}") from error
        if status:
            raise MeasureError(f"guest {guest}: {command}\n" + "\n".join(lines))

    def measure(self, command: str, seconds: float = 60) -> dict[str, float]:
        """Run one of our programs in all guests at once; what it printed."""
        requests = verbs.Verbs(
            typing.cast(list[qemu.Guest], self.guests),
            self.devices,
            [0] * len(self.guests),
            seconds,
        )
        values, errors = {}, []

        def on_line(index: int, line: str) -> str | None:
            if line.startswith("@rig "):
                return requests.answer(index, line[len("@rig ") :])
            if line.startswith("{"):
                values.update(json.loads(line))
            return None

        def work(index: int) -> None:
            try:
                self.shell(
                    index,
                    f"export RIG_GUEST={index} {self.environment}; exec {self.programs}/{command}",
                    seconds,
                    lambda line: on_line(index, line),
                )
            except MeasureError as error:
                errors.append(error)
            finally:
                requests.leave()

        threads = [
            threading.Thread(target=work, args=(index,)) for index in range(len(self.guests))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise MeasureError("\n".join(map(str, errors)))
        return values


class Machines(Programs):
    """One or two guests, up, with the second device given to vfio-pci."""

    def __init__(self, setup: boot.Setup, **words: str) -> None:
        words = {
            **topo.DEFAULTS,
            "smp": "1",
            "append": APPEND,
            "machine": MACHINE[setup.accel],
            **words,
        }
        self.boot = boot.start(setup, topo.Topology(**words), [])
        self.guests = self.boot.guests
        self.devices = self.boot.devices
        try:
            for guest in range(len(self.guests)):
                self.shell(
                    guest,
                    f"cd /sys/bus/pci/devices/{OTHER} && "
                    "echo vfio-pci >driver_override && "
                    f"echo {OTHER} >driver/unbind && "
                    f"echo {OTHER} >/sys/bus/pci/drivers_probe && "
                    "test $(basename $(readlink driver)) = vfio-pci",
                )
        except BaseException:
            self.close()
            raise

    def measure(self, command: str, seconds: float = 60) -> dict[str, float]:
        """Also how long processors have worked for both machines meanwhile, in seconds."""
        start = self._processor_time()
        values = super().measure(command, seconds)
        return {**values, "qemu": self._processor_time() - start}

    def _processor_time(self) -> float:
        """Of all processes of QEMU, by the clock that the kernel has for each (see
        clock_getcpuclockid)."""
        pids = (guest.process.pid for guest in self.boot.guests if guest.process)
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)

    def close(self) -> None:
        self.boot.stop()


class Host:
    """One of two programs on this machine, in the place of a guest."""

    def __init__(self, server: pathlib.Path) -> None:
        self.environment = {**os.environ, "BENCH_SERVER": str(server)}

    def run(self, command: str, timeout: float, on_line: qemu.OnLine | None = None) -> int:
        """As that of a guest."""
        with subprocess.Popen(
            ["timeout", str(timeout), "sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        ) as process:
            assert process.stdin and process.stdout
            for line in process.stdout:
                answer = on_line(line.rstrip("\n")) if on_line else None
                if answer is not None:
                    process.stdin.write(f"{answer}\n")
                    process.stdin.flush()
        return process.returncode


class Local(Programs):
    """Two programs on this machine and a server, beside some that only compute."""

    programs = build.BUILD / "bench" / "bin"

    def __init__(self, size: str, busy: int = 0) -> None:
        self.directory = scratch.directory("ivshmem-bench-")
        self.socket = self.directory / "server"
        self.guests = [Host(self.socket), Host(self.socket)]
        self.processes = [
            subprocess.Popen(
                [str(build.BUILD / "ivshmem-server"), "-F", "--memfd"]
                + ["-l", size, "-S", str(self.socket)],
                stderr=subprocess.DEVNULL,
            )
        ]
        while not self.socket.exists():
            time.sleep(0.01)
        self.processes += [
            subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(busy)
        ]

    def path(self, name: str) -> pathlib.Path:
        """A file beside the server's socket."""
        return self.socket.with_name(name)

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        scratch.remove(self.directory)


@contextlib.contextmanager
def running(setup: boot.Setup, counting: bool = False, **words: str) -> typing.Iterator[Machines]:
    """Machines. If they are counting, their clocks count instructions, a nanosecond each, so what
    else the host does makes no difference."""
    if counting:
        setup = copy.copy(setup)
        setup.accel = "tcg"  # that counts them
        words = {**words, "turns": "yes", "qemu": words["qemu"] + ICOUNT}
    machines = Machines(setup, **words)
    try:
        yield machines
    finally:
        machines.close()


@contextlib.contextmanager
def local(size: str, busy: int) -> typing.Iterator[Local]:
    programs = Local(size, busy)
    try:
        yield programs
    finally:
        programs.close()
