# SPDX-License-Identifier: GPL-2.0-only
"""Tables of wrong inputs, and the rules that each row of them obeys."""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import typing

import ctl

NOBODY = 65534
HINT = "Try `"  # argp's second line, which it wraps
LONGEST = 500  # characters of a message
# A program that cannot print: to start it in Row.shell, and what it says.
FULL = 'exec "$@" >/dev/full'
CLOSED = 'exec "$@" >&-'
UNPRINTED = "cannot write the output"


@dataclasses.dataclass(frozen=True)
class Row:
    """One wrong input. {scratch}, {device} and the like stand for paths, see Place."""

    words: list[str]
    code: int
    says: list[str]  # on stderr: what is wrong, and what to do
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    shell: str = 'exec "$@"'  # what starts the program, such as with a redirection
    user: bool = False  # who may not do everything


def name_of(row: Row) -> str:
    """What the row is called in the output: printable, and short."""
    words = " ".join([*(f"{key}={value}" for key, value in row.env.items()), *row.words])
    if row.shell != Row.shell:
        words += f" ({row.shell})"
    printable = ascii(words + (" (ordinary user)" if row.user else ""))[1:-1]
    return printable if len(printable) < 90 else f"{printable[:80]}..."


def speak(listener: socket.socket, answer: bytes) -> None:
    """A server of another protocol: it gives one answer, and ends the connection."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)


class Place:
    """A directory with what rows name, and a copy of the program for any user."""

    def __init__(self, program: pathlib.Path, directory: pathlib.Path, device: str) -> None:
        self.directory = directory
        # Words outside: what a row changes in here is a fault.
        self.program = directory / "bin" / program.name
        self.names = {"scratch": str(directory), "device": device, "long": "x" * 300}
        self.sockets: list[socket.socket] = []
        self.program.parent.mkdir()
        shutil.copy(program, self.program)
        directory.chmod(0o777)
        (directory / "file").write_text("not a pid\n")
        (directory / "empty").mkdir()
        (directory / "secret").write_text("")
        (directory / "secret").chmod(0)
        (directory / "locked").mkdir(mode=0)
        (directory / "loop").symlink_to("loop")
        os.mkfifo(directory / "fifo")
        self.listen("busy", b"")
        self.listen("text", b"SSH-2.0-OpenSSH_9.2\r\n")
        self.listen("negative", b"\xff" * 64)
        self.listen("short", b"\0\0\0")
        self.listen("monitor", b'{"QMP": {"version": {}, "capabilities": []}}\r\n')
        silent = socket.socket(socket.AF_UNIX)  # as QEMU's monitor, which has its one client
        silent.bind(str(directory / "silent"))
        silent.listen(16)
        self.sockets.append(silent)
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(directory / "dead"))
        dead.close()
        datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        datagrams.bind(str(directory / "datagrams"))
        self.sockets.append(datagrams)

    def listen(self, name: str, answer: bytes) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.directory / name))
        listener.listen(16)
        threading.Thread(target=speak, args=(listener, answer), daemon=True).start()
        self.sockets.append(listener)

    def close(self) -> None:
        for each in self.sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def fill(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def contents(self) -> list[object]:
        """All that a program could leave behind."""
        found: list[object] = []
        for path in sorted(self.directory.rglob("*")):
            status = path.lstat()
            found.append((str(path), status.st_mode, status.st_ino, status.st_size))
        shared = pathlib.Path("/dev/shm").glob(f"{ctl.REGION}-wrong*")
        return [*found, *sorted(map(str, shared))]

    def run(self, row: Row) -> subprocess.CompletedProcess[bytes]:
        prefix: list[str] = []
        if row.user and os.geteuid() == 0:
            prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        env = ctl.environment(**{key: self.fill(value) for key, value in row.env.items()})
        words = [self.fill(word) for word in row.words]
        return subprocess.run(
            [*prefix, "sh", "-c", self.fill(row.shell), "sh", self.program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=env,
            cwd=self.directory,
            timeout=ctl.LIMIT,
        )

    def check(self, row: Row) -> None:
        """What holds for each row: see docs/testing.md."""
        before = self.contents()
        ended = self.run(row)
        said = ended.stderr.decode(errors="replace")
        print(said)
        assert ended.returncode == row.code
        assert ended.stdout == b""
        check_message(said, self.program.name)
        for words in row.says:
            assert self.fill(words) in said
        assert self.contents() == before


def check_message(said: str, program: str) -> None:
    """One line or two, short, from the program, and nothing that commands a terminal."""
    assert said.endswith("\n") and len(said) <= LONGEST
    message, _, hint = said.partition(HINT)
    lines = message.splitlines()
    assert 1 <= len(lines) <= (1 if hint else 2)
    assert len(hint.splitlines()) <= 2
    for line in lines:
        assert line.startswith((f"{program}: ", f"{program} ")) and ": " in line
        assert line.isprintable()


@contextlib.contextmanager
def place(program: pathlib.Path, device: str = "") -> typing.Iterator[Place]:
    with tempfile.TemporaryDirectory() as directory:
        made = Place(program, pathlib.Path(directory), device)
        try:
            yield made
        finally:
            made.close()
