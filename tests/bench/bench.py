#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""make bench: how fast it is, beside what users would take instead.

Everything is measured in this run, the alternatives in turn with ours, REPETITIONS
times. What stands in build/figures/bench.json is the median of these, with the least and the
greatest.
"""

import ending

import contextlib
import os
import pathlib
import sys
import time
import typing

import figures
import joins
import machines
import networks
from samples import Samples, best, command, interleaved, say
import vsocks

import archive
import boot
import build
import devices
import kernels
import qemu
import record

MAPPING_REPETITIONS = 5  # they take long
SLOW_REPETITIONS = 3  # crowds and many waiters, even longer
SLOW_SECONDS = 600
KERNELS = "6.12", "6.1", "7.3"  # the first for all, the others for mappings
ERRORS = (
    archive.ArchiveError,
    build.BuildError,
    devices.DeviceError,
    joins.JoinError,
    machines.MeasureError,
    qemu.GuestError,
)
SERIAL_MODULE = "virtio_console"


# Doorbells.

VFIO = "vfio-pci, mapped doorbell, eventfd"
OURS = "ivshmem, mapped doorbell, WAIT"
ASLEEP = "channel that does not spin"
BLOCKING = {
    OURS: "mapped-wait",
    "ivshmem, WAIT that rings": "ring-wait",
    "ivshmem, RING, eventfd": "ring-eventfd",
    "ivshmem, mapped doorbell, eventfd": "mapped-eventfd",
    ASLEEP: "channel-sleep",
    VFIO: f"vfio-mapped {machines.OTHER}",
    "vfio-pci, pwrite, eventfd": f"vfio-pwrite {machines.OTHER}",
}
POLLING = "polling a shared word"
CHANNEL = "channel that spins"
LOOKING = "looking at the word, then WAIT"
ADAPTIVE = {
    POLLING: "poll",
    LOOKING: "look-wait",
    CHANNEL: "channel",
    "ivshmem, WAIT that spins": "adaptive-wait",
}
IDLE = {POLLING: "poll", CHANNEL: "channel", "ivshmem, WAIT that spins": "wait"}
# Targets, each as a ratio to what the row is compared with.
BLOCKING_TARGETS = {OURS: "<= 0.93", ASLEEP: "<= 1.0"}
ADAPTIVE_TARGETS = {CHANNEL: "<= 1.5", LOOKING: "<= 1.3"}
IDLE_LIMIT = "a millisecond", [1000.0]


def net_ways(nets: typing.Sequence[str], protocol: str) -> dict[str, str]:
    return {
        f"{label}, {protocol.upper()}": f"{protocol} {address}"
        for label, address in networks.ways(nets).items()
    }


def doorbells(
    guests: machines.Machines, found: figures.Figures, nets: typing.Sequence[str]
) -> None:
    say("round trips, blocking")
    tcp = net_ways(nets, "tcp")
    ways = {**BLOCKING, **tcp, **net_ways(nets, "udp"), "virtio-serial": "serial"}
    samples = interleaved(
        guests, {label: command("doorbell", way, 2000, 1) for label, way in ways.items()}
    )
    for label in ways:
        found.add(
            f"round trip, p50, {label}",
            "µs",
            samples[label]["p50"],
            (VFIO, samples[VFIO]["p50"]),
            BLOCKING_TARGETS.get(label),
        )
    found.add(
        f"round trip against best TCP, {OURS}",
        "µs",
        samples[OURS]["p50"],
        best(samples, tcp, "p50"),
        "<= 0.3",
    )
    for label in ways:
        found.add(
            f"round trip, p99, {label}",
            "µs",
            samples[label]["p99"],
            (VFIO, samples[VFIO]["p99"]),
            "<= 1.0" if label == OURS else None,
        )
    for label in ways:
        found.add(
            f"processor time per round trip, {label}",
            "µs",
            samples[label]["cpu"],
            (VFIO, samples[VFIO]["cpu"]),
        )


def spinning(guests: machines.Machines, found: figures.Figures) -> None:
    say("round trips, spinning")
    samples = interleaved(
        guests, {label: command("doorbell", way, 100000, 100) for label, way in ADAPTIVE.items()}
    )
    for label in ADAPTIVE:
        found.add(
            f"round trip, p50, {label}",
            "µs",
            samples[label]["p50"],
            (POLLING, samples[POLLING]["p50"]),
            ADAPTIVE_TARGETS.get(label),
        )
    for label in ADAPTIVE:
        found.add(
            f"processor time per round trip, {label}",
            "µs",
            samples[label]["cpu"],
            (POLLING, samples[POLLING]["cpu"]),
        )
    idle(guests, found, "", IDLE)


def idle(
    programs: machines.Programs, found: figures.Figures, where: str, ways: dict[str, str]
) -> None:
    samples = interleaved(programs, {label: command("idle", way) for label, way in ways.items()})
    for label in ways:
        found.add(
            f"{where}processor time in a second of waiting, {label}",
            "µs",
            samples[label]["cpu"],
            IDLE_LIMIT,
            None if label == POLLING else "<= 1.0",
        )


# Streams.

SIZES = (64, 1 << 10, 4 << 10, 64 << 10, 1 << 20)
FLOOR = "polling ring by hand"
COPYING, ZERO_COPY = "channel, copying", "channel, in place"
BATCHES = "channel, 16 at a time"
STREAMS = {
    FLOOR: "floor",
    COPYING: "channel",
    BATCHES: "channel-batch",
    ZERO_COPY: "channel-zero",
    "memcpy in one guest": "memcpy",
}
STREAM_MS = 500
SMALL_TARGETS = {COPYING: ">= 0.95", ZERO_COPY: ">= 1.0", BATCHES: ">= 1.0"}
LARGE_TARGETS = {COPYING: ">= 0.9", ZERO_COPY: ">= 0.9"}


def floor_rows(
    found: figures.Figures, what: str, samples: Samples, targets: dict[str, str]
) -> None:
    for label, values in samples.items():
        found.add(
            f"{what}, {label}",
            "MB/s",
            values["mbps"],
            (FLOOR, samples[FLOOR]["mbps"]),
            targets.get(label),
        )


def stream_rows(found: figures.Figures, size: int, samples: Samples) -> None:
    targets = SMALL_TARGETS if size < 1024 else LARGE_TARGETS
    floor_rows(found, f"stream, {size} B", samples, targets)
    for label, values in samples.items():
        found.add(
            f"messages, {size} B, {label}", "1/s", values["rate"], (FLOOR, samples[FLOOR]["rate"])
        )
    for label, values in samples.items():
        if "rings0" in values:
            found.add(
                f"doorbells per message, {size} B, {label}",
                "",
                [
                    (zero + one) / messages
                    for zero, one, messages in zip(
                        values["rings0"], values["rings1"], values["messages"]
                    )
                ],
                ("one for each", [1]),
                "<= 0.02",
            )


def streams(guests: machines.Machines, found: figures.Figures, nets: typing.Sequence[str]) -> None:
    tcp = net_ways(nets, "tcp")
    for size in SIZES:
        say(f"streams of {size} B")
        samples = interleaved(
            guests,
            {
                label: command("stream", way, size, STREAM_MS)
                for label, way in {**STREAMS, **tcp}.items()
            },
        )
        stream_rows(found, size, samples)
        if size == 64 << 10:
            found.add(
                f"stream against best TCP, {size} B, {COPYING}",
                "MB/s",
                samples[COPYING]["mbps"],
                best(samples, tcp, "mbps", max),
                ">= 4",
            )


# One thread that is woken and answers, among many that wait as well.

WAITERS = (1, 100, 10000)
WAITER_ROUNDS = 100


def waiters(programs: machines.Programs, found: figures.Figures, where: str) -> None:
    say(f"many waiters, {where}")
    samples = interleaved(
        programs,
        {str(number): command("waiters", str(number), WAITER_ROUNDS) for number in WAITERS},
        SLOW_REPETITIONS,
        SLOW_SECONDS,
    )
    for number, values in samples.items():
        found.add(
            f"{where}, wake-up and answer among {number} threads on a vector, p50",
            "µs",
            values["p50"],
            ("one thread", samples["1"]["p50"]),
        )


# Two programs of one machine, which has other work or not.

UNIX, PIPE = "Unix socket", "pipe"
HOST_STREAMS = {
    FLOOR: "floor",
    COPYING: "channel",
    BATCHES: "channel-batch",
    ZERO_COPY: "channel-zero",
    ASLEEP: "channel-sleep",
}
BUSY_STREAMS = (COPYING, ASLEEP)
HOST_TRIPS = {POLLING: "poll", CHANNEL: "channel", ASLEEP: "channel-sleep"}
BUSY_TRIPS = (CHANNEL, ASLEEP)
HOST_SIZES = (64, 4 << 10, 64 << 10)
HOST_SMALL_TARGETS = {COPYING: ">= 0.7", ZERO_COPY: ">= 0.7"}
BUSY = 7  # programs that only compute
CHANNELS = (1, 100, 1000)
MEMORY = {"resident": "memory", "anonymous": "memory of its own", "tables": "page tables"}


def by_kernel(programs: machines.Local) -> dict[str, str]:
    """What programs of one machine would use instead of a channel."""
    return {UNIX: f"unix {programs.path('unix')}", PIPE: f"pipe {programs.path('pipe')}"}


def chosen(ways: dict[str, str], labels: typing.Iterable[str]) -> dict[str, str]:
    return {label: ways[label] for label in labels}


def host(found: figures.Figures, busy: int) -> None:
    """The floor and its programs poll, so among many others it is no floor."""
    where = f"two programs beside {busy} busy ones" if busy else "two programs alone"
    with machines.local("64M", busy) as programs:
        host_trips(found, programs, where, busy)
        if not busy:
            waiters(programs, found, where)
            idle(programs, found, f"{where}, ", chosen(IDLE, [CHANNEL]))
            memory(programs, found)
        for size in HOST_SIZES:
            say(f"{where}, {size} B")
            others = by_kernel(programs)
            ways = (chosen(HOST_STREAMS, BUSY_STREAMS) if busy else HOST_STREAMS) | others
            samples = interleaved(
                programs,
                {label: command("stream", way, size, STREAM_MS) for label, way in ways.items()},
            )
            if not busy:
                targets = HOST_SMALL_TARGETS if size < 1024 else LARGE_TARGETS
                floor_rows(found, f"{where}, {size} B", samples, targets)
            for label in ways if busy else BUSY_STREAMS:
                found.add(
                    f"{where}, against socket and pipe, {size} B, {label}",
                    "MB/s",
                    samples[label]["mbps"],
                    best(samples, others, "mbps", max),
                    ">= 1.0" if label in BUSY_STREAMS else None,
                )


def host_trips(found: figures.Figures, programs: machines.Local, where: str, busy: int) -> None:
    say(f"{where}, round trips")
    others = by_kernel(programs)
    ways = (chosen(HOST_TRIPS, BUSY_TRIPS) if busy else HOST_TRIPS) | others
    # Beside others a round may take milliseconds. The median says nothing of these.
    numbers, key = ((5000, 10), "mean") if busy else ((20000, 100), "p50")
    samples = interleaved(
        programs, {label: command("doorbell", way, *numbers) for label, way in ways.items()}
    )
    if not busy:
        for label, values in samples.items():
            found.add(
                f"{where}, round trip, p50, {label}",
                "µs",
                values["p50"],
                (POLLING, samples[POLLING]["p50"]),
                "<= 1.5" if label == CHANNEL else None,
            )
    for label in ways if busy else BUSY_TRIPS:
        found.add(
            f"{where}, against socket and pipe, round trip, {key}, {label}",
            "µs",
            samples[label][key],
            best(samples, others, key),
            "<= 1.0" if label in BUSY_TRIPS else None,
        )


def memory(programs: machines.Local, found: figures.Figures) -> None:
    """Of one program. Fixed costs are in it, so each of many channels takes less than one."""
    say("memory of channels")
    path = programs.path("memory")
    samples = interleaved(
        programs,
        {str(number): f"channels {number} {path}" for number in CHANNELS},
        SLOW_REPETITIONS,
    )
    each = {
        (number, key): [value / number for value in samples[str(number)][key]]
        for number in CHANNELS
        for key in MEMORY
    }
    for key, what in MEMORY.items():
        for number in CHANNELS:
            found.add(
                f"{what} for each of {number} channels of 16 KiB on a file",
                "KiB",
                each[number, key],
                ("each of 100", each[100, key]),
                "<= 1.0" if (number, key) == (1000, "resident") else None,
            )


# Mapping.

REGION = 1 << 30
SYSFS = "sysfs resource2"
SYSFS_DEVICE = "0000:00:12.0"
SMALL, HUGE = "ivshmem, pages=no", "ivshmem, pages=yes"
KVMFR = "kvmfr"
KVMFR_DEVICE = "0000:00:14.0"
KVMFR_SOURCE = os.environ.get("KVMFR")
MAPPINGS = {
    SMALL: "/dev/ivshmem0",
    HUGE: "/dev/ivshmem3",
    SYSFS: f"/sys/bus/pci/devices/{SYSFS_DEVICE}/resource2",
    "sysfs resource2_wc": f"/sys/bus/pci/devices/{SYSFS_DEVICE}/resource2_wc",
    "vfio-pci": machines.OTHER,
}
MAPPING_FIGURES = {
    "mmap": "ms",
    "first": "ms",
    "second": "ms",
    "total": "ms",
    "random": "ns",
    "munmap": "ms",
    "tables": "kB",
    "faults": "",
}
MAPPING_TARGETS = {
    ("total", SMALL): "<= 1.0",
    ("total", HUGE): "<= 0.8",
    ("mmap", HUGE): "<= 0.05",
    ("tables", HUGE): "<= 0.005",
}
MAPPING_NAMES = {
    "first": "first touch",
    "second": "second touch",
    "random": "random touch",
    "tables": "page tables",
}


def mapping_rows(found: figures.Figures, line: str, policy: str, samples: Samples) -> None:
    for values in samples.values():
        values["total"] = [a + b for a, b in zip(values["mmap"], values["first"])]
    for key, unit in MAPPING_FIGURES.items():
        for label, values in samples.items():
            found.add(
                f"{MAPPING_NAMES.get(key, key)}, {line} {policy}, {label}",
                unit,
                values[key],
                (SYSFS, samples[SYSFS][key]),
                MAPPING_TARGETS.get((key, label)),
            )


PROBES = {SMALL: "probe ivshmem 0000:00:10.0", HUGE: "probe ivshmem 0000:00:13.0"}


def probe(
    guests: machines.Machines, line: str, found: figures.Figures, plan: dict[str, str]
) -> None:
    samples = interleaved(guests, plan, MAPPING_REPETITIONS)
    for key in ("bind", "unbind"):
        for label, values in samples.items():
            found.add(
                f"{key}, 1 GiB, {line}, {label}", "ms", values[key], (SMALL, samples[SMALL][key])
            )
    for label, values in samples.items():
        if label != SMALL and "memory" in values:
            found.add(
                f"struct pages, 1 GiB, {line}, {label}",
                "KiB",
                values["memory"],
                (HUGE, samples[HUGE]["memory"]),
            )


def mapping(setup: boot.Setup, found: figures.Figures) -> None:
    maps, probes = dict(MAPPINGS), dict(PROBES)
    if KVMFR_SOURCE:
        maps[KVMFR] = "/dev/kvmfr0"
        probes[KVMFR] = f"probe kvmfr {KVMFR_DEVICE}"
    else:
        say("kvmfr is left out; KVMFR=DIRECTORY tells where its source is")
    with machines.running(
        setup,
        devices=",".join(["plain"] * (5 if KVMFR_SOURCE else 4)),
        size="1G",
        mem="1024",
        modargs="pages=no,0000:00:13.0=yes",
        modules=machines.VFIO_MODULES,
        qemu=machines.hardware(()),
    ) as guests:
        guests.shell(
            0,
            f"cd /sys/bus/pci/devices/{SYSFS_DEVICE} && "
            f"echo {SYSFS_DEVICE} >driver/unbind && echo 1 >enable",
        )
        if KVMFR_SOURCE:  # it must not take the device of sysfs
            guests.shell(
                0,
                f"echo none >/sys/bus/pci/devices/{SYSFS_DEVICE}/driver_override && "
                f"echo {KVMFR_DEVICE} >/sys/bus/pci/drivers/ivshmem/unbind && "
                "insmod /lib/kvmfr.ko && test -c /dev/kvmfr0",
            )
        plan = {label: f"mapping {REGION} {what}" for label, what in maps.items()}
        interleaved(guests, plan, 1)  # so that the host has all memory in place
        for policy in ("always", "madvise", "never"):
            say(f"mapping, {setup.kernel.line}, huge pages {policy}")
            guests.shell(0, f"echo {policy} >/sys/kernel/mm/transparent_hugepage/enabled")
            mapping_rows(
                found, setup.kernel.line, policy, interleaved(guests, plan, MAPPING_REPETITIONS)
            )
        probe(guests, setup.kernel.line, found, probes)


# Instructions.

COUNTED = {
    "ring": {
        "ivshmem, RING": "ring-ioctl",
        "ivshmem, mapped doorbell": "ring-mapped",
        "vfio-pci, mapped doorbell": "ring-vfio-mapped",
        "vfio-pci, pwrite": "ring-vfio-pwrite",
    },
    "go to sleep": {
        "ivshmem, WAIT": "sleep-wait",
        "ivshmem, WAIT that rings": "sleep-ring-wait",
        "ivshmem, eventfd": "sleep-eventfd",
        "vfio-pci, eventfd": "sleep-vfio",
    },
    "wake up": {
        "ivshmem, WAIT": "wake-wait",
        "ivshmem, WAIT that rings": "wake-ring-wait",
        "ivshmem, eventfd": "wake-eventfd",
        "vfio-pci, eventfd": "wake-vfio",
    },
}
COUNTED_TARGETS = {
    ("go to sleep", "ivshmem, WAIT"): "<= 1.0",
    ("wake up", "ivshmem, WAIT"): "<= 1.0",
}
COUNTED_ANCHORS = {
    "ring": "vfio-pci, pwrite",
    "go to sleep": "vfio-pci, eventfd",
    "wake up": "vfio-pci, eventfd",
}


def counting(
    setup: boot.Setup, **words: str
) -> contextlib.AbstractContextManager[machines.Machines]:
    """A guest whose clock counts instructions."""
    return machines.running(
        setup,
        True,
        devices="doorbell,doorbell",
        modules=machines.VFIO_MODULES,
        qemu=machines.hardware(()),
        **words,
    )


def instructions(setup: boot.Setup, found: figures.Figures) -> None:
    say("instructions")
    with counting(setup) as guests:
        samples = interleaved(
            guests, {"ours": "instructions ours", "vfio": f"instructions vfio {machines.OTHER}"}
        )
    values = {**samples["ours"], **samples["vfio"]}
    for what, ways in COUNTED.items():
        anchor = COUNTED_ANCHORS[what]
        for label, key in ways.items():
            found.add(
                f"instructions, {what}, {label}",
                "",
                values[key],
                (anchor, values[ways[anchor]]),
                COUNTED_TARGETS.get((what, label)),
            )


# One user with many listeners: handler of the interrupt, and doorbells of others.

ONE_WAITER = "one waiter"
MANY = {
    "256 waiters": "waiters",
    "1024 bindings of an eventfd with 1000 epolls": "bindings",
    "10,000 epolls on a file": "epolls",
    "16 files with O_ASYNC, a group of 1000": "sigio",
}
CROWDS = {
    "none": "none",
    "two programs that compute": "busy",
    ONE_WAITER: "waiter",
    "one eventfd": "eventfd",
    **MANY,
}


def crowds(setup: boot.Setup, found: figures.Figures) -> None:
    say("crowds of listeners")
    with counting(setup, smp="2", mem="1024") as guests:
        samples = interleaved(
            guests,
            {label: f"crowd {kind}" for label, kind in CROWDS.items()},
            SLOW_REPETITIONS,
            SLOW_SECONDS,
        )
    for label in CROWDS:
        found.add(
            f"interrupt handler, p90, {label}",
            "µs",
            samples[label]["handler"],
            (ONE_WAITER, samples[ONE_WAITER]["handler"]),
            "<= 2.0" if label in MANY else None,  # the trace has whole microseconds
        )
    for label in CROWDS:
        found.add(
            f"doorbell of another user, p99, {label}",
            "µs",
            samples[label]["p99"],
            ("none", samples["none"]["p99"]),
            "<= 2.0",
        )


def pair(setup: boot.Setup, found: figures.Figures) -> None:
    """What takes two guests."""
    nets = networks.available()
    with networks.running(setup, nets, f"{networks.MODULES},{SERIAL_MODULE}") as guests:
        doorbells(guests, found, nets)
        spinning(guests, found)
        streams(guests, found, nets)
        # Half a GiB allows 4,000 threads.
        guests.shell(1, f"echo {2 * max(WAITERS)} > /proc/sys/kernel/threads-max")
        waiters(guests, found, "two guests")


# Doorbells where there are no interrupts: the driver looks for them.

PLAIN = "/dev/ivshmem2"
BY_HAND = "a program that looks each millisecond"
POLLED_WAYS = {
    BY_HAND: f"polled sleep {PLAIN} 20",
    "WAIT, polled doorbells": f"polled wait {PLAIN} 20",
    "WAIT, interrupts": "polled wait /dev/ivshmem0 20",
    "device open, nobody waits": f"polled open {PLAIN} 20",
    "plain device without a label": "polled open /dev/ivshmem3 20",
}
POLLED_STREAMS = {
    POLLING: "doorbell poll 100000 100",
    "polled doorbells, looking at the word, then WAIT": (
        f"doorbell look-ring-wait 100000 100 {PLAIN}"
    ),
}


def polled(setup: boot.Setup, found: figures.Figures) -> None:
    say("polled doorbells")
    with machines.running(
        setup,
        guests="2",
        devices="doorbell,doorbell,plain,plain",
        size="16M",
        modules=machines.VFIO_MODULES,
        qemu=machines.hardware(()),
    ) as guests:
        guests.shell(0, f"ivshmemctl format --device {PLAIN}")
        for guest in (0, 1):
            guests.shell(guest, f"ivshmemctl rescan --device {PLAIN}")
        samples = interleaved(guests, POLLED_WAYS)
        streams = interleaved(guests, POLLED_STREAMS)
    ours = "WAIT, polled doorbells"
    for key, what, unit, target in (
        ("p50", "wake-up and answer, p50", "µs", "<= 1.1"),
        ("busy", "processor time of the guest that waits", "%", "<= 0.5"),
    ):
        for label in POLLED_WAYS:
            if samples[label][key]:
                found.add(
                    f"{what}, {label}",
                    unit,
                    samples[label][key],
                    (BY_HAND, samples[BY_HAND][key]),
                    target if label == ours else None,
                )
    for label, values in streams.items():
        found.add(
            f"round trip, plain devices, p50, {label}",
            "µs",
            values["p50"],
            (POLLING, streams[POLLING]["p50"]),
            None if label == POLLING else "<= 1.5",
        )


def host_alone_and_busy(setups: list[boot.Setup], found: figures.Figures) -> None:
    for busy in (0, BUSY):
        host(found, busy)


def mappings(setups: list[boot.Setup], found: figures.Figures) -> None:
    for setup in setups:
        mapping(setup, found)


PARTS: dict[str, typing.Callable[[list[boot.Setup], figures.Figures], None]] = {
    "host": host_alone_and_busy,
    "joins": lambda setups, found: joins.joins(found),
    "net": lambda setups, found: networks.compare(setups[0], found),
    "vsock": lambda setups, found: vsocks.compare(setups[0], found),
    "pair": lambda setups, found: pair(setups[0], found),
    "mapping": mappings,
    "instructions": lambda setups, found: instructions(setups[0], found),
    "crowds": lambda setups, found: crowds(setups[0], found),
    "polled": lambda setups, found: polled(setups[0], found),
}


def modules(kernel: kernels.Kernel) -> list[pathlib.Path]:
    ours = build.module(kernel)
    if not KVMFR_SOURCE:
        return ours
    return ours + build.foreign_module(kernel, pathlib.Path(KVMFR_SOURCE).resolve())


def prepare() -> list[boot.Setup]:
    build.targets(
        [
            joins.SERVER,
            joins.PROGRAM,
            "build/static/ivshmemctl",
            *(f"build/bench/bin/{name}" for name in machines.PROGRAMS),
        ]
    )
    programs = {
        f"bench/{name}": build.BUILD / "bench" / "bin" / name for name in machines.PROGRAMS
    }
    programs["bin/ivshmemctl"] = build.BUILD / "static" / "ivshmemctl"
    found = [kernels.find(line) for line in KERNELS]
    return [boot.Setup(kernel, modules(kernel), programs) for kernel in found]


def main() -> int:
    parts = sys.argv[1:] or list(PARTS)
    unknown = set(parts) - set(PARTS)
    if unknown:
        print(f"make bench: PARTS are {', '.join(PARTS)}, not {unknown.pop()}", file=sys.stderr)
        return 2
    begin = time.monotonic()
    found = figures.Figures()
    setups: list[boot.Setup] = []
    status = 0
    try:
        setups = prepare()
        say(f"{setups[0].accel.upper()}, load {os.getloadavg()[0]:.1f}")
        for part in parts:
            PARTS[part](setups, found)
    except ERRORS as error:
        print(f"make bench: {error}", file=sys.stderr)
        status = 1
    finally:
        for setup in setups:
            setup.close()
    if found.rows:  # also those from before an error
        found.write(whole=not status and parts == list(PARTS))
        found.show()
    say(f"{time.monotonic() - begin:.0f} s; {record.DIRECTORY}")
    return status


if __name__ == "__main__":
    ending.run(main)
