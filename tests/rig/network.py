# SPDX-License-Identifier: GPL-2.0-only
"""What guests of tests that say "nets=" have: programs that speak IP, and the kernel's modules
for them. What carries their packets is up to the test, see tests/guest/lib/net.sh; with
NET=virtio it is a network of QEMU's, to try the tests themselves."""

import os

import settings

# Packages and their programs.
PROGRAMS = {
    "dash": ("dash",),
    "dnsmasq-base": ("dnsmasq",),
    "ethtool": ("ethtool",),
    "iperf3": ("iperf3",),
    "iproute2": ("bridge", "ip", "tc"),
    "iputils-ping": ("ping",),
    "nfs-common": ("mount.nfs",),
    "nfs-kernel-server": ("exportfs", "rpc.mountd", "rpc.nfsd"),
    "nftables": ("nft",),
    "openssh-client": ("ssh", "ssh-keygen"),
    "openssh-server": ("sshd",),
    "rsync": ("rsync",),
    "socat": ("socat",),
    "util-linux": ("flock",),
}
# Not every kernel has all of them. nft_counter is a part of nf_tables since 5.17.
MODULES = [
    "8021q",
    "bridge",
    "nfsd?",
    "nfsv4?",
    "nft_chain_nat?",
    "nft_counter?",
    "nft_masq?",
    "vmw_vsock_virtio_transport_common",
]
VIRTIO_MODULES = ["virtio_pci", "virtio_net"]
FIRST_SLOT = 8


def modules() -> list[str]:
    """The kernel's modules, for the rig to load."""
    return [*MODULES, *(VIRTIO_MODULES if settings.get("NET") == "virtio" else [])]


def hardware(segments: int, guest: int) -> list[str]:
    """QEMU's arguments for one guest: with NET=virtio an interface for each segment, which
    all guests of this run share."""
    if settings.get("NET") != "virtio":
        return []
    arguments = []
    run = os.getpid()
    for segment in range(segments):
        group = f"239.{run >> 16 & 255}.{run >> 8 & 255}.{run & 255}:{5000 + segment}"
        arguments += [
            "-netdev",
            f"socket,id=net{segment},mcast={group},localaddr=127.0.0.1",
            "-device",
            f"virtio-net-pci,netdev=net{segment},addr={FIRST_SLOT + segment:#x},"
            f"mac=52:54:00:00:{segment:02x}:{guest:02x}",
        ]
    return arguments
