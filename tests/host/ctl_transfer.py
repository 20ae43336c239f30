#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl send and recv: whole transfers, broken ones, and hostile other ends."""

import contextlib
import itertools
import json
import mmap
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).parent / "common"))
import binding
import ivshmem
from ctl import (
    CORRUPTED,
    CTL,
    FAILED,
    LIMIT,
    NO_DEVICE,
    OK,
    TIMEOUT,
    Place,
    Program,
    check,
    check_exit,
    done,
    environment,
    plain_server,
    server,
    wait_until,
)

assert binding.ENVIRONMENT  # without it there is no module ivshmem
SIZE = 1 << 20
# A channel: what docs/library.md calls buffer 0 is the sender's, buffer 1 the receiver's.
DATA = 4096
BACK = 512  # bytes of buffer 1
ENDLESS = 1000000  # seconds: a side that waits for them is killed by the test
MAGIC = 0x6C6E6863766D6873
SENDER, RECEIVER = (512, 1664), (1280, 896)  # words of the producer, of the consumer
# Messages, as tools/ctl/stream.h has them.
HELLO, DATA_KIND, BEAT, END, VERDICT, QUIT = range(1, 7)


class Region:
    """The shared memory as a third process sees it."""

    def __init__(self, path: pathlib.Path) -> None:
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)

    def get(self, offset: int) -> int:
        return struct.unpack_from("<Q", self.memory, offset)[0]

    def put(self, offset: int, value: int) -> None:
        struct.pack_into("<Q", self.memory, offset, value)

    def fill(self, data: bytes) -> None:
        self.memory[:] = data

    def create_channel(self, version: int, first: int) -> None:
        """What another program has left, with a buffer 0 of so many bytes."""
        self.fill(bytes(SIZE))
        words = (MAGIC, version, SIZE, first, SIZE - DATA - first)
        struct.pack_into("<5Q", self.memory, 0, *words)

    def hellos(self) -> set[int]:
        return {self.get(half) for half in SENDER + RECEIVER}

    def have_met(self) -> bool:
        """Both directions are open."""
        return all(
            self.get(mine) != 0 and self.get(mine) == self.get(other + 8)
            for ours, theirs in ((SENDER, RECEIVER), (RECEIVER, SENDER))
            for mine, other in ((ours[0], theirs[1]), (ours[1], theirs[0]))
        )


class Pair:
    """A sender fed by the test, and a receiver, in the middle of a transfer."""

    def __init__(self, device: Place, region: Region, output: Place, *options: str) -> None:
        # What earlier pairs left looks like two that have met.
        region.fill(bytes(SIZE))
        self.sender = Program("send", *options, device=device, stdin=subprocess.PIPE)
        self.receiver = Program("recv", output, *options, device=device)
        wait_until(region.have_met)

    def feed(self, data: bytes) -> None:
        self.sender.feed(data)

    def ends(
        self,
        sender: int,
        receiver: int,
        name: str,
        sender_says: typing.Sequence[str] = (),
        receiver_says: typing.Sequence[str] = (),
    ) -> None:
        """Both end by themselves, with these exit codes and words."""
        self.sender.end()
        self.receiver.end()
        check_exit(self.sender, sender, f"{name}: the sender", *sender_says)
        check_exit(self.receiver, receiver, f"{name}: the receiver", *receiver_says)


def transfer(
    device: Place, directory: pathlib.Path, data: bytes, receiver_first: bool | None, *options: str
) -> tuple[Program, Program, bytes]:
    """Send a file to a file; both programs and what came out."""
    source, target = directory / "source", directory / "target"
    source.write_bytes(data)
    target.write_bytes(b"longer than what comes" * 10)
    verbs = [("send", source), ("recv", target)]
    if receiver_first:
        verbs.reverse()
    first = Program(*verbs[0], "--json", *options, device=device)
    if receiver_first is not None:
        time.sleep(0.2)
    second = Program(*verbs[1], "--json", *options, device=device)
    first.end()
    second.end()
    return first, second, target.read_bytes()


def check_transfer(
    device: Place,
    directory: pathlib.Path,
    data: bytes,
    receiver_first: bool | None,
    name: str,
    *options: str,
) -> None:
    first, second, received = transfer(device, directory, data, receiver_first, *options)
    good = first.process.returncode == OK and second.process.returncode == OK and received == data
    check(good, name, first.report(), second.report(), f"{len(received)} bytes arrived")
    if not good:
        return
    results = [json.loads(program.out) for program in (first, second)]
    check(
        all(result["bytes"] == len(data) for result in results)
        and results[0]["xxh64"] == results[1]["xxh64"]
        and results[0]["seconds"] >= 0,
        f"{name}: both report the same",
        results,
    )


def test_sizes(device: Place, directory: pathlib.Path, kind: str) -> None:
    orders = itertools.cycle(
        [(False, "sender first"), (True, "receiver first"), (None, "at once")]
    )
    for size in (0, 1, 4095, 65537, SIZE - DATA, SIZE, 5 * SIZE + 7):
        receiver_first, order = next(orders)
        check_transfer(
            device, directory, os.urandom(size), receiver_first, f"{kind}: {size} bytes, {order}"
        )


def test_known_checksum(device: Place, directory: pathlib.Path) -> None:
    first, _, _ = transfer(device, directory, b"", None)
    check(json.loads(first.out)["xxh64"] == "ef46db3751d8e999", "XXH64 of nothing is as published")


def test_pipes(device: Place) -> None:
    data = os.urandom(3 * SIZE + 1)
    receiver = Program("recv", "--json", device=device)
    sender = Program("send", "-", device=device, stdin=subprocess.PIPE)
    # Our own end of the pipes must not wait for the other.
    command = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=sender.process.stdin)
    assert command.stdin
    sender.close()
    writer = os.fork()
    if writer == 0:
        command.stdin.write(data)
        command.stdin.close()
        os._exit(0)
    command.stdin.close()
    receiver.end()
    sender.end()
    os.waitpid(writer, 0)
    command.wait()
    check(
        receiver.out == data and receiver.process.returncode == OK,
        "from stdin to stdout",
        receiver.report(),
        sender.report(),
    )
    check(
        json.loads(receiver.err)["bytes"] == len(data),
        "the JSON is not amid the data",
        receiver.err,
    )
    check("sent 3145729 bytes" in sender.err, "the sender says what it sent", sender.err)


def test_one_after_another(device: Place, directory: pathlib.Path) -> None:
    """No pause between transfers: each side starts the next one when it likes."""
    for number in range(5):
        (directory / f"in{number}").write_bytes(os.urandom(100000 * number))

    def loop(verb: str, prefix: str) -> subprocess.Popen[bytes]:
        script = " && ".join(f'"$0" {verb} {directory}/{prefix}{number}' for number in range(5))
        return subprocess.Popen(
            ["sh", "-c", script, CTL],
            stderr=subprocess.PIPE,
            env=environment(IVSHMEM_DEVICE=str(device)),
        )

    sides = [loop("send", "in"), loop("recv", "out")]
    errors = [side.communicate(timeout=60)[1].decode() for side in sides]
    check([side.returncode for side in sides] == [OK, OK], "five transfers in a row", *errors)
    check(
        all(
            (directory / f"in{number}").read_bytes() == (directory / f"out{number}").read_bytes()
            for number in range(5)
        ),
        "each of them arrived",
    )


def test_stale_contents(device: Place, region: Region, directory: pathlib.Path) -> None:
    data = os.urandom(2 * SIZE)
    for fill, name in (
        (os.urandom(SIZE), "random bytes"),
        (b"\xff" * SIZE, "ones"),
        (bytes(SIZE), "zeroes"),
    ):
        region.fill(fill)
        check_transfer(device, directory, data, True, f"over {name}, receiver first")
        region.fill(fill)
        check_transfer(device, directory, data, False, f"over {name}, sender first")


def test_dead_before(device: Place, region: Region, directory: pathlib.Path) -> None:
    """A side that is killed while it waits leaves its hello behind."""
    region.fill(bytes(SIZE))
    for verb in ("send", "recv"):
        before = region.hellos()
        dead = Program(verb, "/dev/null", device=device)
        wait_until(lambda: region.hellos() - before)
        dead.signal(signal.SIGKILL)
        dead.end()
        other = Program(
            "recv" if verb == "send" else "send", "/dev/null", "-t", "1", device=device
        )
        check(
            other.end() == TIMEOUT, f"a dead '{verb}' is not taken for a live one", other.report()
        )
        check_transfer(device, directory, b"data" * 99, verb == "send", f"after a dead '{verb}'")


def holds(path: pathlib.Path, data: bytes) -> typing.Callable[[], bool]:
    return lambda: path.read_bytes() == data


def kill_one(device: Place, directory: pathlib.Path, victim: str, timeout: int) -> Program:
    """Kill a side in the middle of a transfer; the other has ended by itself."""
    out = directory / "out"
    out.unlink(missing_ok=True)
    sender = Program("send", "-t", timeout, device=device, stdin=subprocess.PIPE)
    receiver = Program("recv", out, "-t", timeout, device=device)
    sender.feed(b"x" * 1000)
    wait_until(lambda: out.exists() and holds(out, b"x" * 1000)())
    dead, other = (sender, receiver) if victim == "sender" else (receiver, sender)
    dead.signal(signal.SIGKILL)
    dead.end()
    if victim == "receiver":
        sender.close()
    other.end()
    return other


def test_killed(device: Place, directory: pathlib.Path, doorbells: bool) -> None:
    """A server with doorbells reports who leaves; else only silence shows it."""
    for victim in ("sender", "receiver"):
        # Both have to start within 5 s, on a machine that has other work.
        code, words, timeout = (
            (FAILED, f"the {victim} is gone", ENDLESS)
            if doorbells
            else (TIMEOUT, f"no activity of the {victim} for 5 s", 5)
        )
        other = kill_one(device, directory, victim, timeout)
        check_exit(other, code, f"a killed {victim} is noticed", words)
        if victim == "sender":
            check(
                "out is incomplete: it has the first 1000 bytes" in other.err,
                "the receiver knows that the file is incomplete",
                other.err,
            )
            check(holds(directory / "out", b"x" * 1000)(), "what came before stays")
        check_transfer(device, directory, b"data" * 99, None, f"after a killed {victim}")


def test_killed_at_speed(device: Place, directory: pathlib.Path) -> None:
    """Without a pause in the data, and again and again: nothing but the server's word ends
    the other side."""
    for victim in ("sender", "receiver"):
        others = []
        for _ in range(10):
            sender = Program("send", "/dev/zero", "-t", ENDLESS, device=device)
            receiver = Program("recv", "-t", ENDLESS, device=device)
            assert receiver.process.stdout
            receiver.process.stdout.read(3 * SIZE)
            # It reads no more: have the receiver write to the end.
            drain = threading.Thread(target=receiver.process.stdout.read)
            drain.start()
            dead, other = (sender, receiver) if victim == "sender" else (receiver, sender)
            dead.signal(signal.SIGKILL)
            drain.join(LIMIT)
            dead.end()
            other.end()
            others.append(other)
        check(
            all(
                other.process.returncode == FAILED and f"the {victim} is gone" in other.err
                for other in others
            ),
            f"a killed {victim} is noticed amid the data",
            *[other.report() for other in others],
        )
    check_transfer(device, directory, b"data" * 99, None, "after all these")


def test_early_end(device: Place, region: Region) -> None:
    """A side goes on waiting if another end closes before the beginning."""
    with ivshmem.Handle(device) as shm:
        region.fill(bytes(SIZE))
        sender = Program("send", "/dev/null", device=device)
        with ivshmem.Channel.attach(shm) as channel:
            channel.recv(timeout=LIMIT)
        receiver = Program("recv", "/dev/null", device=device)
        check_exit(sender if sender.end() else sender, OK, "send after another receiver")
        check_exit(receiver if receiver.end() else receiver, OK, "which has it all")

        region.fill(bytes(SIZE))
        with ivshmem.Channel.create(shm, SIZE, send_size=SIZE - DATA - BACK) as channel:
            receiver = Program("recv", "/dev/null", device=device)
            while not region.have_met():
                with contextlib.suppress(TimeoutError):
                    channel.recv(timeout=0.1)
        sender = Program("send", "/dev/null", device=device)
        check_exit(receiver if receiver.end() else receiver, OK, "recv after another sender")
        check_exit(sender if sender.end() else sender, OK, "which sends it all")


def test_held_up(device: Place, region: Region, directory: pathlib.Path) -> None:
    """A sender that waits for its input is not dead."""
    pair = Pair(device, region, directory / "out", "-t", "1")
    pair.feed(b"first")
    time.sleep(2.5)
    pair.feed(b"second")
    pair.ends(OK, OK, "slow input")
    check((directory / "out").read_bytes() == b"firstsecond", "slow input arrives")
    # Nor is a receiver that waits until its output is read.
    data = os.urandom(2 * SIZE)
    (directory / "source").write_bytes(data)
    sender = Program("send", directory / "source", "-t", "1", device=device)
    receiver = Program("recv", "-t", "1", device=device)
    time.sleep(2.5)
    receiver.end()
    sender.end()
    check_exit(sender, OK, "slow output: the sender")
    check_exit(receiver, OK, "slow output: the receiver")
    check(receiver.out == data, "slow output arrives")


def test_giving_up(device: Place, region: Region, directory: pathlib.Path) -> None:
    pair = Pair(device, region, directory / "out")
    pair.sender.signal(signal.SIGINT)
    pair.ends(
        -signal.SIGINT, FAILED, "interrupted sender", ["interrupted"], ["the sender gave up"]
    )
    pair = Pair(device, region, directory / "out")
    pair.receiver.signal(signal.SIGTERM)
    pair.ends(
        FAILED, -signal.SIGTERM, "interrupted receiver", ["the receiver gave up"], ["interrupted"]
    )
    # The sender hears first that nobody takes its data, before it reads why.
    pair = Pair(device, region, directory / "out")
    pair.feed(b"x")
    wait_until(lambda: (directory / "out").read_bytes() == b"x")
    pair.sender.signal(signal.SIGSTOP)
    pair.receiver.signal(signal.SIGTERM)
    wait_until(lambda: not pair.receiver.is_running())
    pair.feed(b"y")
    pair.sender.signal(signal.SIGCONT)
    pair.ends(FAILED, -signal.SIGTERM, "receiver of a stopped sender", ["the receiver gave up"])
    pair = Pair(device, region, "/dev/full")
    pair.feed(b"x")
    pair.ends(FAILED, FAILED, "full disk", ["the receiver gave up"], ["/dev/full", "No space"])
    (directory / "kept").write_text("kept")
    alone = Program("recv", directory / "kept", "-t", "1", device=device)
    check_exit(alone if alone.end() else alone, TIMEOUT, "no sender", "no activity of the sender")
    check((directory / "kept").read_text() == "kept", "then the output file stays as it was")


def test_windows(device: Place, region: Region, directory: pathlib.Path) -> None:
    region.fill(b"\xaa" * SIZE)
    window = ("--offset", "64K", "--size", "0x10000")
    check_transfer(device, directory, os.urandom(SIZE), None, "part of the region", *window)
    check(
        region.memory[: 1 << 16] == b"\xaa" * (1 << 16)
        and region.memory[2 << 16 :] == b"\xaa" * (SIZE - (2 << 16)),
        "the rest is left alone",
    )
    check_transfer(
        device, directory, os.urandom(SIZE // 4), None, "the smallest part", "--size", "8K"
    )

    for size in ("128K", "64K"):
        check_transfer(
            device, directory, b"data", True, f"{size} after another size", "--size", size
        )
    for version, first, name in ((2, 1 << 19, "geometry"), (99, 1 << 19, "version")):
        region.create_channel(version, first)
        check_transfer(device, directory, b"data", True, f"after a channel of other {name}")

    sender = Program("send", "/dev/null", "--size", "64K", device=device)
    receiver = Program("recv", "/dev/null", "--size", "128K", device=device)
    sender.end()
    receiver.end()
    check_exit(sender, FAILED, "different sizes: the sender", "same --offset and --size")
    check_exit(receiver, FAILED, "different sizes: the receiver", "same --offset and --size")


def test_intruders(device: Place, region: Region, directory: pathlib.Path) -> None:
    for verb in ("recv", "send"):
        pair = Pair(device, region, directory / "out")
        second = Program(verb, "/dev/null", device=device)
        words = [f"another {side}" for side in ("receiver", "sender")]
        if verb == "send":
            words.reverse()
        pair.receiver.end()
        check_exit(pair.receiver, FAILED, f"a second {verb}: the receiver", words[0])
        if verb == "recv":
            pair.sender.end()
        second.signal(signal.SIGINT)
        second.end()
        pair.sender.end()
        check_exit(pair.sender, FAILED, f"a second {verb}: the sender", words[0])


def test_corruption(device: Place, region: Region, directory: pathlib.Path) -> None:
    pair = Pair(device, region, directory / "out")
    pair.feed(b"x")
    wait_until(holds(directory / "out", b"x"))
    pair.receiver.signal(signal.SIGSTOP)
    wait_until(pair.receiver.is_stopped)
    pair.feed(b"precious data")
    wait_until(lambda: region.memory.find(b"precious data") > 0)
    region.memory[region.memory.find(b"precious data")] ^= 1
    pair.receiver.signal(signal.SIGCONT)
    pair.ends(CORRUPTED, CORRUPTED, "damaged data", ["checksum mismatch"], ["checksum mismatch"])


def note(kind: int, size: int = 0, checksum: int = 0) -> bytes:
    return struct.pack("<IIQQ", kind, 0x32767369, size, checksum)


def data_message(data: bytes) -> bytes:
    return note(DATA_KIND)[:8] + data


NOTHING = 0xEF46DB3751D8E999  # the checksum of nothing
HOSTILE = (
    ("recv", [b"hello"], CORRUPTED, "too short a message"),
    ("recv", [note(BEAT, 1)[:16]], CORRUPTED, "a message cut off"),
    ("recv", [b"another program's message"], CORRUPTED, "a message of another program"),
    ("recv", [data_message(b"data")], CORRUPTED, "data before the beginning"),
    ("recv", [note(HELLO), note(HELLO)], CORRUPTED, "a second beginning"),
    ("recv", [note(HELLO), note(99)], CORRUPTED, "an unknown message"),
    ("recv", [note(HELLO), data_message(b"")], CORRUPTED, "data of no bytes"),
    ("recv", [note(HELLO), data_message(bytes(1 << 19))], CORRUPTED, "too large a message"),
    ("recv", [note(HELLO), note(END, 1, NOTHING)], CORRUPTED, "an end after other bytes"),
    ("recv", [note(HELLO), note(END, 0, 1)], CORRUPTED, "an end with a wrong checksum"),
    ("recv", [note(HELLO), note(QUIT)], FAILED, "a sender that gives up"),
    ("recv", [note(HELLO), data_message(b"data")], FAILED, "an end without a word"),
    ("recv", [note(HELLO), note(END, 0, NOTHING)], OK, "a whole stream"),
    ("send", [b""], CORRUPTED, "an empty message"),
    ("send", [data_message(b"data")], CORRUPTED, "data to the sender"),
    ("send", [note(HELLO), note(VERDICT, 1, NOTHING)], CORRUPTED, "more received than sent"),
    ("send", [note(HELLO), note(VERDICT, 0, 1)], CORRUPTED, "a verdict of other bytes"),
    ("send", [note(HELLO), note(HELLO)], CORRUPTED, "a beginning in place of a verdict"),
    ("send", [note(HELLO)], FAILED, "no verdict"),
    ("send", [note(HELLO), note(VERDICT, 0, NOTHING)], OK, "a good receiver"),
)


def test_hostile_messages(device: Place) -> None:
    """Another program is the other end, and sends these messages before it closes."""
    with ivshmem.Handle(device) as shm:
        for verb, messages, code, name in HOSTILE:
            if verb == "recv":
                channel = ivshmem.Channel.create(shm, SIZE, send_size=SIZE - DATA - BACK)
                program = Program(verb, "/dev/null", device=device)
            else:
                program = Program(verb, "/dev/null", device=device)
                channel = ivshmem.Channel.attach(shm)
            with channel, contextlib.suppress(OSError):
                for message in messages:
                    channel.send(message, timeout=LIMIT)
                # The sender's last words; a receiver's first.
                while channel.recv(timeout=LIMIT)[0] not in (END, QUIT) and verb == "send":
                    pass
            program.end()
            check_exit(program, code, f"{verb}: {name}")


def test_hostile_words(device: Place, region: Region, directory: pathlib.Path) -> None:
    """A third program changes words of the channel, which the library has to refuse."""
    for offset, value, side, code, name in (
        (SENDER[0], 1 << 16, "receiver", FAILED, "another sender"),
        (RECEIVER[1], 1 << 16, "sender", FAILED, "another receiver"),
        (RECEIVER[1] + 256, SIZE, "sender", CORRUPTED, "more taken out than put in"),
    ):
        pair = Pair(device, region, directory / "out", "-t", "5")
        pair.feed(b"x")
        wait_until(holds(directory / "out", b"x"))
        if side == "sender":
            # It must not put its word right again.
            pair.receiver.signal(signal.SIGSTOP)
            os.waitpid(pair.receiver.process.pid, os.WUNTRACED)
        region.put(offset, value)
        victim = getattr(pair, side)
        for _ in range(20):
            # The sender need not look at a position before the buffer seems full.
            with contextlib.suppress(OSError):
                pair.sender.feed(bytes(SIZE // 8))
        victim.end()
        check(victim.process.returncode == code, f"{name}: the {side} ends", victim.report())
        other = pair.receiver if side == "sender" else pair.sender
        other.signal(signal.SIGKILL)
        other.end()


def fuzz_once(
    device: Place, region: Region, source: pathlib.Path, chance: random.Random
) -> tuple[list[Program], bool]:
    """Two transfers' words are changed at random while they run."""
    window = ("--offset", "64K", "--size", "64K", "-t", "1")
    programs = [
        Program("send", source, *window, device=device),
        Program("recv", "/dev/null", *window, device=device),
    ]
    end = time.monotonic() + 2
    while any(program.is_running() for program in programs) and time.monotonic() < end:
        value = chance.choice((0, 1, 5, 1 << 16, (1 << 64) - 1, 1 << 63, chance.getrandbits(64)))
        # The control area, and the first messages.
        offset = 8 * chance.randrange(2 * DATA // 8)
        # This word lets the other end set a bit anywhere in the region.
        if offset not in {half + 32 for half in SENDER + RECEIVER}:
            region.put((1 << 16) + offset, value)
        # Now and then is worse than all the time: the transfer gets further.
        time.sleep(chance.choice((0, 0, 0.001, 0.01)))
    # A program whose partner has ended by now would wait for ever.
    for program in programs:
        if not wait_until(lambda: not program.is_running(), 10):
            return programs, False
        program.end()
    return programs, True


def test_fuzz(device: Place, region: Region, directory: pathlib.Path) -> None:
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    chance = random.Random(seed)
    source = directory / "source"
    source.write_bytes(os.urandom(8 * SIZE))
    outside = os.urandom(SIZE)
    region.fill(outside)
    allowed = {OK, FAILED, TIMEOUT, CORRUPTED}
    for number in range(12):
        programs, ended = fuzz_once(device, region, source, chance)
        codes = [program.process.poll() for program in programs]
        if not check(
            ended and set(codes) <= allowed,
            f"hostile words, round {number}",
            f"SEED={seed}",
            f"exit codes {codes}",
            *[program.report() for program in programs if hasattr(program, "err")],
        ):
            for program in programs:
                program.signal(signal.SIGKILL)
                program.end()
    check(
        region.memory[: 1 << 16] == outside[: 1 << 16]
        and region.memory[2 << 16 :] == outside[2 << 16 :],
        "nothing outside is written",
        f"SEED={seed}",
        [n for n in range(SIZE) if n >> 16 != 1 and region.memory[n] != outside[n]][:20],
    )


def test_server_gone(directory: pathlib.Path) -> None:
    with server() as (device, path):
        pair = Pair(device, Region(path), directory / "out")
    for side in (pair.receiver, pair.sender):
        side.end()
    # The one that notices first gives up, which the other may notice first.
    codes = {pair.receiver.process.returncode, pair.sender.process.returncode}
    check(
        NO_DEVICE in codes and codes <= {NO_DEVICE, FAILED},
        "the server ends",
        pair.receiver.report(),
        pair.sender.report(),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        with server() as (device, path):
            region = Region(path)
            test_sizes(device, directory, "doorbells")
            test_known_checksum(device, directory)
            test_pipes(device)
            test_one_after_another(device, directory)
            test_stale_contents(device, region, directory)
            test_dead_before(device, region, directory)
            test_killed(device, directory, True)
            test_killed_at_speed(device, directory)
            test_early_end(device, region)
            test_held_up(device, region, directory)
            test_giving_up(device, region, directory)
            test_windows(device, region, directory)
            test_intruders(device, region, directory)
            test_corruption(device, region, directory)
            test_hostile_messages(device)
            test_hostile_words(device, region, directory)
            test_fuzz(device, region, directory)
        with plain_server(SIZE) as device:
            test_sizes(device, directory, "no doorbells")
            test_killed(device, directory, False)
        test_server_gone(directory)
    done()


main()
