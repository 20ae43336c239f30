# SPDX-License-Identifier: GPL-2.0-only
"""A server is killed and started again: newcomers get the same memory as the peers that
are left, and no id of theirs (tools/server/restore.c, ids.c, notify.c, activation.c)."""

import os
import pathlib
import re
import signal
import subprocess
import typing

import ctl
import pytest
from manager import Manager, Peer

SIZE = "--size=1M"
GONE = "cannot continue with the memory of the previous server"


@pytest.fixture(name="manager")
def fixture_manager(tmp_path: pathlib.Path) -> typing.Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.close()


def written(number: int) -> bytes:
    return b"by peer %d" % number


def check_survivors(survivors: list[Peer], newcomer: Peer) -> None:
    """All use one memory, and nobody has the newcomer's id."""
    for peer in survivors:
        assert peer.inode() == newcomer.inode()
        assert os.pread(newcomer.memory, 9, 4096 * peer.id) == written(peer.id)
    os.pwrite(newcomer.memory, written(newcomer.id), 0)
    assert os.pread(survivors[0].memory, 9, 0) == written(newcomer.id)
    os.pwrite(newcomer.memory, written(survivors[0].id), 0)
    assert newcomer.id not in [peer.id for peer in survivors]


@pytest.mark.parametrize("option", ["--memfd", "--directory=/tmp", "--directory=/dev/shm"])
@pytest.mark.parametrize("ids", ["", "--reuse-ids"])
def test_killed(manager: Manager, option: str, ids: str) -> None:
    """Three peers are connected as the server dies, and again as the next one does."""
    options = [option, SIZE, *([ids] if ids else [])]
    peers: list[Peer] = []
    manager.start(*options)
    assert sorted(manager.stored) == ["ids", "memory"]
    assert "event=restore" not in manager.said()
    for _ in range(2):
        for _ in range(3):
            peers.append(Peer(manager.path))
            os.pwrite(peers[-1].memory, written(peers[-1].id), 4096 * peers[-1].id)
        manager.end(signal.SIGKILL)
        manager.start(*options)
        assert f"event=restore size=1M next_id={len(peers)}" in manager.said()
        peers.append(Peer(manager.path))
        assert peers[-1].id == len(peers) - 1
        os.pwrite(peers[-1].memory, written(peers[-1].id), 4096 * peers[-1].id)
        check_survivors(peers[:-1], peers[-1])
    for peer in peers:
        peer.close()


def test_sealed(manager: Manager) -> None:
    """Peers cannot resize the memory that the manager kept either."""
    manager.start("--memfd", SIZE)
    manager.end(signal.SIGKILL)
    manager.start("--memfd", SIZE)
    peer = Peer(manager.path)
    with pytest.raises(PermissionError):
        os.ftruncate(peer.memory, 4096)
    peer.close()


def test_stopped(manager: Manager) -> None:
    """systemctl restart: the manager keeps what it has while it starts the next server."""
    manager.start("--memfd", SIZE)
    first = Peer(manager.path)
    manager.end(signal.SIGTERM)
    manager.start("--memfd", SIZE)
    second = Peer(manager.path)
    assert second.inode() == first.inode() and (first.id, second.id) == (0, 1)
    first.close()
    second.close()


@pytest.mark.parametrize(
    "first, second, why",
    [
        (["--memfd", SIZE], ["--memfd", "--size=2M"], "it has 1M, the options ask for 2M"),
        (["--memfd", SIZE], ["--directory=/dev/shm", SIZE], "another kind"),
        (["--directory=/dev/shm", SIZE], ["--memfd", SIZE], "another kind"),
        (["--memfd", SIZE], ["-M", ctl.REGION, SIZE], "another kind"),
    ],
)
def test_other_options(manager: Manager, first: list[str], second: list[str], why: str) -> None:
    """The administrator wants another memory: the old one is dropped, with a warning."""
    manager.start(*first)
    before = Peer(manager.path)
    manager.end(signal.SIGKILL)
    manager.start(*second)
    assert GONE in manager.said() and why in manager.said()
    assert "event=restore" not in manager.said()
    after = Peer(manager.path)
    assert after.inode() != before.inode() and after.id == 0
    if "memory" in manager.stored:
        status = os.fstat(manager.stored["memory"])
        assert (status.st_dev, status.st_ino) == after.inode()
    else:
        assert "-M" in second
    before.close()
    after.close()


def test_unsealed(manager: Manager) -> None:
    """Memory that peers could resize is not taken for our own."""
    memory = os.memfd_create("memory", os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, 1 << 20)
    manager.stored["memory"] = memory
    manager.start("--memfd", SIZE)
    assert GONE in manager.said() and "another kind" in manager.said()


@pytest.mark.parametrize("text", [b"", b"0x123\n", b"99999\n", b"-0001\n", b"12"])
def test_unreadable_ids(manager: Manager, text: bytes) -> None:
    manager.start("--memfd", SIZE)
    manager.end(signal.SIGKILL)
    os.ftruncate(manager.stored["ids"], 0)
    os.pwrite(manager.stored["ids"], text, 0)
    manager.start("--memfd", SIZE)
    assert re.search("event=restore .* next_id=0$", manager.said(), re.MULTILINE)


def test_last_id(manager: Manager) -> None:
    """After the last id come those that nobody connected has. Larger ones are those of slots;
    a server of an earlier version gave them, too."""
    manager.start("--memfd", SIZE)
    manager.end(signal.SIGKILL)
    for stored, expected in ((65279, 65279), (None, 0), (65280, 0), (65535, 0)):
        if stored is not None:
            os.pwrite(manager.stored["ids"], b"%d\n" % stored, 0)
        manager.start("--memfd", SIZE)
        peer = Peer(manager.path)
        assert peer.id == expected
        peer.close()
        manager.end(signal.SIGKILL)


def test_twice(manager: Manager) -> None:
    """Of two memories the server cannot know which one the peers use."""
    manager.start("--memfd", SIZE)
    manager.end(signal.SIGKILL)
    manager.start("--memfd", SIZE, also=[("memory", manager.stored["memory"])])
    assert manager.has_ended() and "more than one memory: stop the service" in manager.said()


class Object:
    """A server with an object, which it finds again without a service manager."""

    def __init__(self, directory: pathlib.Path, *options: str, **env: str) -> None:
        self.path = directory / "socket"
        self.process = subprocess.Popen(
            [ctl.SERVER, "-F", "-S", self.path, SIZE, *options],
            stderr=subprocess.PIPE,
            env=ctl.environment(**env),
        )
        assert self.process.stderr
        self.said = ""
        while "event=listen" not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line.decode()

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.communicate(timeout=ctl.LIMIT)


def test_manager_without_store(manager: Manager) -> None:
    """A unit without FileDescriptorStoreMax=: the ids are in the lock as well."""
    env = {"NOTIFY_SOCKET": str(manager.directory / "notify")}
    for expected in range(3):
        server = Object(manager.directory, "-M", ctl.REGION, **env)
        manager.until(lambda: "ids" in manager.stored)
        os.close(manager.stored.pop("ids"))
        peer = Peer(server.path)
        assert peer.id == expected
        peer.close()
        server.end(signal.SIGKILL if expected < 2 else signal.SIGTERM)


def test_object(tmp_path: pathlib.Path) -> None:
    server = Object(tmp_path, "-M", ctl.REGION)
    peers = [Peer(server.path) for _ in range(3)]
    for peer in peers:
        os.pwrite(peer.memory, written(peer.id), 4096 * peer.id)
    server.end(signal.SIGKILL)
    # The next one with other options does not start, and loses nothing.
    words = [str(ctl.SERVER), "-F", "-S", str(server.path), "-M", ctl.REGION, "--size=2M"]
    wrong = subprocess.run(words, stderr=subprocess.PIPE, env=ctl.environment(), check=False)
    assert wrong.returncode == 1 and b"exists and has 1M" in wrong.stderr, wrong.stderr
    server = Object(tmp_path, "-M", ctl.REGION)
    assert "event=restore size=1M next_id=3" in server.said
    newcomer = Peer(server.path)
    check_survivors(peers, newcomer)
    server.end(signal.SIGTERM)
    assert not (tmp_path / "socket.lock").exists()
    for peer in [*peers, newcomer]:
        peer.close()


def test_fresh_memory(tmp_path: pathlib.Path) -> None:
    """Without a manager a memfd ends with the server, and so do the ids."""
    server = Object(tmp_path, "--memfd")
    first = Peer(server.path)
    server.end(signal.SIGKILL)
    server = Object(tmp_path, "--memfd")
    second = Peer(server.path)
    assert "event=restore" not in server.said
    assert first.inode() != second.inode() and (first.id, second.id) == (0, 0)
    server.end(signal.SIGTERM)
    first.close()
    second.close()
