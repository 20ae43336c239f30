# SPDX-License-Identifier: GPL-2.0-only
"""Networks between two guests: ivshmem_net beside virtio-net, and beside our own channel."""

import contextlib
import typing

import figures
import machines
from samples import Samples, best, command, interleaved, say

import boot

MODULES = "virtio_pci,virtio_net"
OURS = "ivshmem_net"
DRIVER = ("ivshmem_rings.ko", "ivshmem_net.ko")
CHANNEL = "channel, copying"
MS = 1000
BULK, SMALL, FLOWS = 64 << 10, 64, 16
ROUNDS = 2000
ROUND_TRIP = "TCP round trip of 64 B, p50"
ROUND_TRIPS = ("doorbell tcp", (ROUNDS, 1), "p50", "<= 0.5")
BUSY_US = 2000  # how long a reader looks for packets itself: longer than a round trip takes
COUNTS = 3  # repetitions: counts of instructions differ little
COUNT_SECONDS = 240
# ivshmem_net and the channel have a partition each.
PARTITIONS = (
    "ivshmemctl format --peers 2",
    "ivshmemctl partition add net 32M --type net --vectors 2",
    "ivshmemctl partition add data 16M --vectors 1",
)
CHANNEL_DEVICE = "/dev/ivshmem0p2"


def available() -> typing.Sequence[str]:
    """Those of machines.NETS that there are here."""
    if machines.private_network():
        return machines.NETS
    say("no tap: it takes root, and a kernel with tun and bridge")
    return machines.NETS[:-1]


def connect(guests: machines.Machines, index: int, interface: str) -> None:
    """Give an interface of both guests an address in a network of this number."""
    for guest in (0, 1):
        guests.shell(
            guest,
            f"ip addr add 10.0.{index}.{1 + guest}/24 dev {interface} && "
            f"ip link set {interface} up",
        )


@contextlib.contextmanager
def running(
    setup: boot.Setup, nets: typing.Sequence[str], modules: str = MODULES, counting: bool = False
) -> typing.Iterator[machines.Machines]:
    """Two guests, connected by these networks of virtio."""
    with machines.running(
        setup,
        counting,
        guests="2",
        devices="doorbell,doorbell",
        size="64M",
        mem="512",
        modules=f"{machines.VFIO_MODULES},{modules}",
        qemu=machines.hardware(nets),
    ) as guests:
        for index in range(len(nets)):
            connect(guests, index, f"eth{index}")
        yield guests


def _connect_ours(guests: machines.Machines) -> None:
    for line in PARTITIONS:
        guests.shell(0, line)
    for guest in (0, 1):
        guests.shell(guest, "ivshmemctl rescan")
        for module in DRIVER:
            guests.shell(guest, f"insmod /lib/{module}")
    guests.environment = f"RIG_DEVICE={CHANNEL_DEVICE}"
    connect(guests, len(machines.NETS), "ivs0")


def ways(nets: typing.Sequence[str], ours: bool = False) -> dict[str, str]:
    """The address of the second guest by each network."""
    found = {f"virtio-net {net}": f"10.0.{machines.NETS.index(net)}.2" for net in nets}
    if ours:
        found[OURS] = f"10.0.{len(machines.NETS)}.2"
    return found


def _rows(
    found: figures.Figures,
    name: str,
    unit: str,
    values: dict[str, list[float]],
    target: str,
) -> None:
    """A row for each network. What is to be compared with the best virtio-net has a target,
    which tells what is best."""
    virtio = {label: {"": samples} for label, samples in values.items() if label != OURS}
    anchor = best(virtio, virtio, "", max if target.startswith(">") else min)
    for label, samples in values.items():
        found.add(
            f"network, {name}, {label}", unit, samples, anchor, target if label == OURS else None
        )


def _values(samples: Samples, key: str) -> dict[str, list[float]]:
    return {label: values[key] for label, values in samples.items()}


def _bulk(guests: machines.Machines, found: figures.Figures, nets: dict[str, str]) -> None:
    say("networks, bulk")
    plan = {label: command("stream", f"tcp {to}", BULK, MS) for label, to in nets.items()}
    plan[CHANNEL] = command("stream", "channel", BULK, MS)
    samples = interleaved(guests, plan)
    channel = samples.pop(CHANNEL)["mbps"]
    _rows(found, "TCP bulk", "MB/s", _values(samples, "mbps"), ">= 3")
    found.add(f"network, bulk, {CHANNEL}", "MB/s", channel)
    found.add(
        f"network, TCP bulk against a channel, {OURS}",
        "MB/s",
        samples[OURS]["mbps"],
        (CHANNEL, channel),
        ">= 0.6",
    )
    per_byte = {
        label: [
            cpu * 1e9 / (messages * BULK)
            for cpu, messages in zip(values["qemu"], values["messages"])
        ]
        for label, values in samples.items()
    }
    _rows(found, "QEMU's processor time per byte of TCP bulk", "ns", per_byte, "<= 0.4")


def _instructions(setup: boot.Setup, found: figures.Figures, virtio: typing.Sequence[str]) -> None:
    say("networks, instructions")
    with running(setup, virtio, counting=True) as guests:
        _connect_ours(guests)
        for what, name in (
            (str(SMALL), f"a UDP packet of {SMALL} B"),
            ("stream", "a KiB of TCP bulk"),
        ):
            plan = {label: f"cost {what} {to}" for label, to in ways(virtio, True).items()}
            samples = interleaved(guests, plan, COUNTS, COUNT_SECONDS)
            for verb in ("transmit", "receive"):
                _rows(
                    found,
                    f"instructions to {verb} {name}",
                    "",
                    _values(samples, verb),
                    "<= 1.0",
                )


def _compare(
    guests: machines.Machines,
    found: figures.Figures,
    networks: dict[str, str],
    name: str,
    unit: str,
    program: str,
    numbers: tuple[int, ...],
    key: str,
    target: str,
) -> None:
    """A program's figure by each network."""
    say(f"networks, {name}")
    plan = {label: " ".join([program, *map(str, numbers), to]) for label, to in networks.items()}
    _rows(found, name, unit, _values(interleaved(guests, plan), key), target)


def compare(setup: boot.Setup, found: figures.Figures) -> None:
    virtio = available()
    with running(setup, virtio) as guests:
        _connect_ours(guests)
        networks = ways(virtio, True)
        _bulk(guests, found, networks)
        for name, unit, program, numbers, key, target in (
            (ROUND_TRIP, "µs", *ROUND_TRIPS),
            ("UDP packets of 64 B", "1/s", "packets", (SMALL, MS), "rate", ">= 3"),
            (f"{FLOWS} TCP streams", "MB/s", "flows", (FLOWS, MS), "mbps", ">= 3"),
        ):
            _compare(guests, found, networks, name, unit, program, numbers, key, target)
        for guest in (0, 1):
            guests.shell(guest, f"echo {BUSY_US} >/proc/sys/net/core/busy_read")
        _compare(guests, found, networks, f"{ROUND_TRIP}, busy polling", "µs", *ROUND_TRIPS)
    _instructions(setup, found, virtio)
