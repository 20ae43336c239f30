# SPDX-License-Identifier: GPL-2.0-only
"""A server is killed and started again under three guests: a fourth has the same memory.
Doorbells reach those who joined at the same server, and nobody else (ivshmem-server(1),
"After a crash")."""

import concurrent.futures
import contextlib
import json
import pathlib
import signal
import typing

import ctl
import pytest
from manager import Manager

import boot
import kernels
import klog
import qemu
import run
import topology

SECONDS = qemu.patience(120)  # for one command
OPTIONS = ("--memfd", "--size=1M", "--vectors=3")
DEVICE = "-chardev socket,id=server,path={} -device ivshmem-doorbell,chardev=server,vectors=3"
# Until a line comes.
LISTEN = "ivshmemctl wait --json & read -r _; kill $!; wait"
FIRST, STRANGE, LAST = range(3)  # vectors, by who rings them

# Rings a peer's vector.
Ringer = typing.Callable[[int, int], None]


class Guest:
    """A guest, and its peer id."""

    def __init__(self, machine: qemu.Guest) -> None:
        self.machine = machine
        self.id: int = json.loads(self.run("ivshmemctl info --json"))["id"]
        self.text = f"from guest {self.id}"

    def run(self, command: str) -> str:
        """What a command prints."""
        lines: list[str] = []
        status = self.machine.run(command, SECONDS, lines.append)
        assert status == 0, lines
        return "\n".join(lines).strip()

    def write(self) -> None:
        self.run(f"ivshmemctl write {4096 * self.id} '{self.text}'")

    def sees(self, other: "Guest") -> bool:
        offset, length = 4096 * other.id, len(other.text)
        return self.run(f"ivshmemctl read --raw {offset} {length}") == other.text

    def ring(self, peer: int, vector: int) -> None:
        self.run(f"ivshmemctl ring {peer} {vector}")

    def hears(self, friends: tuple[Ringer, Ringer], strangers: typing.Iterable[Ringer]) -> bool:
        """Each friend reaches it. Does a stranger, who rings between them?"""
        heard: list[int] = []

        def take(line: str) -> str | None:
            heard.append(json.loads(line).get("vector"))
            return "enough" if heard[-1] == LAST and heard.count(LAST) == 1 else None

        def reached(ring: Ringer, vector: int) -> bool:
            ring(self.id, vector)
            return vector in heard

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            listening = pool.submit(self.machine.run, LISTEN, SECONDS, take)
            assert ctl.wait_until(lambda: reached(friends[0], FIRST), SECONDS)
            for ring in strangers:
                ring(self.id, STRANGE)
            assert ctl.wait_until(lambda: reached(friends[1], LAST), SECONDS)
            listening.result()
        return STRANGE in heard

    def complaints(self) -> list[str]:
        return klog.reports(klog.between(self.machine.console, 0, None))


@pytest.fixture(name="setup", scope="module")
def fixture_setup() -> typing.Iterator[boot.Setup]:
    try:
        qemu.binary(kernels.find(kernels.DEFAULT).arch)
    except qemu.GuestError as error:
        pytest.skip(str(error))
    setup = run.setup_for(kernels.find(kernels.DEFAULT), [])
    yield setup
    setup.close()


@contextlib.contextmanager
def guests(setup: boot.Setup, count: int, path: pathlib.Path) -> typing.Iterator[list[Guest]]:
    """Some guests at the server of a socket."""
    wanted = topology.Topology(
        guests=str(count), devices="none", smp="1", qemu=DEVICE.format(path)
    )
    machines = boot.start(setup, wanted, [])
    try:
        yield [Guest(machine) for machine in machines.guests]
    finally:
        machines.stop()


def from_host(path: pathlib.Path) -> Ringer:
    """A program of the host, which joins and leaves."""

    def ring(peer: int, vector: int) -> None:
        ctl.run("ring", peer, vector, device=path)

    return ring


def check_doorbells(survivors: list[Guest], fourth: Guest, path: pathlib.Path) -> None:
    for guest in survivors:
        one, other = (friend.ring for friend in survivors if friend is not guest)
        assert not guest.hears((one, other), [fourth.ring])
        assert "is not connected" in ctl.run("ring", guest.id, STRANGE, device=path).err
    newcomer = from_host(path)
    assert not fourth.hears((newcomer, newcomer), [guest.ring for guest in survivors])


def test_killed(setup: boot.Setup, tmp_path: pathlib.Path) -> None:
    with contextlib.closing(Manager(tmp_path)) as manager:
        manager.start(*OPTIONS)
        with guests(setup, 3, manager.path) as survivors:
            for guest in survivors:
                guest.write()
            manager.end(signal.SIGKILL)
            manager.start(*OPTIONS)
            last = max(guest.id for guest in survivors)
            assert f"event=restore size=1M next_id={last + 1}" in manager.said()
            with guests(setup, 1, manager.path) as (fourth,):
                assert fourth.id > last
                fourth.write()
                for guest in survivors:
                    assert fourth.sees(guest) and guest.sees(fourth)
                check_doorbells(survivors, fourth, manager.path)
                for guest in [*survivors, fourth]:
                    assert not guest.complaints()
