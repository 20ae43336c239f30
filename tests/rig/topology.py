# SPDX-License-Identifier: GPL-2.0-only
"""What a test wants to run on: the words of its "rig:" comment.

    rig: guests=2 devices=doorbell,plain vectors=4 kernel>=6.1

Tests with equal topologies share one boot.
"""

import pathlib
import re
import shlex
import typing

import arches
import qemu

TRANSPORTS = ("pci", "window", "memory", "polled")
# Kinds of device. A polled one is plain, but with a label for polled doorbells. Its partition 1
# has the size of the topology, and all vectors. A mixed one is a doorbell device in guest 0, and
# a plain one with the same memory in the others. A server has no device.
KINDS = ("plain", "doorbell", "polled", "mixed", "server")
# Bytes before that partition.
LABEL_SPACE = 2 << 20
# Machines that are not the usual one, by what the kernel is told. What locks a kernel
# down would keep the driver out as well, so that the test does it.
VARIANTS = {"": "", "nomsi": "pci=nomsi", "nosmp": "nosmp", "lockdown": "", "no5lvl": "no5lvl"}


class Topology(typing.NamedTuple):
    guests: str = "1"  # how many machines run the test at once
    devices: str = "doorbell"  # comma list of KINDS; or none
    vectors: str = "4"  # of each doorbell or polled device
    names: str = ""  # comma list: the firmware's name or number of each device
    bridges: str = ""  # yes: each device is behind one, which can reset it
    size: str = "16M"  # comma list: of each shared region, the last for the rest
    mem: str = "256"  # MiB of each guest
    smp: str = "2"  # processors of each guest
    arches: str = ""  # comma list, one per guest; otherwise that of the run
    machine: str = "pc"  # pc or q35; elsewhere than on x86 it is virt
    turns: str = ""  # yes: emulated processors run in turns, not at once
    modargs: str = ""  # parameters of ivshmem.ko
    append: str = ""  # more kernel command line
    modules: str = ""  # comma list of the kernel's modules to load before; NAME? if there
    programs: str = ""  # comma list of the host's programs to have in the guest
    nets: str = "0"  # how many networks the guests share; then also network.py's programs
    newqemu: str = ""  # yes: QEMU 11, see emulator.py; there "fake" works, too
    qemu: str = ""  # more arguments for QEMU, see Boot._hardware()
    firmware: str = ""  # an overlay or table in tests/guest, see firmware.py
    insmod: str = "yes"  # no: the test loads ivshmem.ko itself
    alone: str = ""  # yes: a boot of its own, as QEMU may not survive more
    over: str = "pci"  # comma list of TRANSPORTS, one run each: see replace_devices.sh
    variants: str = ""  # comma list of machines, one run each: see VARIANTS


DEFAULTS = Topology()._asdict()


class Wants(typing.NamedTuple):
    """What a test wants."""

    topology: Topology
    timeout: float
    kernel: tuple[int, ...] | None  # the oldest that it runs on


UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class TopologyError(Exception):
    """A "rig:" line that makes no sense."""


def parse(path: pathlib.Path) -> list[Wants]:
    """What a test file asks for, a Wants for each transport and variant."""
    words = {**DEFAULTS, "timeout": "60"}
    kernel = None
    with open(path, encoding="utf-8") as file:
        head = [next(file, "") for _ in range(30)]
    for line in head:
        found = re.match(r"[\s/*#]*rig:(.*?)(?:\*/)?\s*$", line)
        for word in shlex.split(found.group(1)) if found else ():
            key, _, value = word.partition("=")
            if key == "kernel>":
                kernel = tuple(int(part) for part in value.split("."))
            elif key in words:
                words[key] = value
            else:
                raise TopologyError(f"{path}: unknown word {word!r}")
    timeout = qemu.patience(int(words.pop("timeout")))
    if words["alone"]:
        words["alone"] = path.stem
    topology = Topology(**words)
    _check(path, topology)
    return [
        Wants(
            topology._replace(
                over=over,
                variants=variant,
                append=f"{topology.append} {VARIANTS[variant]}".strip(),
            ),
            timeout,
            kernel,
        )
        for over in topology.over.split(",")
        for variant in topology.variants.split(",")
    ]


def _check(path: pathlib.Path, topology: Topology) -> None:
    for name in ("guests", "vectors", "mem", "smp", "nets"):
        if not getattr(topology, name).isdigit():
            raise TopologyError(f"{path}: {name} must be a number")
    names = list(filter(None, topology.arches.split(",")))
    if set(names) - set(arches.ALL) or len(names) not in (0, int(topology.guests)):
        raise TopologyError(
            f"{path}: arches are {' and '.join(arches.ALL)}, " "one for each guest"
        )
    if set(topology.over.split(",")) - set(TRANSPORTS):
        raise TopologyError(f"{path}: over is a list of {', '.join(TRANSPORTS)}")
    if set(topology.variants.split(",")) - set(VARIANTS):
        raise TopologyError(f"{path}: variants is a list of {', '.join(VARIANTS)}")
    if topology.machine not in ("pc", "q35"):
        raise TopologyError(f"{path}: machine must be pc or q35")
    if set(devices(topology)) - set(KINDS):
        raise TopologyError(f"{path}: devices is a list of {', '.join(KINDS)}, or none")
    sizes(topology)


def devices(topology: Topology) -> list[str]:
    """The kinds of device of each guest, in slot order. Over "polled" all doorbell devices
    are polled ones."""
    kinds = [] if topology.devices == "none" else topology.devices.split(",")
    if topology.over == "polled":
        kinds = ["polled" if kind == "doorbell" else kind for kind in kinds]
    return kinds


def sizes(topology: Topology) -> list[int]:
    """Bytes of each device's region. Doorbell devices share that of the first one."""
    kinds = devices(topology)
    given = [parse_size(text) for text in topology.size.split(",")]
    given += given[-1:] * len(kinds)
    own = ("plain", "polled")
    shared = next((size for kind, size in zip(kinds, given) if kind not in own), 0)
    return [size if kind in own else shared for kind, size in zip(kinds, given)]


def bar_sizes(topology: Topology) -> list[int]:
    """Bytes of the BAR of each device, as PCI knows powers of two only: a window device
    has just the region's bytes of it, see replace_devices.sh."""
    return [
        1 << (size + (LABEL_SPACE if kind == "polled" else 0) - 1).bit_length()
        for kind, size in zip(devices(topology), sizes(topology))
    ]


def parse_size(text: str) -> int:
    """Bytes of a size such as 16M."""
    found = re.fullmatch(r"(\d+)([KMG]?)", text)
    if not found:
        raise TopologyError(f"{text!r} is no size such as 16M")
    return int(found.group(1)) * UNITS[found.group(2)]
