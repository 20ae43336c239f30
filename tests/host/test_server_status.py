# SPDX-License-Identifier: GPL-2.0-only
"""What the server reports to an administrator: the status line of the service, and that a
limit comes near (tools/server/status.c, limit.c)."""

import pathlib
import re
import resource
import typing

import ctl
import pytest
from manager import Manager, Peer

LIMIT = 64


@pytest.fixture(name="manager")
def fixture_manager(tmp_path: pathlib.Path) -> typing.Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.close()


def check_status(manager: Manager, text: str) -> None:
    """The status becomes this text, with the descriptors that the server has."""
    assert manager.process
    fds = pathlib.Path(f"/proc/{manager.process.pid}/fd")
    limit = resource.prlimit(manager.process.pid, resource.RLIMIT_NOFILE)[0]
    manager.until(
        lambda: manager.status == f"{text}; {len(list(fds.iterdir())):,} descriptors of {limit:,}"
    )


def test_status(manager: Manager) -> None:
    manager.start("--memfd", "--size=64M", "--vectors=1")
    check_status(manager, "0 peers, 1 vector each, 64 MiB")
    peers = [Peer(manager.path)]
    check_status(manager, "1 peer, 1 vector each, 64 MiB")
    peers += [Peer(manager.path) for _ in range(2)]
    check_status(manager, "3 peers, 1 vector each, 64 MiB")
    peers.pop().close()
    check_status(manager, "2 peers, 1 vector each, 64 MiB")
    for peer in peers:
        peer.close()
    check_status(manager, "0 peers, 1 vector each, 64 MiB")


def test_thousands(manager: Manager) -> None:
    manager.start("--memfd", "--size=2G", "--vectors=256")
    peers = [Peer(manager.path) for _ in range(4)]
    check_status(manager, "4 peers, 256 vectors each, 2 GiB")
    assert re.search(r"; 1,\d\d\d descriptors of ", manager.status)
    for peer in peers:
        peer.close()


def warnings(manager: Manager) -> list[dict[str, str]]:
    lines = re.findall("event=limit .*", manager.said())
    return [dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line)) for line in lines]


def joins(manager: Manager) -> Peer | None:
    try:
        return Peer(manager.path)
    except (ConnectionError, AssertionError):
        return None


def leave(manager: Manager, peers: list[Peer]) -> None:
    for peer in peers:
        peer.close()
    peers.clear()
    assert ctl.wait_until(lambda: re.search("event=leave .*peers=0$", manager.said(), re.M))


@pytest.mark.parametrize("vectors", [1, 4])
def test_limit(manager: Manager, vectors: int) -> None:
    manager.start("--memfd", f"--vectors={vectors}", limit=LIMIT)
    peers: list[Peer] = []
    while not warnings(manager):
        peers.append(Peer(manager.path))
    (warning,) = warnings(manager)
    assert "event=refuse" not in manager.said()
    assert warning["limit"] == str(LIMIT) and warning["peers"] == str(len(peers))
    used = int(warning["descriptors"])
    assert LIMIT * 3 // 4 <= used <= LIMIT * 3 // 4 + vectors
    assert "LimitNOFILE=" in warning["advice"] and "ulimit -Hn" in warning["advice"]

    peers += [Peer(manager.path) for _ in range(int(warning["room"]))]
    assert joins(manager) is None
    assert ctl.wait_until(lambda: "event=refuse" in manager.said())
    assert len(warnings(manager)) == 1
    leave(manager, peers)


def test_limit_again(manager: Manager) -> None:
    """A peer that comes and goes at the limit gives one warning; a new crowd a new one."""
    manager.start("--memfd", limit=LIMIT)
    peers: list[Peer] = []
    while not warnings(manager):
        peers.append(Peer(manager.path))
    for _ in range(3):
        peers.pop().close()
        peers.append(Peer(manager.path))
    assert len(warnings(manager)) == 1
    count = len(peers)
    leave(manager, peers)
    peers += [Peer(manager.path) for _ in range(count)]
    assert len(warnings(manager)) == 2
    leave(manager, peers)
