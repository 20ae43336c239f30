# SPDX-License-Identifier: GPL-2.0-only
"""Vsock between two guests: beside TCP over ivshmem_net, and beside a serial line of virtio, which
is what guests have for each other where the vsock of the hypervisor ends at the host."""

import figures
import machines
import networks
from samples import command, interleaved, say

import boot

MODULES = "virtio_pci,virtio_net,virtio_console,vmw_vsock_virtio_transport_common"
DRIVER = ("ivshmem_rings.ko", "ivshmem_net.ko", "ivshmem_vsock.ko")
OURS, TCP, SERIAL = "ivshmem_vsock", "TCP over ivshmem_net", "virtio-serial"
# Guest 0 looks first, so guest 1 has slot 1.
FORMAT = "ivshmemctl format --peers 2 --net=24M --vsock"
CID = 1001
NETWORK = len(machines.NETS)
LARGE = "ivshmem_vsock, buffers of 4 MiB"
WAYS = {OURS: f"vsock {CID}", TCP: f"tcp 10.0.{NETWORK}.2", SERIAL: "serial"}
# TCP has buffers of some MiB by itself.
BULK_WAYS = {**WAYS, LARGE: f"vsock-large {CID}"}
FIGURES = (
    ("round trip of 64 B, p50", "µs", ("doorbell", networks.ROUNDS, 1), WAYS, "p50", "<= 0.7"),
    ("bulk", "MB/s", ("stream", networks.BULK, networks.MS), BULK_WAYS, "mbps", ">= 1.5"),
)


def _connect(guests: machines.Machines) -> None:
    guests.shell(0, FORMAT)
    for guest in (0, 1):
        guests.shell(guest, "ivshmemctl rescan")
        for module in DRIVER:
            guests.shell(guest, f"insmod /lib/{module}")
    networks.connect(guests, NETWORK, "ivs0")
    guests.shell(
        0, f"until grep -q '{CID} up' /sys/bus/ivshmem/devices/*/cids; do sleep 0.1; done"
    )


def compare(setup: boot.Setup, found: figures.Figures) -> None:
    with machines.running(
        setup,
        guests="2",
        devices="doorbell,doorbell",
        size="64M",
        mem="512",
        modules=f"{machines.VFIO_MODULES},{MODULES}",
        qemu=machines.hardware(machines.NETS[:1]),
    ) as guests:
        _connect(guests)
        for name, unit, (program, *numbers), ways, key, target in FIGURES:
            say(f"vsock, {name}")
            plan = {label: command(program, way, *numbers) for label, way in ways.items()}
            samples = interleaved(guests, plan)
            anchor = (TCP, samples[TCP][key])
            for label, values in samples.items():
                found.add(
                    f"vsock, {name}, {label}",
                    unit,
                    values[key],
                    anchor,
                    target if label in (OURS, LARGE) else None,
                )
