#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""make soak: mixed load between three guests and the host for an hour (SECONDS=3600),
while one guest is killed and booted again every minute (KILL_SECONDS=60).

Four pairs, each with a part of the region: guests 0 and 1, 1 and 2, 2 and the host,
the host and 0. load.c says what they do; guests 0 and 1 send each other files as
well. Prints TAP and a table of figures, which are kept as build/figures/soak.md too.
"""

import ending

import builtins
import mmap
import pathlib
import statistics
import struct
import subprocess
import threading
import time
import typing

import archive
import boot
import build
import devices
import kernels
import klog
import qemu
import record
import settings
import tap
import topology

HOST = 3
VICTIM = 2
PAIRS = ((0, 1), (1, VICTIM), (VICTIM, HOST), (HOST, 0))  # side 0, side 1
PART_SIZE = 2 << 20


class Figures(typing.NamedTuple):
    """What one end has done: struct figures of load.c."""

    id: int
    starts: int
    messages: int
    bytes: int
    sessions: int
    handovers: int
    late: int
    lost: int
    stores: int
    wrong: int
    complaint: builtins.bytes


LAYOUT = struct.Struct("<II8Q128s")
SHOWN = Figures._fields[1:-1]
TOPOLOGY = dict(topology.DEFAULTS, guests="3", size="16M", vectors="8", mem="192", smp="1")
SAMPLE_SECONDS = 2
SLAB_KB = 2048  # more than these, and it is not the same any more
AVAILABLE_KB = 8192
PROCESS_KB = 256
SECONDS = 120  # for what must come, on a busy machine
ERRORS = (archive.ArchiveError, build.BuildError, devices.DeviceError, qemu.GuestError)

# What a guest runs besides the load, until that is over.
FILE = "-O 10M -S 1M -t 60"
SEND = (
    f"while :; do ivshmemctl send {FILE} /tmp/file || "
    "{ echo @failed: send ended with $?; sleep 1; }; done"
)
RECEIVE = (
    f"while :; do if ivshmemctl recv {FILE} /tmp/copy; then "
    "cmp /tmp/file /tmp/copy && echo @file || echo @corrupted; "
    "else echo @failed: recv ended with $?; sleep 1; fi; done"
)
SAMPLE = (
    f"while sleep {SAMPLE_SECONDS}; do echo @memory $(awk "
    "'/MemAvailable|SUnreclaim/ { print $2 }' /proc/meminfo); done"
)
BESIDE = {0: SEND, 1: RECEIVE}


def sleep_until(moment: float) -> None:
    time.sleep(max(moment - time.monotonic(), 0))


class Guest:
    """What one guest does, and what it says meanwhile."""

    def __init__(self, machines: boot.Boot, index: int) -> None:
        self.guest = machines.guests[index]
        self.index = index
        self.files = 0
        self.memory: list[tuple[int, ...]] = []  # (available, slab) in kB
        self.failures: list[str] = []
        self.corrupted = 0
        self.said = ""  # last, apart from that
        self.thread: threading.Thread  # from start() on

    def script(self) -> str:
        loads = [
            f'load /dev/ivshmem0 {part} {pair.index(self.index)} & jobs="$jobs $!"; '
            for part, pair in enumerate(PAIRS)
            if self.index in pair
        ]
        beside = (
            f"seq 1 100000 >/tmp/file; {{ {BESIDE[self.index]}; }} 2>&1 & "
            if self.index in BESIDE
            else ""
        )
        return (
            f"{''.join(loads)}{beside}{{ {SAMPLE}; }} & "
            "for job in $jobs; do wait $job || echo @failed: load ended with $?; done"
        )

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.guest.run(self.script(), float("inf"), self._take)
        except qemu.GuestError as error:
            self.failures.append(str(error))

    def _take(self, line: str) -> None:
        word, *rest = line.split() or [""]
        if word == "@file":
            self.files += 1
        elif word == "@memory" and len(rest) == 2:
            self.memory.append(tuple(map(int, rest)))
        elif word == "@corrupted":
            self.corrupted += 1
        elif word.startswith("@failed"):
            self.failures.append(f"guest {self.index}: {line[1:]}, after: {self.said}")
        else:
            self.said = line

    def growth(self, column: int) -> float:
        """How much more there is in the end than when all had settled, in kB."""
        values = [sample[column] for sample in self.memory] or [0]
        quarter = max(len(values) // 4, 1)
        return statistics.median(values[-quarter:]) - statistics.median(
            values[quarter : 2 * quarter] or values
        )


class Soak:
    def __init__(self, machines: boot.Boot, writer: tap.Sink) -> None:
        self.machines = machines
        self.writer = writer
        self.guests = [Guest(machines, index) for index in range(3)]
        file = machines.devices.memory.open("r+b")
        self.region = mmap.mmap(file.fileno(), 0)
        self.loads = [
            subprocess.Popen(
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    build.BUILD / "soak" / "load",
                    machines.devices.socket,
                    str(part),
                    str(pair.index(HOST)),
                ]
            )
            for part, pair in enumerate(PAIRS)
            if HOST in pair
        ]
        self.begin = time.monotonic()
        self.kills = 0
        self.deaths = 0  # of QEMU by itself
        assert machines.devices.server
        self.processes = {
            "the server": machines.devices.server.pid,
            "a program on the host": self.loads[0].pid,
        }
        self.looks: dict[str, list[tuple[int, int]]] = {name: [] for name in self.processes}
        self.logs: list[str] = []  # what the kernels complained of

    def figures(self, part: int, side: int) -> Figures:
        offset = (part + 1) * PART_SIZE + side * LAYOUT.size
        return Figures(*LAYOUT.unpack_from(self.region, offset))

    def all_figures(self) -> dict[tuple[int, int], Figures]:
        """{(part, side): figures}"""
        return {
            (part, side): self.figures(part, side) for part in range(len(PAIRS)) for side in (0, 1)
        }

    def check(self, passed: object, name: str, *details: str) -> None:
        self.writer.point("three guests", tap.Point(bool(passed), name, None, list(details)))

    def wait_for_progress(self) -> bool:
        """Until each end has moved on in everything it does: none hangs."""
        deadline = 0.0
        while not deadline or time.monotonic() < deadline:
            if not deadline or self.revive():
                before = self.all_figures()
                deadline = time.monotonic() + qemu.patience(SECONDS)
            now = self.all_figures()
            behind = [
                end
                for end in now
                for name in ("messages", "handovers", "stores")
                if getattr(now[end], name) == getattr(before[end], name)
            ]
            if not behind:
                self.look_at_host()
                return True
            time.sleep(0.1)
        print(f"# no progress at (part, side) {sorted(set(behind))}", flush=True)
        return False

    def look_at_host(self) -> None:
        """Descriptors and kB of processes, when all are there."""
        for name, pid in self.processes.items():
            process = pathlib.Path("/proc") / str(pid)
            status = (process / "status").read_text()
            self.looks[name].append(
                (
                    len(list((process / "fd").iterdir())),
                    int(status.partition("RssAnon:")[2].split()[0]),
                )
            )

    def judge_log(self, index: int) -> None:
        lines = klog.between(self.machines.guests[index].console, 0, None)
        self.logs += klog.reports(lines)

    def boot_again(self, guest: Guest) -> None:
        """It goes, in the middle of everything, and comes again."""
        self.judge_log(guest.index)
        guest.guest.kill()
        guest.thread.join()
        guest.failures.clear()
        guest.memory.clear()
        boot.again(lambda: self.machines.restart(guest.index))
        guest.start()

    def revive(self) -> bool:
        """Boot what is not there any more though nobody killed it. QEMU 7.2 corrupts
        its memory now and then when other peers come and go. Was there any?"""
        dead = [guest for guest in self.guests if guest.guest.has_ended()]
        for guest in dead:
            print(
                f"# guest {guest.index}: QEMU died by itself:",
                guest.guest.errors.read_text(errors="replace").strip(),
                flush=True,
            )
            self.deaths += 1
            self.boot_again(guest)
        return bool(dead)

    def run(self, seconds: float, interval: float) -> None:
        for guest in self.guests:
            guest.start()
        alive = self.wait_for_progress()
        start = time.monotonic()
        while alive and (self.kills + 2) * interval <= seconds:
            self.kills += 1
            sleep_until(start + self.kills * interval)
            self.boot_again(self.guests[VICTIM])
            alive = self.wait_for_progress()
        sleep_until(start + seconds)
        self.check(
            alive and self.wait_for_progress(),
            "each end goes on with the other, also after the last of "
            f"{self.kills} kills (QEMU died by itself {self.deaths} times)",
        )
        self.region[0] = 1

    def finish(self) -> None:
        """All exit on request."""
        for guest in self.guests:
            guest.thread.join(qemu.patience(SECONDS))
        ended = not any(guest.thread.is_alive() for guest in self.guests)
        statuses = [load.wait(qemu.patience(SECONDS)) for load in self.loads]
        failures = [line for guest in self.guests for line in guest.failures]
        # A side that waits for a file from a dead guest gives up.
        self.check(
            ended and statuses == [0, 0] and (self.deaths or not failures),
            "all ends end well",
            f"the host's with {statuses}",
            *failures,
        )
        if not ended:
            return
        for index, guest in enumerate(self.guests):
            output: list[str] = []
            status = guest.guest.run("rmmod ivshmem", SECONDS, output.append)
            self.check(not status, f"guest {index}: nothing holds the driver", *output)
            self.judge_log(index)
        self.check(not self.logs, "no kernel complains", *self.logs)

    def judge(self) -> None:
        figures = self.all_figures()
        total = {name: sum(getattr(end, name) for end in figures.values()) for name in SHOWN}
        complaints = [
            f"part {part}, side {side}: " + end.complaint.rstrip(b"\0").decode(errors="replace")
            for (part, side), end in figures.items()
            if end.wrong
        ]
        self.check(
            total["messages"] and not total["wrong"],
            f"{total['messages']} messages of {total['bytes'] >> 20} MiB and "
            f"{total['stores']} stores are as they were written",
            *complaints,
        )
        self.check(
            total["handovers"] and not total["lost"],
            f"{total['handovers']} hand-overs, {total['lost']} wake-ups lost",
        )
        files, corrupted = self.guests[1].files, self.guests[1].corrupted
        self.check(
            files and not corrupted,
            f"{files} files arrived as they were sent",
            f"{corrupted} did not",
        )
        self.judge_memory()
        self.show(figures)

    def judge_memory(self) -> None:
        for guest in self.guests[:VICTIM]:
            less, slab = -guest.growth(0), guest.growth(1)
            self.check(
                guest.memory and slab <= SLAB_KB and less <= AVAILABLE_KB,
                f"guest {guest.index}: {slab:+.0f} kB of slab, {less:+.0f} kB "
                f"in use, in {len(guest.memory)} samples",
            )
        for name, looks in self.looks.items():
            (before, kb), (after, last_kb) = looks[0], looks[-1]
            self.check(
                before == after and last_kb <= kb + PROCESS_KB,
                f"{name}: {before} and {after} descriptors, " f"{kb} and {last_kb} kB",
            )

    @staticmethod
    def name(part: int, side: int) -> str:
        """Who is at one end, and at the other."""
        own, other = (
            f"guest {who}" if who != HOST else "host"
            for who in (PAIRS[part][side], PAIRS[part][1 - side])
        )
        return f"{own} with {other}"

    def show(self, figures: dict[tuple[int, int], Figures]) -> None:
        ends = [
            {"end": self.name(part, side), **{name: getattr(end, name) for name in SHOWN}}
            for (part, side), end in figures.items()
        ]
        rows = [("", *SHOWN), *(tuple(map(str, end.values())) for end in ends)]
        record.write(
            "soak",
            {
                "seconds": round(time.monotonic() - self.begin),
                "kills": self.kills,
                "deaths of QEMU": self.deaths,
                "files": self.guests[1].files,
                "ends": ends,
            },
            record.table(rows[0], rows[1:]),
        )
        widths = [max(map(len, column)) for column in zip(*rows)]
        for name, *cells in rows:
            print(
                "#",
                name.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(cells, widths[1:])),
            )


def soak(writer: tap.Sink) -> None:
    kernel = kernels.find(settings.get("KERNEL") or kernels.DEFAULT)
    build.targets(["build/static/ivshmemctl", "build/ivshmem-server", "build/soak/load"])
    setup = boot.Setup(
        kernel,
        build.module(kernel),
        {
            "bin/ivshmemctl": build.BUILD / "static" / "ivshmemctl",
            "bin/load": build.BUILD / "soak" / "load",
        },
    )
    machines = None
    try:
        machines = boot.start(
            setup,
            topology.Topology(**{key: TOPOLOGY[key] for key in topology.Topology._fields}),
            [],
        )
        seconds = float(settings.get("SECONDS") or 3600)
        interval = min(float(settings.get("KILL_SECONDS") or 60), seconds / 2)
        work = Soak(machines, writer)
        work.run(seconds, interval)
        work.finish()
        work.judge()
    finally:
        if machines:
            machines.stop()
        setup.close()


def main() -> int:
    settings.parse(__doc__, (*settings.MACHINE, "SECONDS", "KILL_SECONDS"))
    writer = tap.Writer()
    begin = time.monotonic()
    try:
        soak(writer)
    except ERRORS as error:
        writer.fail("soak", str(error))
    print(f"# {time.monotonic() - begin:.0f} s")
    return writer.finish()


if __name__ == "__main__":
    ending.run(main)
