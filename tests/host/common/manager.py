# SPDX-License-Identifier: GPL-2.0-only
"""A service manager for ivshmem-server, as far as systemd is one: it passes a listening
socket, keeps the descriptors that the server stores, and passes them to the next one."""

import fcntl
import os
import pathlib
import signal
import socket
import struct
import subprocess
import typing

import ctl

FIRST_FD = 3
# The process id is that of the program which the shell becomes.
OURS = ("sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh")


class Peer:
    """A client without the library."""

    def __init__(self, path: pathlib.Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(ctl.LIMIT)
        self.socket.connect(str(path))
        assert self.message() == (0, [])
        self.id, _ = self.message()
        mark, fds = self.message()
        assert mark == -1
        self.memory = fds[0]

    def message(self) -> tuple[int, list[int]]:
        data, fds, _, _ = socket.recv_fds(self.socket, 8, 1)
        if len(data) < 8:
            raise ConnectionError("the server has closed the connection")
        return struct.unpack("<q", data)[0], fds

    def inode(self) -> tuple[int, int]:
        status = os.fstat(self.memory)
        return status.st_dev, status.st_ino

    def close(self) -> None:
        self.socket.close()
        os.close(self.memory)


class Manager:
    """Runs one server at a time."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.path = directory / "passed"
        self.log = directory / "log"
        self.stored: dict[str, int] = {}
        self.status = ""
        self.ready = False
        self.process: subprocess.Popen[bytes] | None = None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(directory / "notify"))
        self.notify.settimeout(ctl.LIMIT)

    def start(
        self, *options: ctl.Word, also: typing.Sequence[tuple[str, int]] = (), limit: int = 0
    ) -> None:
        """Start a server, and wait until it is ready, or has ended."""
        passed = [("socket", self.listener.fileno()), *self.stored.items(), *also]
        # Out of the way of the numbers that they will have.
        sources = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for _, fd in passed]

        def place() -> None:
            for number, source in enumerate(sources):
                os.dup2(source, FIRST_FD + number)

        self.ready = False
        self.status = ""
        nofile = ("prlimit", f"--nofile={limit}") if limit else ()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*nofile, *OURS, ctl.SERVER, "-F", *map(str, options)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=ctl.environment(
                    LISTEN_FDS=str(len(passed)),
                    LISTEN_FDNAMES=":".join(name for name, _ in passed),
                    NOTIFY_SOCKET=str(self.directory / "notify"),
                ),
                pass_fds=range(FIRST_FD, FIRST_FD + len(passed)),
                preexec_fn=place,
            )
        for source in sources:
            os.close(source)
        self.until(lambda: self.ready or self.has_ended())

    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def said(self) -> str:
        return self.log.read_text()

    def until(self, condition: typing.Callable[[], object]) -> None:
        """Take messages until the condition holds."""
        self.notify.settimeout(0.1)
        assert ctl.wait_until(lambda: self.take() or condition()), self.said()

    def take(self) -> bool:
        """Take a message, if there is one; never holds."""
        try:
            data, fds, _, _ = socket.recv_fds(self.notify, 4096, 8)
        except TimeoutError:
            return False
        words = dict(line.split("=", 1) for line in data.decode().splitlines())
        if "FDSTOREREMOVE" in words:
            os.close(self.stored.pop(words["FDNAME"]))
        if "FDSTORE" in words:
            assert words["FDPOLL"] == "0" and words["FDNAME"] not in self.stored
            (self.stored[words["FDNAME"]],) = fds
        self.ready |= words.get("READY") == "1"
        self.status = words.get("STATUS", self.status)
        return False

    def end(self, number: signal.Signals) -> None:
        assert self.process
        self.process.send_signal(number)
        assert self.process.wait(ctl.LIMIT) in (0, -number), self.said()

    def close(self) -> None:
        if self.process and not self.has_ended():
            self.end(signal.SIGTERM)
        for fd in self.stored.values():
            os.close(fd)
        self.listener.close()
        self.notify.close()
