# SPDX-License-Identifier: GPL-2.0-only
"""The architectures that guests can have, and how this machine builds for them."""

import platform
import typing

import settings


class Arch(typing.NamedTuple):
    name: str
    kernel: str  # what make calls it
    triplet: str  # what gcc calls it
    qemu: str
    package: str  # that has QEMU
    cpu: dict[str, str]  # a model for each accelerator
    console: str
    port: str  # the line to the guest's init
    port_device: list[str]  # what QEMU needs to have it
    machine: str | None  # takes the place of pc and q35


# What TCG emulates badly is left out of "max": with cx16 guests with an IOMMU
# hang, with erms every copy is slow, with fsrm kernels before 6.12 hang at boot.
AMD64 = Arch(
    "amd64",
    "x86_64",
    "x86_64-linux-gnu",
    "qemu-system-x86_64",
    "qemu-system-x86",
    {"kvm": "host", "tcg": "max,-cx16,-erms,-fsrm"},
    "ttyS0",
    "ttyS1",
    ["-serial", "chardev:control"],
    None,
)

# The machine has one serial port; the second is a PCI device. Only version 3 of
# the interrupt controller has more message interrupts than a handful.
ARM64 = Arch(
    "arm64",
    "arm64",
    "aarch64-linux-gnu",
    "qemu-system-aarch64",
    "qemu-system-arm",
    {"kvm": "host", "tcg": "neoverse-n1"},
    "ttyAMA0",
    "ttyS0",
    ["-device", "pci-serial,chardev=control"],
    "virt,gic-version=3",
)

ALL = {arch.name: arch for arch in (AMD64, ARM64)}
HOST = {"aarch64": "arm64"}.get(platform.machine(), "amd64")


def wanted() -> str:
    """The name of the architecture asked for by ARCH=, else the one that the rig
    is at home on."""
    name = settings.get("ARCH") or AMD64.name
    if name not in ALL:
        raise ValueError(f"ARCH={name}: say {' or '.join(ALL)}")
    return name


def make_arguments(name: str) -> list[str]:
    """Arguments for make that build the kernel's things for an architecture."""
    if name == HOST:
        return []
    return [f"ARCH={ALL[name].kernel}", f"CROSS_COMPILE={ALL[name].triplet}-"]
