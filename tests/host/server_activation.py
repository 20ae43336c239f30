#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""ivshmem-server as systemd starts it: an inherited socket, and word that it is
up (tools/server/activation.c, socket.c, log.c)."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import typing

sys.path.insert(0, str(pathlib.Path(__file__).parent / "common"))
from ctl import (
    LIMIT,
    OK,
    SERVER,
    Place,
    check,
    check_exit,
    done,
    environment,
    run,
    skip,
    wait_until,
)
from manager import FIRST_FD, OURS

File = socket.socket | typing.BinaryIO


class Server:
    """One that gets a file as its first descriptor beyond stderr."""

    def __init__(
        self,
        directory: pathlib.Path,
        *options: Place,
        file: File | None = None,
        prefix: typing.Sequence[Place] = OURS,
        journal: bool = False,
        **extra: str,
    ) -> None:
        self.log = directory / "log"
        with self.log.open("wb") as log:
            status = os.fstat(log.fileno())
            if journal:
                extra["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
            self.process = subprocess.Popen(
                [*prefix, SERVER, *options, "--memfd"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(**{"LISTEN_FDS": "1", **extra}),
                pass_fds=[FIRST_FD] if file else [],
                preexec_fn=lambda: os.dup2(file.fileno(), FIRST_FD) if file else None,
            )

    def said(self) -> str:
        return self.log.read_text()

    def listens(self) -> bool:
        return (
            wait_until(lambda: "event=listen" in self.said() or self.ended()) and not self.ended()
        )

    def ended(self) -> bool:
        return self.process.poll() is not None

    def stop(self) -> int:
        """Terminate it and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LIMIT)


@contextlib.contextmanager
def listening(address: Place) -> typing.Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        yield listener


def check_refused(
    directory: pathlib.Path,
    name: str,
    words: str,
    *options: Place,
    file: File | None = None,
    sockets: str = "1",
) -> None:
    server = Server(directory, "-F", *options, file=file, LISTEN_FDS=sockets)
    status = server.process.wait(LIMIT)
    check(status == 1 and words in server.said(), name, f"exit status {status}", server.said())


def test_inherited(directory: pathlib.Path) -> None:
    path = directory / "socket"
    with listening(path) as listener:
        choices: list[list[Place]] = [[], ["-S", path]]
        for options in choices:
            server = Server(directory, "-F", *options, file=listener)
            check(
                server.listens() and f"socket={path} " in server.said(),
                f"it takes an inherited socket, options {options}",
                server.said(),
            )
            check_exit(run("info", device=path), OK, "peers join by it")
            check(server.stop() == 0, "it ends well", server.said())
            check(
                path.exists() and not path.with_name("socket.lock").exists(),
                "the socket's path is left to its owner",
            )
        check_refused(
            directory,
            "another path",
            "change ListenStream=",
            "-S",
            directory / "other",
            file=listener,
        )
        check_refused(directory, "a mode", "SocketMode=", "--mode", "0660", file=listener)
    path.unlink()


def test_abstract(directory: pathlib.Path) -> None:
    name = f"ivshmem-test-{os.getpid()}"
    with listening("\0" + name) as listener:
        server = Server(directory, "-F", file=listener)
        check(
            server.listens() and f"socket=@{name} " in server.said(),
            "an abstract name",
            server.said(),
        )
        server.stop()


def test_background(directory: pathlib.Path) -> None:
    path, pid_file = directory / "socket", directory / "pid"
    with listening(path) as listener:
        server = Server(directory, "-p", pid_file, file=listener)
        check(server.process.wait(LIMIT) == 0, "it takes it to the background", server.said())
        check_exit(run("info", device=path), OK, "where it serves")
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        check(wait_until(lambda: not pid_file.exists()), "and ends")
    path.unlink()


def test_other_kinds(directory: pathlib.Path) -> None:
    words = "other than a listening Unix stream socket"
    near, far = socket.socketpair()
    with near, far:
        check_refused(directory, "a connection (Accept=yes)", words, file=near)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets:
        packets.bind(str(directory / "packets"))
        packets.listen()
        check_refused(directory, "a socket of packets", words, file=packets)
    with socket.socket(socket.AF_INET) as tcp:
        tcp.listen()
        check_refused(directory, "a TCP socket", words, file=tcp)
    with open("/dev/null", "rb") as file:
        check_refused(directory, "a file", words, file=file)
    check_refused(directory, "nothing", words)
    with listening(directory / "one") as listener:
        check_refused(directory, "two sockets", "more than one socket", file=listener, sockets="2")


def test_stale(directory: pathlib.Path) -> None:
    """What was meant for the process that started this one."""
    path = directory / "own"
    with listening(directory / "foreign") as listener:
        server = Server(directory, "-F", "-S", path, file=listener, prefix=(), LISTEN_PID="1")
        check(
            server.listens() and f"socket={path} " in server.said(),
            "another process's socket is left alone",
            server.said(),
        )
        check(server.stop() == 0 and not path.exists(), "its own goes with it")


def test_ready(directory: pathlib.Path) -> None:
    path = directory / "notify"
    for address, name in ((str(path), str(path)), (f"\0{path}", f"@{path}")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(LIMIT)
            server = Server(
                directory, "-F", "-S", directory / "own", NOTIFY_SOCKET=name, prefix=()
            )
            messages = iter(lambda: manager.recv(100), b"READY=1")
            stores = ["FDNAME=memory", "FDNAME=ids"]
            check(
                [message.decode().split("\n")[1] for message in messages] == stores,
                f"it stores what a restart needs, then says on {name} that it is up",
            )
            check_exit(run("info", device=directory / "own"), OK, "and is")
            server.stop()
    server = Server(directory, "-F", "-S", directory / "own", NOTIFY_SOCKET="/nowhere", prefix=())
    check(
        server.listens() and server.said().count("cannot notify") == 1,
        "a missing service manager is no reason to stop",
        server.said(),
    )
    server.stop()


def test_journal(directory: pathlib.Path) -> None:
    server = Server(directory, "-F", "-S", directory / "own", journal=True, prefix=())
    check(
        server.listens() and server.said().startswith("<5>event=listen"),
        "the journal learns the severity",
        server.said(),
    )
    server.stop()
    server = Server(directory, "-F", "-S", directory / "own", prefix=(), JOURNAL_STREAM="1:2")
    check(
        server.listens() and server.said().startswith("level=notice event=listen"),
        "and nothing else does",
        server.said(),
    )
    server.stop()


def test_real(directory: pathlib.Path) -> None:
    """systemd's own tool waits for the first peer before it starts the server."""
    path = directory / "real"
    program = shutil.which("systemd-socket-activate")
    if not program:
        skip("systemd-socket-activate", "not installed")
        return
    server = Server(directory, "-F", prefix=(program, "-l", path))
    wait_until(lambda: path.exists() or server.ended())
    check("event=listen" not in server.said(), "no peer, no server", server.said())
    info = run("info", "--json", device=path)
    check(
        info.process.returncode == OK and json.loads(info.out)["id"] == 0,
        "the first peer starts it",
        info.report(),
        server.said(),
    )
    info = run("info", "--json", device=path)
    check(
        json.loads(info.out)["id"] == 1 and not server.ended(),
        "which goes on when the last one left, and gives the next one a fresh id",
        server.said(),
    )
    check(server.stop() == 0, "it ends well", server.said())


def main() -> None:
    for test in (
        test_inherited,
        test_abstract,
        test_background,
        test_other_kinds,
        test_stale,
        test_ready,
        test_journal,
        test_real,
    ):
        with tempfile.TemporaryDirectory() as directory:
            test(pathlib.Path(directory))
    done()


main()
