# SPDX-License-Identifier: GPL-2.0-only
"""A user whose many clients never read does not keep others from being announced
(tools/server/unread.c)."""

import contextlib
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import typing

import ctl
import pytest
from manager import Peer

SERVER_USER, SILENT_USER, OTHER_USER = 65534, 65533, 65532
DESCRIPTORS = 16384
DROPPED = 4000  # clients, one after the other, which leave more unread than that
SILENT = 1200  # clients, whose shares of the descriptors in flight are more than all of them

SILENT_CLIENTS = """
import socket, sys

def join(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    return client

clients = [join(sys.argv[1]) for _ in range(int(sys.argv[2]))]
print("ready", flush=True)
sys.stdin.read()
"""

# Each gets its share of messages about those who come and go, which it does not read.
DROPPED_CLIENTS = """
import socket, sys

def join(path):
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    return client

some = [join(sys.argv[1]) for _ in range(40)]
clients = []
for _ in range(int(sys.argv[2])):
    clients.append(join(sys.argv[1]))
    clients[-1].recv(1, socket.MSG_PEEK)
    if len(clients) > 40:
        clients[-41].shutdown(socket.SHUT_WR)
print("ready", flush=True)
sys.stdin.read()
"""


def limited(user: int) -> typing.Callable[[], None]:
    """What a child does before it runs its program: become the user, with the limit."""

    def become() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        os.setgid(user)
        os.setuid(user)

    return become


@pytest.fixture(name="path")
def fixture_path() -> typing.Iterator[pathlib.Path]:
    if os.geteuid():
        pytest.skip("needs root, to be several users")
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        os.chown(directory, SERVER_USER, SERVER_USER)
        directory.chmod(0o755)
        server = directory / "ivshmem-server"
        shutil.copy(ctl.SERVER, server)
        path = directory / "socket"
        command: list[ctl.Place] = [
            server,
            "-F",
            "-S",
            path,
            "--mode",
            "666",
            "--memfd",
            "-l",
            "1M",
            "-n",
            "1",
        ]
        with subprocess.Popen(
            command,
            preexec_fn=limited(SERVER_USER),
            env=ctl.environment(),
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                assert ctl.wait_until(path.exists)
                yield path
            finally:
                process.terminate()
                process.wait(ctl.LIMIT)


class Reader:
    """A client of another user, which reads what there is."""

    def __init__(self, path: pathlib.Path) -> None:
        os.seteuid(OTHER_USER)
        try:
            self.peer = Peer(path)
        finally:
            os.seteuid(0)
        self.known: set[int] = set()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self) -> None:
        try:
            while True:
                peer, fds = self.peer.message()
                for fd in fds:
                    os.close(fd)
                    self.known.add(peer)
        except OSError:
            pass

    def close(self) -> None:
        self.peer.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.peer.close()


@contextlib.contextmanager
def meanwhile(
    path: pathlib.Path, program: str, count: int
) -> typing.Iterator[tuple[Reader, Reader]]:
    """Clients of a user that read nothing, and of another one: who was there before, and who
    joins after them."""
    witness = Reader(path)
    with subprocess.Popen(
        [sys.executable, "-c", program, path, str(count)],
        preexec_fn=limited(SILENT_USER),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as silent:
        assert silent.stdout and silent.stdout.readline() == b"ready\n"
        newcomer = Reader(path)
        yield witness, newcomer
        newcomer.close()
        witness.close()
        silent.communicate()


def test_silent_user(path: pathlib.Path) -> None:
    everyone = SILENT + 2
    with meanwhile(path, SILENT_CLIENTS, SILENT) as (witness, newcomer):
        assert ctl.wait_until(lambda: len(newcomer.known) == everyone), len(newcomer.known)
        assert ctl.wait_until(lambda: len(witness.known) == everyone), len(witness.known)


def test_silent_after_the_end(path: pathlib.Path) -> None:
    """A client that has been dropped, but reads nothing and keeps its socket, still counts."""
    with meanwhile(path, DROPPED_CLIENTS, DROPPED) as (witness, newcomer):
        assert ctl.wait_until(lambda: newcomer.peer.id in witness.known), witness.known
        assert ctl.wait_until(lambda: witness.peer.id in newcomer.known), newcomer.known
