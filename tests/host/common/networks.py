# SPDX-License-Identifier: GPL-2.0-only
"""What can be wrong with a partition of the type net or vsock, for ivshmemctl doctor."""

import ctl
import label_reader
from machine import KERNEL, MODULE, Machine, Row, module

REGION = "sys/class/ivshmem/ivshmem0/region"
NODE = "sys/bus/ivshmem/devices/ivshmem0p1"
AGAIN = "'ivshmemctl partition remove' and 'add' it again"
UNUSED = "the network of ivshmem0p1 has no interface, as"
SILENT = "the interface ivs0 has no carrier"
SELF, OTHER = "0 65280 guest self 5 a b\n", "1 65281 guest other 5 c d\n"


def partition(machine: Machine, kind: str, options: tuple[str, ...], peers: str) -> Machine:
    """A machine with a partition of that type, which has its driver."""
    machine.write(REGION, bytes(4 << 20))
    words = ["-t", kind, "-o", "2M", *options]
    for action in (["format", "--peers", "4"], ["partition", "add", "n", *words]):
        assert not ctl.run(*action, device=machine.root / REGION).err
    machine.write(f"{NODE}/type", f"{kind}\n")
    machine.write(f"{NODE}/driver/module/version", "0.2.0\n")
    machine.write(f"sys/module/ivshmem_{kind}/version", "0.2.0\n")
    return machine.write("sys/class/ivshmem/ivshmem0/peers", peers)


def network(machine: Machine, *options: str, peers: str = SELF) -> Machine:
    """The type is net, and the interface is up."""
    partition(machine, "net", options, peers)
    machine.write(f"{NODE}/net/ivs0/flags", "0x1003\n")
    return machine.write(f"{NODE}/net/ivs0/carrier", "0\n")


def vsock(
    machine: Machine, *options: str, peers: str = SELF, cids: str = "1 1001 down 0 0\n"
) -> Machine:
    partition(machine, "vsock", options, peers)
    return machine.write(f"{NODE}/cids", cids)


def unbound(machine: Machine) -> Machine:
    return machine.remove(f"{NODE}/driver")


def mute(machine: Machine) -> Machine:
    """The partition has no vectors."""
    label_reader.take_vectors(machine.root / REGION)
    return machine


def installed(machine: Machine, name: str) -> Machine:
    """With a module besides the driver."""
    return machine.install(MODULE.replace("ivshmem.ko", f"{name}.ko"), module())


def poke(machine: Machine, at: int, data: bytes) -> Machine:
    with (machine.root / REGION).open("r+b") as file:
        file.seek(at)
        file.write(data)
    return machine


NETWORK = [
    Row(
        "a network with a carrier",
        lambda m: network(m).write(f"{NODE}/net/ivs0/carrier", "1\n"),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network that is down",
        lambda m: network(m).write(f"{NODE}/net/ivs0/flags", "0x1002\n"),
        {
            "net-down": "the interface ivs0 of ivshmem0p1 is down: sudo ip link set ivs0 up",
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network whose module is not built",
        lambda m: unbound(network(m)).remove("sys/module/ivshmem_net"),
        {
            "net-no-module": "the partition ivshmem0p1 is a network, but there is no module "
            f"ivshmem_net for the kernel {KERNEL}: a kernel with CONFIG_INET can have it: sudo "
            "dkms autoinstall, or reinstall the package ivshmem-dkms"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network without its module",
        lambda m: installed(unbound(network(m)), "ivshmem_net").remove("sys/module/ivshmem_net"),
        {
            "net-not-loaded": "the partition ivshmem0p1 is a network, but the module that makes "
            "an interface of it is not loaded: sudo modprobe ivshmem_net"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network that nobody can be rung in",
        lambda m: mute(unbound(network(m))),
        {
            "net-refused": f"{UNUSED} the partition has no vectors: {AGAIN} with --vectors N",
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network without rings",
        lambda m: poke(unbound(network(m)), 2 << 20, bytes(8)),
        {
            "net-refused": f"{UNUSED} the header of its rings is not valid: there is none "
            f"(none); {AGAIN}"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network that was refused",
        lambda m: unbound(network(m)),
        {
            "net-refused": "the driver ivshmem_net has not bound the partition ivshmem0p1: see "
            "'sudo dmesg | grep ivshmem0p1'; to try again, echo ivshmem0p1 | sudo tee "
            "/sys/bus/ivshmem/drivers_probe"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network of unknown peers",
        lambda m: network(m).remove("sys/class/ivshmem/ivshmem0/peers"),
        {
            "net-no-carrier": f"{SILENT}: run this as root, who may see which machines are there",
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network without a slot",
        lambda m: network(m, peers=OTHER),
        {
            "net-no-port": f"{SILENT}, as the label of /dev/ivshmem0 has no slot left for this "
            "machine: see who has them with 'sudo ivshmemctl peers --device ivshmem0'"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network with too few ports",
        lambda m: network(m, "-P", "2", peers=SELF.replace("0", "2", 1) + OTHER),
        {
            "net-no-port": f"{SILENT}, as this machine has slot 2, and the partition has ports "
            f"for slots below 2: {AGAIN} with more --ports"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network for others without a port",
        lambda m: network(m, "-P", "2", peers=SELF + OTHER.replace("1", "2", 1)),
        {
            "net-alone": f"{SILENT}, as no other machine is there: have others share the memory "
            "and load the driver, or run 'ivshmemctl net' on their host"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "a network that others have not",
        lambda m: network(m, peers=SELF + OTHER),
        {
            "net-unlinked": f"{SILENT}: of the machines there (1) none has this network: load "
            "ivshmem_net there and set its interface up, or run 'ivshmemctl net' on a host"
        },
        ["/dev/ivshmem0"],
    ),
]

NO_VSOCK, NOBODY = "ivshmem0p1 carries no vsock, as", "ivshmem0p1 reaches no machine by vsock"

VSOCK = [
    Row(
        "vsock that reaches somebody",
        lambda m: vsock(m, peers=SELF + OTHER, cids="1 1001 down 0 0\n2 1002 up 0 0\n"),
        {},
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock whose module is not built",
        lambda m: unbound(vsock(m)).remove("sys/module/ivshmem_vsock"),
        {
            "vsock-no-module": "the partition ivshmem0p1 is for vsock, but there is no module "
            f"ivshmem_vsock for the kernel {KERNEL}: a kernel with vsock for virtual machines "
            "(CONFIG_VIRTIO_VSOCKETS_COMMON) can have it: sudo dkms autoinstall, or reinstall the "
            "package ivshmem-dkms"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock without its module",
        lambda m: installed(unbound(vsock(m)), "ivshmem_vsock").remove("sys/module/ivshmem_vsock"),
        {
            "vsock-not-loaded": "the partition ivshmem0p1 is for vsock, but the module for that "
            "is not loaded: sudo modprobe ivshmem_vsock"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock that nobody can be rung in",
        lambda m: mute(unbound(vsock(m))),
        {"vsock-refused": f"{NO_VSOCK} the partition has no vectors: {AGAIN} with --vectors N"},
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock beside vhost_vsock",
        lambda m: unbound(vsock(m)).write("sys/module/vhost_vsock/refcnt", "1\n"),
        {
            "vsock-busy": f"{NO_VSOCK} vhost_vsock is loaded, which is for the guests of this "
            "machine, and the kernel has one transport to guests: stop its guests, then: "
            "sudo modprobe -r vhost_vsock; "
            "echo ivshmem0p1 | sudo tee /sys/bus/ivshmem/drivers_probe"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock that was refused",
        lambda m: unbound(vsock(m)),
        {
            "vsock-refused": "the driver ivshmem_vsock has not bound the partition ivshmem0p1: "
            "see 'sudo dmesg | grep ivshmem0p1'; to try again, "
            "echo ivshmem0p1 | sudo tee /sys/bus/ivshmem/drivers_probe"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock with unknown peers",
        lambda m: vsock(m).remove("sys/class/ivshmem/ivshmem0/peers"),
        {
            "vsock-no-link": f"{NOBODY}: run this as root, who may see which machines are there",
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock without a slot",
        lambda m: vsock(m, peers=OTHER),
        {
            "vsock-no-port": f"{NOBODY}, as the label of /dev/ivshmem0 has no slot left for this "
            "machine: see who has them with 'sudo ivshmemctl peers --device ivshmem0'"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock for one machine",
        vsock,
        {
            "vsock-alone": f"{NOBODY}, as no other one is there: have others share the memory "
            "and load the driver"
        },
        ["/dev/ivshmem0"],
    ),
    Row(
        "vsock that others have not",
        lambda m: vsock(m, peers=SELF + OTHER, cids="1 1001 broken 1 0\n"),
        {
            "vsock-unlinked": f"{NOBODY}: of those there (1) none takes part: load "
            "ivshmem_vsock there, and run 'ivshmemctl doctor'"
        },
        ["/dev/ivshmem0"],
    ),
]
