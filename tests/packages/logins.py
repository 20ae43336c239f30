# SPDX-License-Identifier: GPL-2.0-only
"""Two machines with systemd log in to each other by vsock, as docs/vsock.md says: one listens by
the units that come with it, the other by systemd's own."""

import concurrent.futures
import pathlib
import re

import build
import built_packages
import debian_roots
import upgrades
from checked_system import CheckedSystem, Checks
from devices import Devices
from machine import Machine

DOCS = build.TOP / "docs"
UNITS = ("sshd-ivshmem.socket", "sshd-ivshmem@.service")
# The machines have the same disk. What each one is told at boot, and listens by then:
MACHINES = (
    (f"systemd.ssh_listen=vsock::22 systemd.mask={UNITS[0]}", "sshd-extra.socket"),
    ("", UNITS[0]),
)
LINKED = (
    'timeout 300 sh -c \'until grep " up " /sys/bus/ivshmem/devices/ivshmem0p1/cids; '
    "do sleep 1; done'"
)
SSH = "ssh -o BatchMode=yes -o LogLevel=ERROR"


def alias() -> str:
    """What the document has users write into ~/.ssh/config."""
    text = (DOCS / "vsock.md").read_text()
    found = re.search(r"^    Host guest1\n(    .*\n)+", text, re.M)
    assert found, "docs/vsock.md has no configuration of ssh"
    return found[0]


def root(directory: pathlib.Path, checks: Checks) -> debian_roots.Tree:
    """A system with our packages and units, into which its own root may log in."""
    tree = debian_roots.Tree(
        debian_roots.base("trixie", [*upgrades.KERNEL, "openssh-client", "openssh-server"]),
        directory / "tree",
    )
    dist = built_packages.directory("deb", built_packages.version())
    for name in ("ivshmem-dkms", "ivshmemctl"):
        tree.copy_in(dist.glob(f"{name}_*.deb"), "packages")
    tree.copy_in([DOCS / "vsock" / unit for unit in UNITS], "etc/systemd/system")
    tree.must(
        "apt-get -q -y install /packages/*.deb && cd /root && mkdir -p -m 700 .ssh && "
        "ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519 && "
        f"cp .ssh/id_ed25519.pub .ssh/authorized_keys && echo '{alias()}' > .ssh/config"
    )
    status, output = tree.run(f"systemctl enable {UNITS[0]}")
    checks.ok("the units are enabled", status == 0, output)
    return tree


def ssh(directory: pathlib.Path, checks: Checks, devices: Devices) -> None:
    tree = root(directory, checks)
    machines = []
    for number, (append, _) in enumerate(MACHINES):
        own = directory / f"guest{number}"
        own.mkdir()
        tree.disk(own / "disk")
        append += f" systemd.hostname=guest{number}"
        machines.append(Machine(own, own / "disk", None, devices, append))
    # A guest dies with the thread that started it.
    with concurrent.futures.ThreadPoolExecutor(len(machines)) as pool:
        try:
            list(pool.map(Machine.boot, machines))
            _steps(checks, machines)
        finally:
            for machine in machines:
                machine.kill()


def _steps(checks: Checks, machines: list[Machine]) -> None:
    owners = [CheckedSystem(checks, machine.run) for machine in machines]
    # Systemd does not wait for what udev loads.
    for machine in machines:
        machine.must("udevadm settle")
    machines[0].must("ivshmemctl format --device ivshmem0 --vsock --ports 4")
    for machine in machines:
        machine.must("ivshmemctl rescan --device ivshmem0")
    for number, (owner, (_, unit)) in enumerate(zip(owners, MACHINES)):
        owner.holds(f"guest {number} reaches the other one", LINKED)
        # Which ends a listener that systemd has made by itself before the driver was there.
        machines[number].must("systemctl daemon-reload")
        owner.equal(
            f"guest {number}: {unit} listens, and nothing else",
            "systemctl list-sockets --no-legend | awk '/^vsock:/ { print $1, $2 }'",
            f"vsock::22 {unit}",
        )
    for owner, other in zip(owners, (1, 0)):
        owner.equal(
            f"ssh vsock/{1000 + other} logs in without a key of the host",
            f"{SSH} vsock/{1000 + other} hostname",
            f"guest{other}",
        )
    _named(owners[0])
    for number, machine in enumerate(machines):
        found = machine.complaints()
        checks.ok(f"guest {number}: the kernel did not complain", not found, "\n".join(found))


def _named(owner: CheckedSystem) -> None:
    """Guest 1 has a name, to which a key belongs."""
    owner.holds(
        "ssh guest1 does not log in where the key is not known",
        f"! {SSH} guest1 hostname >/tmp/told 2>&1 && cat /tmp/told && "
        "grep 'Host key verification failed' /tmp/told",
    )
    owner.holds("a key is accepted", f"{SSH} -o StrictHostKeyChecking=accept-new guest1 true")
    owner.equal("ssh guest1 logs in where it is", f"{SSH} guest1 hostname", "guest1")
    owner.equal(
        "scp knows guest1, too",
        f"{SSH} guest1 'hostname >/tmp/name' && scp -q guest1:/tmp/name /tmp && cat /tmp/name",
        "guest1",
    )
