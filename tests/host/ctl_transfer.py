#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl send and recv: whole transfers, broken ones, and a hostile third party."""

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
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).parent / "common"))
from ctl import (
    CORRUPTED,
    CTL,
    FAILED,
    NO_DEVICE,
    OK,
    TIMEOUT,
    USAGE,
    Place,
    Program,
    check,
    check_exit,
    done,
    environment,
    plain_server,
    run,
    server,
    wait_until,
)

SIZE = 1 << 20
DATA = 4096
SENDER, RECEIVER = 0, 128
# Words of a block: offset and format, as tools/ctl/stream.h has them.
WORDS = {
    "hello": (0, "<Q"),
    "echo": (8, "<Q"),
    "format": (16, "<I"),
    "id": (20, "<I"),
    "window": (24, "<Q"),
    "total": (32, "<Q"),
    "changes": (64, "<I"),
    "waiting": (68, "<I"),
    "state": (72, "<I"),
    "position": (80, "<Q"),
    "checksum": (88, "<Q"),
}


class Region:
    """The shared memory as a third process sees it."""

    def __init__(self, path: pathlib.Path) -> None:
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)

    def get(self, block: int, word: str) -> int:
        offset, kind = WORDS[word]
        return struct.unpack_from(kind, self.memory, block + offset)[0]

    def put(self, block: int, word: str, value: int) -> None:
        offset, kind = WORDS[word]
        struct.pack_into(kind, self.memory, block + offset, value)

    def fill(self, data: bytes) -> None:
        self.memory[:] = data

    def have_met(self) -> bool:
        return all(
            self.get(mine, "hello") != 0 and self.get(mine, "hello") == self.get(other, "echo")
            for mine, other in ((SENDER, RECEIVER), (RECEIVER, SENDER))
        )


class Pair:
    """A sender fed by the test, and a receiver, in the middle of a transfer."""

    def __init__(self, device: Place, region: Region, output: Place, *options: str) -> None:
        # What earlier pairs left looks like two that have met.
        region.put(SENDER, "hello", 0)
        region.put(RECEIVER, "hello", 0)
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
    for verb, block in (("send", SENDER), ("recv", RECEIVER)):
        region.fill(bytes(SIZE))
        dead = Program(verb, "/dev/null", device=device)
        wait_until(lambda: region.get(block, "hello"))
        dead.signal(signal.SIGKILL)
        dead.end()
        other = Program(
            "recv" if verb == "send" else "send", "/dev/null", "-t", "1", device=device
        )
        check(
            other.end() == TIMEOUT, f"a dead '{verb}' is not taken for a live one", other.report()
        )
        check_transfer(device, directory, b"data" * 99, verb == "send", f"after a dead '{verb}'")


def test_killed(device: Place, region: Region, directory: pathlib.Path) -> None:
    for victim, survivor in (("sender", "receiver"), ("receiver", "sender")):
        # Long enough for both to start on a machine that has other work.
        pair = Pair(device, region, directory / "out", "-t", "5")
        pair.feed(b"x" * 1000)
        wait_until(lambda: region.get(RECEIVER, "position") == 1000)
        getattr(pair, victim).signal(signal.SIGKILL)
        if victim == "receiver":
            pair.feed(b"y" * 1000)
        other = getattr(pair, survivor)
        if survivor == "sender":
            pair.sender.close()
        code = other.end()
        check_exit(other, TIMEOUT, f"a killed {victim} is noticed", f"no activity of the {victim}")
        check(code == TIMEOUT, f"in the exit code of the {survivor}")
        getattr(pair, victim).end()
        check_transfer(device, directory, b"data" * 99, None, f"after a killed {victim}")
    check((directory / "out").read_bytes() == b"x" * 1000, "what came before stays")


def test_held_up(device: Place, region: Region, directory: pathlib.Path) -> None:
    """A sender that waits for its input is not dead."""
    pair = Pair(device, region, directory / "out", "-t", "1")
    pair.feed(b"first")
    time.sleep(2.5)
    pair.feed(b"second")
    pair.ends(OK, OK, "slow input")
    check((directory / "out").read_bytes() == b"firstsecond", "slow input arrives")


def test_giving_up(device: Place, region: Region, directory: pathlib.Path) -> None:
    pair = Pair(device, region, directory / "out")
    pair.sender.signal(signal.SIGINT)
    pair.ends(FAILED, FAILED, "interrupted sender", ["interrupted"], ["the sender gave up"])
    pair = Pair(device, region, directory / "out")
    pair.receiver.signal(signal.SIGTERM)
    # The sender learns of it when it looks next.
    pair.ends(FAILED, FAILED, "interrupted receiver", ["the receiver gave up"], ["interrupted"])
    pair = Pair(device, region, "/dev/full")
    pair.feed(b"x")
    pair.ends(FAILED, FAILED, "full disk", ["the receiver gave up"], ["/dev/full", "No space"])
    (directory / "kept").write_text("kept")
    alone = Program("recv", directory / "kept", "-t", "1", device=device)
    check_exit(alone if alone.end() else alone, TIMEOUT, "no sender", "no activity of the sender")
    check((directory / "kept").read_text() == "kept", "then the output file stays as it was")
    check_exit(run("send", directory / "none", device=device), FAILED, "no input file", "none")
    check_exit(
        run("send", directory, device=device), FAILED, "a directory as input", str(directory)
    )


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

    sender = Program("send", "/dev/null", "--size", "64K", device=device)
    receiver = Program("recv", "/dev/null", "--size", "128K", device=device)
    sender.end()
    receiver.end()
    check_exit(sender, FAILED, "different sizes: the sender", "same --offset and --size")
    check_exit(receiver, FAILED, "different sizes: the receiver")
    for options, word in (
        (("--offset", "1"), "multiple"),
        (("--offset", "1M"), "beyond the end"),
        (("--size", "2M"), "does not fit"),
        (("--size", "8191"), "minimum is 8192"),
        (("--offset", "4K", "--size", "1M"), "does not fit"),
    ):
        check_exit(run("send", *options, device=device), USAGE, f"send {' '.join(options)}", word)


def test_intruders(device: Place, region: Region, directory: pathlib.Path) -> None:
    pair = Pair(device, region, directory / "out")
    second = Program("recv", "/dev/null", device=device)
    check_exit(
        pair.receiver if pair.receiver.end() else pair.receiver,
        FAILED,
        "a second receiver",
        "another receiver or sender",
    )
    second.signal(signal.SIGINT)
    second.end()
    pair.sender.end()
    check_exit(pair.sender, FAILED, "the sender notices it, too", "another sender or receiver")


def test_corruption(device: Place, region: Region, directory: pathlib.Path) -> None:
    pair = Pair(device, region, directory / "out")
    pair.receiver.signal(signal.SIGSTOP)
    pair.feed(b"precious data")
    wait_until(lambda: region.get(SENDER, "position") == 13)
    region.memory[DATA] ^= 1
    pair.receiver.signal(signal.SIGCONT)
    pair.ends(CORRUPTED, CORRUPTED, "damaged data", ["checksum mismatch"], ["checksum mismatch"])


def test_hostile_words(device: Place, region: Region, directory: pathlib.Path) -> None:
    """Values that a check has to refuse."""
    cases = (
        (SENDER, "position", SIZE, "receiver", CORRUPTED, "more data than the ring holds"),
        (SENDER, "position", 1, "receiver", CORRUPTED, "data taken back"),
        (SENDER, "position", (1 << 64) - 1, "receiver", CORRUPTED, "a position near overflow"),
        (SENDER, "hello", 1, "receiver", FAILED, "another sender"),
        (SENDER, "state", 6, "receiver", FAILED, "a sender that gives up"),
        (RECEIVER, "position", 100, "sender", CORRUPTED, "more taken out than put in"),
        (RECEIVER, "position", 0, "sender", CORRUPTED, "a receiver that goes back"),
        (RECEIVER, "hello", 1, "sender", FAILED, "another receiver"),
    )
    for block, word, value, side, code, name in cases:
        pair = Pair(device, region, directory / "out", "-t", "1")
        # By the second byte the sender has seen that the first was taken out.
        for taken in (1, 2):
            pair.feed(b"x")
            wait_until(lambda: region.get(RECEIVER, "position") == taken)
        if side == "sender":
            # It must not put its word right again.
            pair.receiver.signal(signal.SIGSTOP)
        region.put(block, word, value)
        region.put(block, "changes", region.get(block, "changes") + 1000 & 0xFFFFFFFF)
        if side == "sender":
            pair.feed(b"more")
        victim = getattr(pair, side)
        check(victim.end() == code, f"{name}: the {side} ends", victim.report())
        other = pair.receiver if side == "sender" else pair.sender
        other.signal(signal.SIGINT)
        other.signal(signal.SIGCONT)
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
        word = chance.choice(list(WORDS))
        bits = 8 * struct.calcsize(WORDS[word][1])
        value = chance.choice(
            (
                0,
                1,
                5,
                6,
                1 << 16,
                (1 << bits) - 1,
                1 << (bits - 1),
                chance.getrandbits(bits),
                chance.getrandbits(16),
            )
        )
        region.put((1 << 16) + chance.choice((SENDER, RECEIVER)), word, value)
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
    )


def test_server_gone(directory: pathlib.Path) -> None:
    with server() as (device, path):
        pair = Pair(device, Region(path), directory / "out")
    pair.receiver.end()
    check_exit(pair.receiver, NO_DEVICE, "the server ends", "is gone")
    pair.sender.end()
    check_exit(pair.sender, FAILED, "and the sender hears of it", "the receiver gave up")


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
            test_killed(device, region, directory)
            test_held_up(device, region, directory)
            test_giving_up(device, region, directory)
            test_windows(device, region, directory)
            test_intruders(device, region, directory)
            test_corruption(device, region, directory)
            test_hostile_words(device, region, directory)
            test_fuzz(device, region, directory)
        with plain_server(SIZE) as device:
            test_sizes(device, directory, "no doorbells")
        test_server_gone(directory)
    done()


main()
