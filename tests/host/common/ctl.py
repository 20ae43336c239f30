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

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build" / "san"))
CTL = BUILD / "ivshmemctl"
SERVER = BUILD / "ivshmem-server"
LIMIT = 60  # seconds that no step may exceed
REGION = f"ivshmem-test-{os.getpid()}"
CRASHED = 99  # what the sanitizers make of a program they stop

OK, FAILED, USAGE, NO_DEVICE, DENIED, TIMEOUT, CORRUPTED = range(7)

points = failures = 0


def check(passed, name, *details):
    """One point; @details are shown before it if it failed."""
    global points, failures
    points += 1
    if not passed:
        failures += 1
        for detail in details:
            for line in str(detail).splitlines():
                print(f"# {line}")
    print(f"{'' if passed else 'not '}ok {points} - {name}", flush=True)
    return passed


def skip(name, why):
    global points
    points += 1
    print(f"ok {points} - {name} # SKIP {why}", flush=True)


def done():
    print(f"1..{points}", flush=True)
    sys.exit(1 if failures else 0)


def environment(**extra):
    env = {**os.environ, "LC_ALL": "C.UTF-8", **extra}
    env["ASAN_OPTIONS"] = f"exitcode={CRASHED}"
    env["UBSAN_OPTIONS"] = f"exitcode={CRASHED}"
    env.setdefault("IVSHMEM_DEVICE", "")
    return env


class Program:
    """An ivshmemctl that runs beside the test."""

    def __init__(self, *arguments, device=None, stdin=subprocess.DEVNULL, prefix=()):
        env = environment(**({"IVSHMEM_DEVICE": str(device)} if device else {}))
        self.arguments = [str(argument) for argument in arguments]
        self.process = subprocess.Popen(
            [*prefix, CTL, *self.arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
        )

    def end(self, data=None):
        """The exit code, once it has ended by itself; then out and err are there."""
        try:
            out, err = self.process.communicate(data, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            err += b"\nkilled by the test: it did not end"
        self.out, self.err = out, err.decode(errors="replace")
        return self.process.returncode

    def signal(self, number):
        self.process.send_signal(number)

    def is_running(self):
        return self.process.poll() is None

    def line(self):
        """The next line on its stdout, or nothing if none comes in time."""
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        return self.process.stdout.readline() if ready else b""

    def has_joined(self):
        """The server has given it an id and the region."""
        fds = pathlib.Path("/proc", str(self.process.pid), "fd")
        with contextlib.suppress(OSError):
            return any(REGION in os.readlink(fd) for fd in fds.iterdir())
        return False

    def report(self):
        return f"{' '.join(self.arguments)}: exit code {self.process.returncode}\n{self.err}"


def run(*arguments, device=None, data=None, prefix=()):
    """Run ivshmemctl to its end."""
    program = Program(*arguments, device=device, prefix=prefix, stdin=subprocess.PIPE)
    program.end(data or b"")
    return program


def check_exit(program, code, name, *words):
    """The program ended with @code, and said all of @words on stderr."""
    missing = [word for word in words if word not in program.err]
    return check(
        program.process.returncode == code and not missing,
        name,
        program.report(),
        f"expected: exit code {code} and {list(words)}",
    )


def wait_until(condition, limit=LIMIT):
    """Look at the condition until it holds; gives whether it did in time."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def join(*arguments, device):
    """Start one that is on the server before anybody else comes: it has the lowest free id."""
    program = Program(*arguments, device=device)
    wait_until(program.has_joined)
    return program


def peers(device):
    """The ids of all connected peers."""
    return json.loads(run("info", "--json", device=device).out)["peers"]


@contextlib.contextmanager
def server(size="1M", vectors=4, memory=("-M", REGION)):
    """A running ivshmem-server: its socket, and the path of the region's file."""
    region = pathlib.Path("/dev/shm") / REGION
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "socket"
        log = (pathlib.Path(directory) / "log").open("wb")
        process = subprocess.Popen(
            [SERVER, "-F", "-S", path, *memory, "-l", size, "-n", str(vectors)],
            stderr=log,
            env=environment(),
        )
        try:
            if not wait_until(path.exists, 10):
                print("Bail out! ivshmem-server does not start")
                sys.exit(1)
            yield path, region
        finally:
            process.terminate()
            process.wait(LIMIT)
            region.unlink(missing_ok=True)


@contextlib.contextmanager
def plain_server(size):
    """A server that gives no vectors: the host's like of a device without doorbells."""
    memory = os.memfd_create("region")
    os.ftruncate(memory, size)
    connections = []

    def welcome(listener):
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
