# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl and a server for it, for tests that look at the programs from outside."""

import array
import contextlib
import json
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import types
import typing

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build" / "san"))
CTL = BUILD / "ivshmemctl"
SERVER = BUILD / "ivshmem-server"
LIMIT = 60  # seconds that no step may exceed
REGION = f"ivshmem-test-{os.getpid()}"
CRASHED = 99  # what the sanitizers make of a program they stop

OK, FAILED, USAGE, NO_DEVICE, DENIED, TIMEOUT, CORRUPTED = range(7)

Word = str | int | pathlib.Path
Place = str | pathlib.Path  # of a device: a node, or a server's socket

points = failures = 0


def check(passed: object, name: str, *details: object) -> bool:
    """One point; @details are shown before it if it failed."""
    global points, failures
    points += 1
    if not passed:
        failures += 1
        for detail in details:
            for line in str(detail).splitlines():
                print(f"# {line}")
    print(f"{'' if passed else 'not '}ok {points} - {name}", flush=True)
    return bool(passed)


def skip(name: str, why: str) -> None:
    global points
    points += 1
    print(f"ok {points} - {name} # SKIP {why}", flush=True)


def done() -> typing.NoReturn:
    print(f"1..{points}", flush=True)
    sys.exit(1 if failures else 0)


def environment(**extra: str) -> dict[str, str]:
    env = {**os.environ, "LC_ALL": "C.UTF-8", **extra}
    env["ASAN_OPTIONS"] = f"exitcode={CRASHED}"
    env["UBSAN_OPTIONS"] = f"exitcode={CRASHED}"
    env.setdefault("IVSHMEM_DEVICE", "")
    return env


class Program:
    """An ivshmemctl that runs beside the test."""

    def __init__(
        self,
        *arguments: Word,
        device: Place | None = None,
        stdin: int = subprocess.DEVNULL,
        prefix: typing.Sequence[Place] = (),
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        variables: typing.Mapping[str, str] = types.MappingProxyType({}),
        before: typing.Callable[[], object] | None = None,
    ) -> None:
        env = environment(**({"IVSHMEM_DEVICE": str(device)} if device else {}))
        self.arguments = [str(argument) for argument in arguments]
        self.process = subprocess.Popen(
            [*prefix, CTL, *self.arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env={**env, **variables},
            preexec_fn=before,
        )

    def end(self, data: bytes | None = None) -> int:
        """The exit code, once it has ended by itself; then out and err are there."""
        try:
            out, err = self.process.communicate(data, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            err += b"\nkilled by the test: it did not end"
        self.out, self.err = out, err.decode(errors="replace")
        return self.process.returncode

    def feed(self, data: bytes) -> None:
        """What it reads next from its stdin, a pipe."""
        assert self.process.stdin
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close(self) -> None:
        """End its stdin, a pipe."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.stdin = None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def is_running(self) -> bool:
        return self.process.poll() is None

    def is_stopped(self) -> bool:
        """By SIGSTOP, which takes a moment."""
        status = pathlib.Path("/proc", str(self.process.pid), "stat").read_text()
        return status.rpartition(")")[2].split()[0] == "T"

    def line(self) -> bytes:
        """The next line on its stdout, or nothing if none comes in time."""
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        return self.process.stdout.readline() if ready else b""

    def has_joined(self) -> bool:
        """The server has given it an id and the region."""
        fds = pathlib.Path("/proc", str(self.process.pid), "fd")
        with contextlib.suppress(OSError):
            return any(REGION in os.readlink(fd) for fd in fds.iterdir())
        return False

    def report(self) -> str:
        return f"{' '.join(self.arguments)}: exit code {self.process.returncode}\n{self.err}"


def run(
    *arguments: Word,
    device: Place | None = None,
    data: bytes | None = None,
    prefix: typing.Sequence[Place] = (),
) -> Program:
    """Run ivshmemctl to its end."""
    program = Program(*arguments, device=device, prefix=prefix, stdin=subprocess.PIPE)
    program.end(data or b"")
    return program


def check_exit(program: Program, code: int, name: str, *words: str) -> bool:
    """The program ended with @code, and said all of @words on stderr."""
    missing = [word for word in words if word not in program.err]
    return check(
        program.process.returncode == code and not missing,
        name,
        program.report(),
        f"expected: exit code {code} and {list(words)}",
    )


def wait_until(condition: typing.Callable[[], object], limit: float = LIMIT) -> bool:
    """Look at the condition until it holds; gives whether it did in time."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def join(*arguments: Word, device: Place | None) -> Program:
    """Start one that is on the server before anybody else comes: it has the lowest free id."""
    program = Program(*arguments, device=device)
    wait_until(program.has_joined)
    return program


def peers(device: Place | None) -> list[int]:
    """The ids of all connected peers."""
    return json.loads(run("info", "--json", device=device).out)["peers"]


@contextlib.contextmanager
def server(
    size: str = "1M",
    vectors: int = 4,
    memory: typing.Sequence[str] = ("-M", REGION),
    ids: typing.Sequence[str] = ("--reuse-ids",),
) -> typing.Iterator[tuple[pathlib.Path, pathlib.Path]]:
    """A running ivshmem-server: its socket, and the path of the region's file. It reuses
    ids, so that tests know them."""
    region = pathlib.Path("/dev/shm") / REGION
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "socket"
        log = (pathlib.Path(directory) / "log").open("wb")
        process = subprocess.Popen(
            [SERVER, "-F", "-S", path, *memory, "-l", size, "-n", str(vectors), *ids],
            stderr=log,
            env=environment(),
        )
        try:
            # It listens before it makes its memory.
            if not wait_until(
                lambda: path.exists() and (REGION not in memory or region.exists()), 10
            ):
                print("Bail out! ivshmem-server does not start")
                sys.exit(1)
            yield path, region
        finally:
            process.terminate()
            process.wait(LIMIT)
            region.unlink(missing_ok=True)


@contextlib.contextmanager
def plain_server(size: int) -> typing.Iterator[str]:
    """A server that gives no vectors: the host's like of a device without doorbells."""
    memory = os.memfd_create("region")
    os.ftruncate(memory, size)
    connections: list[socket.socket] = []

    def welcome(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.sendall(struct.pack("<qq", 0, len(connections)))
                connection.sendmsg(
                    [struct.pack("<q", -1)],
                    [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [memory]))],
                )
                connections.append(connection)

    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "socket")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(8)
        threading.Thread(target=welcome, args=(listener,), daemon=True).start()
        try:
            yield path
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for connection in connections:
                connection.close()
            os.close(memory)
