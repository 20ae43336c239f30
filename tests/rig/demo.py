#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""make demo: two guests, one ivshmem device, and what passes between them.

Everything shown is what the programs in the guests printed just now.
INTERACTIVE=1 ends with a shell in each guest instead of a summary.
"""

import ending

import concurrent.futures
import json
import os
import sys
import threading
import time
import typing

import archive
import boot
import build
import console
import devices
import guest_programs
import kernels
import qemu
import settings
import tap
import topology

FILE_MIB = 64
PINGS = 2000
FILES = ("original", "copy")  # in guest 0 and guest 1
SECONDS = 60  # for any one command
TOPOLOGY = dict(topology.DEFAULTS, guests="2", size="64M", vectors="4", mem="512", smp="1")
ERRORS = (
    archive.ArchiveError,
    build.BuildError,
    devices.DeviceError,
    qemu.GuestError,
    OSError,
)

COLORS = ("36", "33")  # cyan and yellow, one per guest
TERMINAL = sys.stdout.isatty() and "NO_COLOR" not in os.environ


T = typing.TypeVar("T")


class DemoError(Exception):
    """A command in a guest failed, or what was asked for cannot be."""


def paint(text: str, color: str) -> str:
    return f"\x1b[{color}m{text}\x1b[0m" if TERMINAL else text


def heading(text: str) -> None:
    tap.say("\n" + paint(text, "1"))


class Screen:
    """Guest 0 speaks on the left, guest 1 a little to the right."""

    lock = threading.Lock()

    @classmethod
    def say(cls, index: int, text: str) -> None:
        with cls.lock:
            for line in text.splitlines():
                tap.say(paint(f"{'    ' * index}guest {index} | ", COLORS[index]) + line)


class Demo:
    def __init__(self, machines: boot.Boot) -> None:
        self.guests = machines.guests
        self.summary: list[str] = []

    def quiet(self, index: int, command: str) -> str:
        """Run a command in a guest; what it printed."""
        lines: list[str] = []
        if self.guests[index].run(command, SECONDS, lines.append):
            raise DemoError(f"guest {index}: {command}\n" + "\n".join(lines))
        return "\n".join(line for line in lines if line)

    def show(self, index: int, command: str) -> str:
        """Run a command in a guest, showing it and what it prints. Progress bars,
        which go to stderr, are not for a screen shared by two."""
        Screen.say(index, f"$ {command}")
        output = self.quiet(index, f"{command} 2>/tmp/errors || {{ cat /tmp/errors; false; }}")
        Screen.say(index, output)
        return output

    def both(self, zero: typing.Callable[[], T], one: typing.Callable[[], T]) -> tuple[T, T]:
        """Two things at once, one in each guest; their results."""
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = pool.submit(zero), pool.submit(one)
        return jobs[0].result(), jobs[1].result()

    def devices(self) -> None:
        heading("What each guest sees")
        for index in (0, 1):
            self.show(index, "dmesg | grep -o 'ivshmem_chardev.*'; ls -l /dev/ivshmem0")
            self.show(index, "ivshmemctl list")

    def messages(self) -> None:
        heading("Messages, both ways: text into the memory, a doorbell to say so")
        texts = (
            "Hello from guest 0. Can you read this?",
            "Guest 1 here: every byte. This came the same way.",
        )
        for sender, text in enumerate(texts):
            other = 1 - sender
            offset = 4096 * sender

            listens = threading.Event()

            def hear() -> None:
                try:
                    self.show(other, "ivshmemctl wait --count 1 --timeout 30 1")
                finally:
                    listens.set()
                heard = self.show(other, f"ivshmemctl read --raw {offset} {len(text)}")
                if text not in heard:
                    raise DemoError(f"guest {other} read {heard!r}")

            def speak() -> None:
                time.sleep(0.5)
                self.show(sender, f"ivshmemctl write {offset} '{text}'")
                self.show(sender, f"ivshmemctl ring {other} 1")
                # A ring before the other side listens is nobody's.
                while not listens.wait(1):
                    self.quiet(sender, f"ivshmemctl ring {other} 1")

            self.both(*((speak, hear) if sender == 0 else (hear, speak)))
        self.summary.append("messages             crossed both ways")

    def compare(self) -> None:
        """The file that was sent must be the one that has come."""
        sums = [self.show(index, f"sha256sum /tmp/{name}") for index, name in enumerate(FILES)]
        if sums[0].split()[0] != sums[1].split()[0]:
            raise DemoError("the SHA-256 sums differ")

    def file(self) -> None:
        heading(f"A file of {FILE_MIB} MiB from guest 0 to guest 1")
        self.quiet(0, f"dd if=/dev/urandom of=/tmp/original bs=1M count={FILE_MIB}")
        sent, _ = self.both(
            lambda: self.show(0, "ivshmemctl send --json /tmp/original"),
            lambda: self.show(1, "ivshmemctl recv --json /tmp/copy"),
        )
        self.compare()
        result = json.loads(sent)
        rate = result["bytes"] / result["seconds"] / (1 << 20)
        self.summary += [
            f"file of {FILE_MIB} MiB       arrived, SHA-256 equal",
            f"throughput           {rate:.0f} MiB/s, file to file",
        ]

    def doorbells(self) -> None:
        heading(f"Doorbell round trips: {PINGS} times there and back")
        output, _ = self.both(
            lambda: self.show(0, f"ivshmemctl ping --json --count {PINGS} 1"),
            lambda: self.quiet(1, "ivshmemctl ping --answer --timeout 5 " f"--count {PINGS} 0"),
        )
        result = json.loads(output)
        self.summary.append(
            "doorbell round trip  min {min:.0f} µs, median {median:.0f} µs, "
            "p99 {p99:.0f} µs".format(**result["round_trip_us"])
        )

    def partitions(self) -> None:
        heading("Two partitions, and a message through one of them")
        text = "This is for those who use the log."
        # The file was in the region until now.
        self.show(0, "ivshmemctl format --force")
        self.show(0, "ivshmemctl partition add frames 32M --vectors 2")
        self.show(0, "ivshmemctl partition add log 1M --vectors 1")
        self.both(*(lambda i=i: self.show(i, "ivshmemctl rescan") for i in (0, 1)))
        self.show(1, "ivshmemctl list")
        self.show(0, f"ivshmemctl write --device /dev/ivshmem0p2 0 '{text}'")
        heard = self.show(1, f"ivshmemctl read --raw --device /dev/ivshmem0p2 0 {len(text)}")
        if text not in heard:
            raise DemoError(f"guest 1 read {heard!r}")
        self.summary.append("partitions           two, and a message crossed in one")

    def peers(self) -> None:
        heading("Who is there, and what there is")
        both_there = "[ $(ivshmemctl peers | wc -l) = 3 ]"
        self.quiet(0, f"until {both_there}; do sleep 0.1; done")
        self.show(0, "ivshmemctl peers")
        for device in ("/dev/ivshmem0p1", "/dev/ivshmem0"):
            seen = self.show(1, f"ivshmemctl top --once --device {device}")
            if not all(f"guest{index}" in seen for index in (0, 1)):
                raise DemoError(f"guest 1 sees {seen!r}")
        self.summary.append("peers                see each other by name")

    def network(self) -> None:
        heading("A network: programs that speak IP, unchanged")
        self.show(0, "ivshmemctl format --force --net --ports 4")
        for index in (0, 1):
            for module in ("ivshmem_rings", "ivshmem_net"):  # udev does that elsewhere
                self.quiet(index, f"insmod /lib/{module}.ko")
            self.show(index, "ivshmemctl rescan")
            self.quiet(index, "until [ -d /sys/class/net/ivs0 ]; do sleep 0.1; done")
            self.show(index, f"ip addr add 10.9.0.{index + 1}/24 dev ivs0")
            self.show(index, "ip link set ivs0 up")
        self.quiet(0, "until ping -c 1 -W 1 10.9.0.2; do :; done")
        self.show(0, "ping -c 3 -i 0.2 10.9.0.2")
        self.quiet(1, "mkfifo /tmp/idle")
        # With nothing to send back, the listener says so at once, and the sender ends then.
        self.both(
            lambda: self.show(0, "until nc 10.9.0.2 5000 </tmp/original; do sleep 0.1; done"),
            lambda: self.show(1, "nc -l -p 5000 <>/tmp/idle >/tmp/copy"),
        )
        self.compare()
        self.summary.append("network              answers ping, and carried the file by TCP")

    def run(self) -> None:
        for index in (0, 1):
            self.quiet(index, f"hostname guest{index}")
        self.devices()
        self.messages()
        self.file()
        self.doorbells()
        self.partitions()
        self.peers()
        self.network()


def start() -> tuple[boot.Setup, boot.Boot]:
    """Build what is needed and boot; the machines and what they were built for."""
    kernel = kernels.find(settings.get("KERNEL") or kernels.DEFAULT)
    build.targets(["build/static/ivshmemctl", "build/ivshmem-server"])
    setup = boot.Setup(
        kernel,
        build.module(kernel),
        {
            "bin/ivshmemctl": build.BUILD / "static" / "ivshmemctl",
            **guest_programs.terminal(kernel.arch),
        },
    )
    heading("Starting")
    print(
        f"host    | ivshmem-server with a region of {TOPOLOGY['size']}, "
        f"{TOPOLOGY['vectors']} vectors per peer"
    )
    print(
        f"host    | two guests, Linux {kernel}, QEMU with {setup.accel.upper()}, "
        f"{TOPOLOGY['mem']} MiB each",
        flush=True,
    )
    machines = boot.start(
        setup, topology.Topology(**{key: TOPOLOGY[key] for key in topology.Topology._fields}), []
    )
    return setup, machines


def main() -> int:
    settings.parse(__doc__, (*settings.MACHINE, "INTERACTIVE"))
    begin = time.monotonic()
    interactive = settings.get("INTERACTIVE") not in ("", "0")
    setup = machines = None
    try:
        if interactive and not os.isatty(0):
            raise DemoError("INTERACTIVE=1 needs a terminal as its standard input")
        setup, machines = start()
        print(
            f"host    | both are up, the driver is loaded " f"({time.monotonic() - begin:.0f} s)"
        )
        if interactive:
            console.attach(machines.guests)
            return 0
        demo = Demo(machines)
        demo.run()
        heading("Summary")
        print("\n".join(demo.summary))
        if setup.kernel.instead:
            print(f"kernel               {setup.kernel}")
        print(f"all of it            {time.monotonic() - begin:.0f} s")
        return 0
    except (DemoError, *ERRORS) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    finally:
        if machines:
            machines.stop()
        if setup:
            setup.close()


if __name__ == "__main__":
    ending.run(main)
