#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl: every verb but send and recv, every exit code, all JSON."""

import contextlib
import functools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing

sys.path.insert(0, str(pathlib.Path(__file__).parent / "common"))
from ctl import (
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
    join,
    peers,
    plain_server,
    run,
    server,
    skip,
)
from fake_sysfs import fake_device, fake_sysfs
from terminal import Terminal

# What a program prints here gets lost.
FULL = ("sh", "-c", 'exec "$@" >/dev/full', "sh")
CLOSED = ("sh", "-c", 'exec "$@" >&-', "sh")
VERBS = [
    "list",
    "info",
    "peers",
    "top",
    "read",
    "write",
    "ring",
    "wait",
    "ping",
    "send",
    "recv",
    "add",
    "remove",
    "format",
    "label",
    "partition",
    "rescan",
    "wipe",
    "trace",
    "doctor",
]


def test_help() -> None:
    program = run("--help")
    check_exit(program, OK, "--help succeeds")
    check(all(f"  {verb} " in program.out.decode() for verb in VERBS), "--help names all verbs")
    check(run("help").out == program.out == run("-h").out, "so do help and -h")
    for verb in VERBS:
        program = run(verb, "--help")
        check(
            program.process.returncode == OK
            and f"Usage: ivshmemctl {verb}" in program.out.decode(),
            f"{verb} --help",
            program.report(),
            program.out,
        )
        check(run(verb, "-h").out == program.out, f"{verb} -h")
        check_exit(run(verb, "--nonsense"), USAGE, f"{verb} refuses an unknown option")
    check(run("--version").out.startswith(b"ivshmemctl "), "--version")


def test_other_server(directory: pathlib.Path) -> None:
    """What the library finds wrong with a server is said as well."""
    path = directory / "other"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        program = Program("info", "-d", path)
        with listener.accept()[0] as client:
            client.sendall((1).to_bytes(8, "little"))
            program.end()
    check_exit(program, FAILED, "a server of another protocol", "has version 1 instead of 0")


def test_list(directory: pathlib.Path) -> None:
    classes = directory / "class"
    classes.mkdir()
    prefix = fake_sysfs(classes)
    if prefix is None:
        skip("list", "needs the right to mount over /sys/class")
        return
    there = functools.partial(run, prefix=prefix)
    alone = there("list")
    words = ("note: ", "ivshmemctl doctor", "ivshmem-server -S")
    check_exit(alone, OK, "list without devices", *words)
    check("--device" not in alone.err, "it names no option that list lacks", alone.err)
    check(json.loads(there("list", "--json").out) == [], "the same in JSON")
    words = ("ivshmemctl doctor", "--device", "ivshmemctl list")
    check_exit(there("info"), NO_DEVICE, "no device to choose", *words)

    fake_device(classes, "ivshmem10", [], size=4096, id="unknown", cache="uc")
    check_exit(
        there("info"),
        NO_DEVICE,
        "the only device is chosen",
        "no device ivshmem10",
    )
    fake_device(classes, "ivshmem9", [3, 4], size=64 << 20, id=2, cache="wb")
    check_exit(there("info"), USAGE, "several devices", "ivshmem9, ivshmem10")
    lines = there("list").out.decode().splitlines()
    check(
        [line.split() for line in lines[1:]]
        == [
            ["ivshmem9", "64", "MiB", "2", "2", "wb", "7", "0000:00:05.0"],
            ["ivshmem10", "4", "KiB", "unknown", "0", "uc", "0", "0000:00:05.0"],
        ],
        "list shows a table, sorted",
        "\n".join(lines),
    )
    check(
        json.loads(there("list", "--json").out)
        == [
            {
                "name": "ivshmem9",
                "size": 64 << 20,
                "id": 2,
                "vectors": 2,
                "cache": "wb",
                "pci": "0000:00:05.0",
                "label": None,
                "interrupts": 7,
                "transport": "device",
            },
            {
                "name": "ivshmem10",
                "size": 4096,
                "id": None,
                "vectors": 0,
                "cache": "uc",
                "pci": "0000:00:05.0",
                "label": None,
                "interrupts": 0,
                "transport": "device",
            },
        ],
        "list --json",
    )
    test_partitions(classes, prefix)
    test_labels(classes, prefix)


def test_partitions(classes: pathlib.Path, prefix: tuple[str, ...]) -> None:
    """They are shown with their device, and are none to choose from."""
    name = "ivshmem9p1"
    fake_device(classes, name, [1], size=1 << 20, id=2, cache="wb", partition=1, offset=8192)
    (classes / "ivshmem" / name / "name").write_text("frames\n")
    lines = run("list", prefix=prefix).out.decode().splitlines()
    check(
        lines[2].split() == [name, "1", "MiB", "2", "1", "wb", "1", "ivshmem9:", "frames"],
        "list shows a partition, after its device",
        "\n".join(lines),
    )
    found = json.loads(run("list", "--json", prefix=prefix).out)
    check(
        [found[1][key] for key in ("parent", "offset", "label")] == ["ivshmem9", 8192, "frames"],
        "list --json shows a partition",
        str(found[1]),
    )
    check(all("parent" not in found[i] for i in (0, 2)), "and devices have no such members")
    program = run("info", prefix=prefix)
    check_exit(program, USAGE, "partitions are no choice", "(ivshmem9, ivshmem10)")


def test_labels(classes: pathlib.Path, prefix: tuple[str, ...]) -> None:
    """A device whose name or label is not UTF-8 is in the JSON, with \\xNN for such bytes."""
    # A byte that begins no character, an overlong one, a surrogate, one too large, one cut off.
    parts = (
        b"caf\xc3\xa9",
        b"\xff",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf5\x80\x80\x80",
        b"\xe2\x82",
    )
    label, name = b" ".join(parts), b"ivshmem11\xfe"
    path = os.fsdecode(name)
    fake_device(classes, path, [], size=4096, id=0, cache="wb")
    (classes / "ivshmem" / path / "name").write_bytes(label + b"\n")
    program = run("list", "--json", prefix=prefix)
    found = json.loads(program.out.decode())[-1]
    check(
        [found["name"], found["label"]]
        == [text.decode(errors="backslashreplace") for text in (name, label)],
        "a label that is not UTF-8",
        program.report(),
        program.out,
    )


def test_info(device: Place) -> None:
    info = json.loads(run("info", "--json", device=device).out)
    check(
        info
        == {
            "device": str(device),
            "transport": "server",
            "size": 1 << 20,
            "id": 0,
            "vectors": 4,
            "cache": "wb",
            "mapped_registers": False,
            "peers": [],
        },
        "info --json",
        info,
    )
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(os.fsencode(directory), b"shm\xff")
        os.symlink(device, path)
        info = json.loads(run("info", "--json", device=os.fsdecode(path)).out.decode())
        check(
            info["device"] == path.decode(errors="backslashreplace"),
            "info of a path that is not UTF-8",
            info,
        )
    text = run("info", device=device).out.decode()
    check("1048576 (1 MiB)" in text and "peers         none" in text, "info", text)


def test_options_first(device: Place) -> None:
    """What is before the verb is the verb's."""
    path = str(device)
    info = run("info", "-j", "-d", path).out
    for name, words in (
        ("-d DEV -j", ["-d", path, "-j"]),
        ("-jdDEV", [f"-jd{device}"]),
        ("-jjj...dDEV", [f"-{'j' * 100}d{device}"]),
        ("--json --device DEV", ["--json", "--device", path]),
        ("--device=DEV -j --", [f"--device={device}", "-j", "--"]),
    ):
        program = run(*words, "info")
        check(program.out == info, f"{name} info", program.report())
    both = run("-d", "nothing", "info", "-j", "-d", device)
    check(both.out == info, "the last device counts", both.report())
    program = run("-j", "--help")
    check(program.out == run("--help").out, "--help after another option")


def test_read_write(device: Place, region: pathlib.Path, directory: pathlib.Path) -> None:
    check_exit(run("write", "0x10", "hello", device=device), OK, "write a text")
    check(run("read", "16", "5", device=device).out == b"hello", "read it back")
    check(region.read_bytes()[:24] == bytes(16) + b"hello" + bytes(3), "nothing else is written")
    data = os.urandom(300001)
    check_exit(run("write", "1K", device=device, data=data), OK, "write from a pipe")
    check(run("read", "1K", "300001", device=device).out == data, "read into a pipe")
    (directory / "in").write_bytes(data)
    check_exit(
        run("write", "700001", "-i", directory / "in", device=device),
        OK,
        "write a file to an odd offset",
    )
    (directory / "out").write_bytes(bytes(1 << 20))
    check_exit(
        run("read", "700001", "300001", "-o", directory / "out", device=device),
        OK,
        "read into a file that was longer",
    )
    check((directory / "out").read_bytes() == data, "it has the bytes and no others")
    whole = run("read", device=device).out
    check(whole == region.read_bytes(), "read without arguments gives the whole region")
    check(run("read", "1M", device=device).out == b"", "at the end there is nothing")
    check(
        json.loads(run("read", "15", "7", "--json", device=device).out)
        == {"offset": 15, "length": 7, "hex": "00" + b"hello".hex() + "00"},
        "read --json",
    )
    check(
        json.loads(run("read", "--json", device=device).out)["hex"] == whole[:256].hex(),
        "which is of 256 bytes by default",
    )

    check_exit(
        run("read", "1M", "1", device=device), USAGE, "read over the end", "0 of them after"
    )
    check_exit(
        run("write", "1048575", "ab", device=device),
        USAGE,
        "write over the end",
        "no space for 2 bytes",
    )
    check(run("read", device=device).out == whole, "which wrote nothing")
    check_exit(
        run("write", "1000000", "-i", directory / "in", device=device),
        USAGE,
        "write too long a file",
        "no space for",
    )
    check_exit(
        run("write", "1048572", device=device, data=b"12345"),
        FAILED,
        "write too much from a pipe",
        "wrote its first 4 bytes",
    )
    check(run("read", "1048572", device=device).out == b"1234", "which wrote what fits")


@contextlib.contextmanager
def huge_pages(number: int) -> typing.Iterator[tuple[str, str]]:
    """A hugetlbfs with so many pages of 2 MiB, and the reason if there is none."""
    reserve = pathlib.Path("/proc/sys/vm/nr_hugepages")
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as undo:
        try:
            if os.geteuid():
                raise OSError("needs root, to mount a hugetlbfs")
            if int(reserve.read_text()):
                raise OSError("huge pages are in use")
            subprocess.run(
                ["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", directory],
                stderr=subprocess.DEVNULL,
                check=True,
            )
            undo.callback(subprocess.check_call, ["umount", directory])
            undo.callback(reserve.write_text, "0")
            reserve.write_text(str(number))
            if int(reserve.read_text()) < number:
                raise OSError("there are too few huge pages")
            reason = ""
        except (OSError, subprocess.CalledProcessError) as error:
            reason = str(error)
        yield directory, reason


def test_huge_pages() -> None:
    with huge_pages(2) as (directory, reason):
        if reason:
            skip("huge pages", reason)
            return
        with server("4M", memory=("-m", directory)) as (device, _):
            for offset in ("0x1234", "2M", "0x2ffff0"):
                check_exit(
                    run("write", offset, "over a page's end", device=device),
                    OK,
                    f"write to {offset} in huge pages",
                )
                check(
                    run("read", offset, "17", device=device).out == b"over a page's end",
                    "read it back",
                )


def test_terminal(device: Place) -> None:
    run("write", "0", "0123456789abcdef" * 4 + "\n\x7fend", device=device)

    def on_terminal(*words: str) -> str:
        program = Terminal("read", *words, device=device)
        program.end()
        return program.left()

    line = "  30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n"
    check(
        on_terminal("0", "69") == f"00000000{line}*\n"
        "00000040  0a 7f 65 6e 64                                    |..end|\n00000045\n",
        "a terminal gets a hexadecimal dump",
        on_terminal("0", "69"),
    )
    check(on_terminal().endswith("\n00000100\n"), "of 256 bytes by default")
    check(on_terminal("--raw", "0", "8") == "01234567", "or the bytes with --raw")


def test_ring_wait(device: Place) -> None:
    waiter = join("wait", "--json", "--count", "3", device=device)
    peer = peers(device)[0]
    check_exit(run("ring", peer, "3", device=device), OK, "ring a vector")
    check_exit(run("ring", peer, "--count", "2", device=device), OK, "ring twice")
    check(waiter.end() == OK, "wait ends after --count interrupts", waiter.report())
    lines = [json.loads(line) for line in waiter.out.splitlines()]
    counts: dict[int, int] = {}
    for line in lines[:-1]:
        counts[line["vector"]] = counts.get(line["vector"], 0) + line["count"]
    check(counts == {3: 1, 0: 2}, "wait --json says which vectors fired", waiter.out)
    check(
        lines[-1]["total"] == 3 and lines[-1]["vectors"] == {"0": 2, "3": 1},
        "and sums them up",
        waiter.out,
    )

    waiter = join("wait", "1", "2", device=device)
    peer = peers(device)[0]
    for vector in (0, 1, 3):
        run("ring", peer, vector, device=device)
    check(waiter.line() == b"vector 1: 1\n", "wait for chosen vectors")
    waiter.signal(signal.SIGINT)
    check(
        waiter.end() == -signal.SIGINT and waiter.out.startswith(b"1 interrupt in "),
        "SIGINT ends wait with a summary",
        waiter.report(),
        waiter.out,
    )

    check_exit(run("wait", "--timeout", "0.1", device=device), TIMEOUT, "wait runs out of time")
    for output in ("--json", "-t0.1"):
        check_exit(
            run("wait", "-t", "0.1", output, device=device, prefix=FULL),
            FAILED,
            f"wait {output} cannot write",
            "cannot write",
        )
    check_exit(
        run("info", device=device, prefix=CLOSED),
        FAILED,
        "info without an output does not write to the device",
        "cannot write",
    )
    check_exit(run("ring", "9", device=device), FAILED, "ring an unknown peer", "peer 9")


def test_server_gone() -> None:
    with server() as (device, _):
        waiter = join("wait", device=device)
    check(waiter.end() == NO_DEVICE, "wait notices the server's end", waiter.report())


def test_ping(device: Place) -> None:
    answerer = join("ping", "--answer", "1", "--json", device=device)
    check(peers(device) == [0], "the answering side came first")
    pinger = run("ping", "0", "-c", "50", "--json", device=device)
    result = json.loads(pinger.out)
    times = result.get("round_trip_us", {})
    check(
        pinger.process.returncode == OK
        and result["sent"] == 50
        and result["answered"] == 50
        and result["lost"] == 0,
        "ping counts answers",
        result,
    )
    check(
        0 < times["min"] <= times["median"] <= times["p99"] <= times["max"],
        "ping measures round trips",
        times,
    )
    pinger = run("ping", "0", "-c", "5", "-i", "0.01", "--spin", "100000", device=device)
    check(
        re.search(rb": 5 rings in .*, 5 answers, 0 lost", pinger.out) and b"median" in pinger.out,
        "ping in words",
        pinger.out,
    )

    answerer.signal(signal.SIGSTOP)
    pinger = run("ping", "0", "-c", "2", "-t", "0.05", "--json", device=device)
    check_exit(pinger, TIMEOUT, "ping without any answer", "--answer 1")
    check(
        json.loads(pinger.out)
        == {"peer": 0, "vector": 0, "sent": 0, "answered": 0, "lost": 0, "late": 0},
        "rings before the first answer do not count",
        pinger.out,
    )
    answerer.signal(signal.SIGCONT)

    pinger = join("ping", "0", "-c", "0", "-i", "0.01", device=device)
    time.sleep(1)  # it ends otherwise before its first answer
    pinger.signal(signal.SIGINT)
    check(
        pinger.end() == -signal.SIGINT and b"answers, 0 lost" in pinger.out,
        "SIGINT ends ping with a summary",
        pinger.report(),
        pinger.out,
    )
    answerer.signal(signal.SIGTERM)
    check(
        answerer.end() == -signal.SIGTERM and json.loads(answerer.out)["answered"] >= 55,
        "SIGTERM ends --answer with a summary",
        answerer.report(),
        answerer.out,
    )
    check_exit(
        run("ping", "--answer", "1", "-t", "0.1", device=device),
        TIMEOUT,
        "--answer runs out of time",
    )
    check_exit(run("ping", "7", device=device), TIMEOUT, "ping an unknown peer", "peer 7")
    check_exit(
        run("ping", "7", "-v", "4", device=device), USAGE, "ping on no own vector", "0 to 3"
    )


def test_handshake(device: Place) -> None:
    """The asking side can start before the other; both count the same rings."""
    answerer = join("wait", device=device)
    pinger = Program("ping", "0", "-c", "1", "-t", "0.5", "--json", device=device)
    for _ in range(2):
        answerer.line()
    run("ring", "1", device=device)
    check(
        pinger.end() == OK and json.loads(pinger.out)["sent"] == 1,
        "ping waits for an answer",
        pinger.report(),
        pinger.out,
    )
    answerer.signal(signal.SIGINT)
    answerer.end()

    answerer = join("ping", "--answer", "1", "-c", "50", "--json", device=device)
    check_exit(run("ping", "0", "-c", "50", device=device), OK, "ping --count")
    check(
        answerer.end() == OK and json.loads(answerer.out)["answered"] == 50,
        "ends both sides alike",
        answerer.report(),
        answerer.out,
    )
    answerer = join("ping", "--answer", "1", "-c", "50", "-t", "2", device=device)
    check_exit(run("ping", "0", "-c", "5", device=device), OK, "ping less")
    check(
        answerer.end() == OK and b": answered 5 rings in " in answerer.out,
        "or the timeout ends it",
        answerer.report(),
        answerer.out,
    )

    myself = run("ping", "0", "-c", "3", device=device)
    check_exit(myself, OK, "ping oneself", "this device itself")


def test_late_answers(device: Place) -> None:
    """Late and missing answers are lost ones, and none answers the next ring."""
    answerer = join("wait", "--count", "2", device=device)
    pinger = Program("ping", "0", "-c", "2", "-t", "4", "--json", device=device)
    answerer.line()
    # More than one and less than two timeouts after the ring, by a program yet to start.
    time.sleep(4.5)
    run("ring", "1", device=device)
    pinger.end()
    check(
        json.loads(pinger.out)
        == {"peer": 0, "vector": 0, "sent": 2, "answered": 0, "lost": 2, "late": 1},
        "late answers are not mistaken",
        pinger.out,
    )
    answerer.end()


def test_descriptors(device: Place) -> None:
    """Each vector of each peer takes a descriptor, and soft limits are low."""
    waiters = [join("wait", device=device) for _ in range(4)]

    def limited(which: str) -> Program:
        return run(
            "info", device=device, prefix=("sh", "-c", f'ulimit {which} 16; exec "$@"', "sh")
        )

    check_exit(limited("-Sn"), OK, "a soft limit does not matter")
    check_exit(limited("-n"), FAILED, "a hard one does", "ulimit -Hn")
    for waiter in waiters:
        waiter.signal(signal.SIGINT)
        waiter.end()


def test_plain() -> None:
    with plain_server(1 << 20) as device:
        check(
            json.loads(run("info", "--json", device=device).out)["vectors"] == 0,
            "a device without doorbells has no vectors",
        )
        for arguments in (["ring", "0"], ["wait"], ["ping", "0"]):
            check_exit(
                run(*arguments, device=device),
                FAILED,
                f"{arguments[0]} without doorbells",
                "no doorbells",
            )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        test_help()
        test_other_server(directory)
        test_list(directory)
        with server() as (device, region):
            test_info(device)
            test_options_first(device)
            test_read_write(device, region, directory)
            test_terminal(device)
            test_ring_wait(device)
            test_ping(device)
            test_handshake(device)
            test_late_answers(device)
            test_descriptors(device)
        test_huge_pages()
        test_server_gone()
        test_plain()
    done()


main()
