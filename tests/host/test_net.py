# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl net: Ethernet between network namespaces, over a file."""

import contextlib
import json
import mmap
import os
import pathlib
import random
import select
import signal
import subprocess
import sys
import time
import typing

import ctl
import label_reader
import pytest
from json_schema import conforms

TRAFFIC = pathlib.Path(__file__).parent / "common" / "traffic.py"
INTERFACE = "ivs0"
BULK = 16 << 20
SEED = int(os.environ.get("SEED", "1"))
NET = ["unshare", "--net", "--map-root-user"] if os.geteuid() else ["unshare", "--net"]


def missing() -> str:
    """Why there can be no test here, if so."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "needs /dev/net/tun"
    script = "ip tuntap add a mode tap && ip link set lo up"
    if subprocess.run([*NET, "sh", "-c", script], capture_output=True, check=False).returncode:
        return "needs the right to make network namespaces and tap devices"
    return ""


WHY = missing()
pytestmark = pytest.mark.skipif(bool(WHY), reason=WHY)


class Machine:
    """A network namespace with the interface that ivshmemctl net makes in it."""

    def __init__(
        self, device: pathlib.Path, file: pathlib.Path, stack: contextlib.ExitStack
    ) -> None:
        self.device, self.file, self.stack = device, file, stack
        holder = subprocess.Popen([*NET, "sh", "-c", "echo; exec sleep inf"], stdout=-1)
        stack.callback(holder.wait)
        stack.callback(holder.kill)
        assert holder.stdout and holder.stdout.read(1)
        user = ["--user", "--preserve-credentials"] if os.geteuid() else []
        self.enter = ["nsenter", f"--target={holder.pid}", *user, "--net"]
        self.start()

    def start(self) -> None:
        self.net = ctl.Program(
            "net", "--json", "--tap", INTERFACE, device=self.device, prefix=self.enter
        )
        self.stack.callback(self.net.process.kill)
        self.events: list[dict[str, typing.Any]] = []
        self.rest = b""
        joined = self.event("joined")
        self.port, self.address = joined["port"], joined["address"]
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{self.ip}/24", "dev", INTERFACE)
        self.run("ip", "address", "add", f"{self.ip6}/64", "dev", INTERFACE, "nodad")
        self.run("ip", "link", "set", INTERFACE, "up")

    @property
    def ip(self) -> str:
        return f"10.77.0.{self.port + 1}"

    @property
    def ip6(self) -> str:
        return f"fd77::{self.port + 1}"

    def event(self, name: str, port: int | None = None) -> dict[str, typing.Any]:
        """The next line about that, of a port; those before it stay for later."""
        end = time.monotonic() + ctl.LIMIT
        while time.monotonic() < end:
            for event in self.events:
                if event.get("event") == name and port in (None, event["port"]):
                    self.events.remove(event)
                    return event
            if not self.listen(end - time.monotonic()):
                break
        self.net.process.kill()
        self.net.end()
        raise AssertionError(f"no {name} {port}, but {self.events}: {self.net.report()}")

    def listen(self, limit: float) -> bool:
        """Take in what it has printed. Nothing more can come: false."""
        assert self.net.process.stdout
        fd = self.net.process.stdout.fileno()
        if not select.select([fd], [], [], limit)[0]:
            return False
        data = os.read(fd, 65536)
        *lines, self.rest = (self.rest + data).split(b"\n")
        conforms("net", *lines)
        self.events += map(json.loads, lines)
        return bool(data)

    def run(self, *words: str) -> str:
        words = (*self.enter, *words)
        return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout

    def link(self) -> dict[str, typing.Any]:
        return json.loads(self.run("ip", "-json", "link", "show", INTERFACE))[0]

    def traffic(self, *words: str) -> subprocess.Popen[str]:
        """Start it; it is ready when this returns, if it waits for others."""
        program = subprocess.Popen(
            [*self.enter, sys.executable, "-B", TRAFFIC, *words],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.stack.callback(program.kill)
        assert program.stdout
        if words[0] in ("take", "echo", "hear"):
            assert program.stdout.readline() == "ready\n"
        return program

    def reaches(self, other: "Machine", size: int = 64, ip6: bool = False) -> bool:
        address = other.ip6 if ip6 else other.ip
        with ended(other.traffic("echo", address)):
            return result(self.traffic("ask", address, str(size))) == "answered"

    def sends(self, other: "Machine", size: int = BULK, ip6: bool = False) -> bool:
        address = other.ip6 if ip6 else other.ip
        taker = other.traffic("take", address)
        return result(self.traffic("give", address, str(size))) == result(taker)

    def stop(self) -> list[dict[str, typing.Any]]:
        """By Ctrl-C; gives the rest of the lines."""
        self.net.signal(signal.SIGINT)
        assert self.net.end() == -signal.SIGINT, self.net.report()
        assert self.net.err == ""
        lines = self.net.out.splitlines()
        conforms("net", *lines)
        return [json.loads(line) for line in lines]


def result(program: subprocess.Popen[str]) -> str:
    out, _ = program.communicate(timeout=ctl.LIMIT)
    assert program.returncode == 0
    return out.strip()


@contextlib.contextmanager
def ended(program: subprocess.Popen[str]) -> typing.Iterator[None]:
    try:
        yield
    finally:
        program.kill()
        program.wait()


Network = typing.Callable[..., list[Machine]]


@pytest.fixture(name="network")
def fixture_network() -> typing.Iterator[Network]:
    """Makes a file or a server, and machines on it whose links are up."""
    with contextlib.ExitStack() as stack:

        def make(
            count: int, *options: ctl.Word, net: str = "--net", server: bool = False
        ) -> list[Machine]:
            if server:
                device, file = stack.enter_context(ctl.server("32M"))
            else:
                device = file = pathlib.Path("/dev/shm") / f"{ctl.REGION}-net"
                with file.open("wb") as made:
                    made.truncate(32 << 20)
                stack.callback(file.unlink)
            program = ctl.run("format", net, *options, device=file)
            assert program.process.returncode == ctl.OK, program.report()
            machines: list[Machine] = []
            for _ in range(count):
                new = Machine(device, file, stack)
                for one in machines:
                    one.event("up", new.port)
                    new.event("up", one.port)
                machines.append(new)
            return machines

        yield make


SERVER = pytest.mark.parametrize("server", [False, True], ids=["file", "server"])


@SERVER
def test_two_machines(network: Network, server: bool) -> None:
    """Addresses follow the ports, and the carrier the peers; all kinds of traffic arrive."""
    one, two = network(2, server=server)
    assert (one.port, two.port) == (0, 1)
    assert one.address[:15] == two.address[:15] and one.address[15:] == "00"
    assert one.link()["address"] == one.address
    assert {"UP", "LOWER_UP"} <= set(one.link()["flags"])
    for ip6 in (False, True):
        assert one.reaches(two, ip6=ip6)
        assert one.sends(two, ip6=ip6)
        assert two.sends(one, ip6=ip6)
    *_, left = two.stop()
    assert one.event("down", two.port)
    assert "NO-CARRIER" in one.link()["flags"]
    *_, last = one.stop()
    for summary in (left, last):
        assert summary["sent"] > 20 and summary["received"] > 20 and not summary["missed"]
    assert ctl.run("peers", "--json", device=one.file).out
    assert INTERFACE not in one.run("ip", "link")


@SERVER
def test_one_dies_and_returns(network: Network, server: bool) -> None:
    one, two = network(2, server=server)
    address = two.address
    two.net.signal(signal.SIGKILL)
    two.net.end()
    one.event("down", two.port)
    two.start()
    one.event("up", two.port)
    assert one.reaches(two) and two.sends(one)
    # Its slot was free again as soon as its heartbeat had stood still for a second.
    assert two.port != 1 or two.address == address


def test_a_third_machine_hears_all(network: Network) -> None:
    """What is for all comes to all; what is for one, to that one."""
    one, two, three = network(3, "--ports", 3)
    hearers = [machine.traffic("hear", "0.0.0.0") for machine in (two, three)]
    with ended(one.traffic("call", "10.77.0.255", "hello")):
        assert [result(hearer) for hearer in hearers] == ["hello", "hello"]
    assert three.reaches(one) and three.reaches(two)
    before = three.stop()[-1]["received"]
    assert one.sends(two) and before < 1000


def test_large_frames(network: Network) -> None:
    one, two = network(2, "--ports", 4)
    for machine in (one, two):
        machine.run("ip", "link", "set", INTERFACE, "mtu", "65000")
    assert one.reaches(two, 64000) and one.sends(two) and two.sends(one)


def test_small_rings(network: Network) -> None:
    """No frame of 64 KiB fits into them, so there are none."""
    one, two = network(2, "--ports", 16, net="--net=2M")
    assert one.reaches(two, 1400) and one.sends(two, 1 << 20)
    assert one.stop()[-1]["dropped"] < 1000


def test_one_that_stands_still_stops_nobody_else(network: Network) -> None:
    one, two, three = network(3)
    assert one.reaches(two) and one.reaches(three)
    with ended(one.traffic("call", two.ip, "x" * 1400)):
        two.net.signal(signal.SIGSTOP)
        assert one.sends(three, 4 << 20)
        one.event("down", two.port)
        two.net.signal(signal.SIGCONT)
        one.event("up")
    assert one.sends(three, 1 << 20)


def test_what_ends_it(network: Network) -> None:
    """Without its interface or its port, or when the server is gone, it says so."""
    one, two, three = network(3)
    one.run("ip", "link", "delete", INTERFACE)
    assert one.net.end() == ctl.FAILED and "somebody has deleted it" in one.net.err
    two.event("down", one.port)
    ctl.run("format", "--net", "--force", device=two.file)
    for machine in (two, three):
        assert machine.net.end() == ctl.FAILED and "is lost" in machine.net.err


def test_a_server_that_ends(network: Network) -> None:
    one, two = network(2, server=True)
    servers = json.loads(ctl.run("list", "--json").out)
    (pid,) = [server["pid"] for server in servers if server["name"] == str(one.device)]
    os.kill(pid, signal.SIGTERM)
    for machine in (one, two):
        assert machine.net.end() == ctl.NO_DEVICE and "is gone" in machine.net.err


def test_an_address_of_the_user_stays(network: Network) -> None:
    """On a tap device that was there before. That of another port does not stay."""
    one, two = network(2)
    for old, new in ((f"{one.address[:-2]}77", one.address), ("02:00:00:00:00:77",) * 2):
        one.stop()
        one.run("ip", "tuntap", "add", INTERFACE, "mode", "tap")
        one.run("ip", "link", "set", INTERFACE, "address", old)
        one.start()
        assert one.link()["address"] == new
        assert one.reaches(two)
        one.stop()
        assert INTERFACE in one.run("ip", "link")
        one.run("ip", "link", "delete", INTERFACE)
        one.start()


def section(machine: Machine) -> tuple[int, int]:
    """Where the section of its port is in the file, and how large that is."""
    (entry,) = json.loads(ctl.run("partition", "list", "--json", device=machine.file).out)
    size = entry["rings"]["section"]
    return entry["offset"] + 4096 + machine.port * size, size


def scribble(machine: Machine, seconds: float, places: typing.Callable[[int], int]) -> None:
    """Write nonsense into its section for a while, at some of these."""
    dice = random.Random(SEED)
    start, size = section(machine)
    end = time.monotonic() + seconds
    with machine.file.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        while time.monotonic() < end:
            at = start + places(dice.randrange(size - 64))
            length = dice.choice((4, 8, 64)) if at - start > 512 else 4
            memory[at : at + length] = dice.choice((bytes(length), dice.randbytes(length)))


def test_a_hostile_machine(network: Network) -> None:
    """It scribbles over its section. The others go on, and it can come back."""
    one, two, three = network(3, "--ports", 3)
    taker = two.traffic("take", two.ip)
    giver = one.traffic("give", two.ip, str(BULK))
    assert one.reaches(three)
    # Indexes of rings to and from the first port, or anything behind the lines.
    scribble(three, 1, lambda at: (64, 128, at | 1024)[at % 3])
    one.event("broken", three.port)
    scribble(three, 1, lambda at: at if at % 2 else at % 512)
    assert result(giver) == result(taker)
    assert one.reaches(two)
    three.net.signal(signal.SIGKILL)
    three.net.end()
    one.event("down", three.port)
    three.start()
    one.event("up", three.port)
    assert one.reaches(three) and three.reaches(two)


def test_what_is_no_segment(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "memory"
    file.write_bytes(bytes(16 << 20))

    def refuses(code: int, says: str, *words: str) -> None:
        program = ctl.run("net", *words, device=file)
        assert program.process.returncode == code and says in program.err, program.report()

    refuses(ctl.FAILED, "has no label")
    assert not ctl.run("format", device=file).err
    refuses(ctl.FAILED, "has no partition of the type net")
    refuses(ctl.FAILED, "has no partition 'a' of the type net", "a")
    for name in ("a", "b"):
        words = ["partition", "add", name, "2M", "-t", "net", "-v", "1"]
        assert not ctl.run(*words, device=file).err
    label_reader.take_vectors(file)
    refuses(ctl.USAGE, "has several partitions of the type net")
    refuses(ctl.FAILED, "partition a of", "a")
    with file.open("r+b") as made:
        made.seek(0x200000)
        made.write(bytes(1 << 20))
    refuses(ctl.CORRUPTED, "has no valid header: there is none (none)", "a")
