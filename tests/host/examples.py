#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The programs in examples/ do what README.md and docs/library.md say, and these
documents show them as they are.

A document shows a program below a mark, without its first line, the license:

    <!-- examples/hello.c -->
"""

import contextlib
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
SAN = TOP / "build" / "san"
TEXT = "Hello from guest 1"
NOTE = 251  # characters that fit into the note of the first program
LONG = "word " * 100
WORDS = ["one", "two", "three"]
SECONDS = 60
# A sender for a channel that does not begin where the region does.
SEND = f"""
import sys, ivshmem
path, offset, *words = sys.argv[1:]
with ivshmem.open(path) as shm:
    with ivshmem.Channel.attach(shm, offset=int(offset, 0), timeout={SECONDS}) as channel:
        for word in words:
            channel.send(word.encode(), {SECONDS})
"""
# The sender, but another program runs while it writes a message.
DELAYED = """
#include <stdlib.h>
#include <string.h>

#define memcpy(...) (system(getenv("MEANWHILE")), memcpy(__VA_ARGS__))
#include "sender.c"
"""
ENVIRONMENT = {
    **os.environ,
    "LD_LIBRARY_PATH": str(TOP / "build"),
    "PYTHONPATH": str(TOP / "python"),
}

points = failures = 0


def check(passed: bool, name: str, *details: object) -> None:
    """One point; @details explain a failure."""
    global points, failures
    points += 1
    failures += not passed
    for detail in () if passed else details:
        print(f"# {detail!r}")
    print(f"{'' if passed else 'not '}ok {points} - {name}", flush=True)


def shown() -> dict[str, str]:
    """The programs in the documents, by their names."""
    return {
        name: text
        for document in (TOP / "README.md", *(TOP / "docs").glob("*.md"))
        for name, text in re.findall(
            r"<!-- examples/(\S+) -->\n```\w+\n(.*?)```", document.read_text(), re.S
        )
    }


def check_documents() -> None:
    """Each example is shown once, and each program shown is an example."""
    files = {
        path.name: path.read_text().partition("\n")[2] for path in (TOP / "examples").iterdir()
    }
    documents = shown()
    for name in sorted(files.keys() | documents.keys()):
        check(
            files.get(name) == documents.get(name),
            f"examples/{name} is what the documents show",
            "file",
            files.get(name),
            "shown",
            documents.get(name),
        )


def command(name: str) -> list[str]:
    """How to start an example."""
    if name.endswith(".py"):
        return [sys.executable, str(TOP / "examples" / name)]
    return [str(SAN / "examples" / name.removesuffix(".cpp"))]


def await_join(server: subprocess.Popen[str], program: subprocess.Popen[str]) -> None:
    """Read what the server says until the program has joined."""
    assert server.stderr
    for line in server.stderr:
        if "event=join" in line and f" pid={program.pid} " in line:
            break


def converse(
    listener: list[str], speaker: list[str], server: subprocess.Popen[str]
) -> tuple[str, int]:
    """Start the listener; when it has joined, run the speaker. Return what the
    listener printed and its exit status."""
    with subprocess.Popen(
        listener, text=True, stdin=subprocess.DEVNULL, env=ENVIRONMENT, stdout=subprocess.PIPE
    ) as process:
        try:
            await_join(server, process)
            subprocess.run(speaker, check=True, timeout=SECONDS)
            return process.communicate(timeout=SECONDS)[0].strip(), process.returncode
        finally:
            process.kill()


def greet(socket: str, server: subprocess.Popen[str]) -> None:
    """The first program, with the reader there first and with the writer there first.
    The first to join is peer 0, the writer alone too."""
    hello = [*command("hello"), socket]
    heard = converse(hello, [*hello, "0", TEXT], server)
    check(heard == (TEXT, 0), "hello: the reader is there first", heard)
    writer = subprocess.run([*hello, "0", LONG], timeout=SECONDS).returncode
    reader = subprocess.run(hello, text=True, timeout=SECONDS, stdout=subprocess.PIPE)
    read = writer, reader.returncode, reader.stdout.strip()
    check(read == (0, 0, LONG[:NOTE]), "hello: the writer is, and says too much", read)
    early = f'{SAN}/ivshmemctl ring --device {socket} 0 0 && exec "$@"'
    heard = converse(hello, ["sh", "-c", early, "sh", *hello, "0", TEXT], server)
    check(heard == (TEXT, 0), "hello: a doorbell without a note is no note", heard)


def replace(socket: str, directory: pathlib.Path) -> None:
    """Another sender takes over while one writes its last message, which is lost."""
    delayed = directory / "delayed"
    subprocess.run(
        [
            *("gcc", f"-I{TOP}/lib/include", f"-I{TOP}/examples", "-o", delayed),
            *("-x", "c", "-", "-x", "none", TOP / "build" / "libivshmem.so.0"),
        ],
        input=DELAYED,
        text=True,
        check=True,
    )
    with subprocess.Popen([*command("receiver"), socket], stdout=subprocess.DEVNULL) as receiver:
        mark = pathlib.Path(socket).with_name("meanwhile")
        another = f"{shlex.join([*command('sender'), socket])}; touch {shlex.quote(str(mark))}"
        try:
            status = subprocess.run(
                [delayed, socket, "lost"],
                env={**ENVIRONMENT, "MEANWHILE": another},
                timeout=SECONDS,
            ).returncode
        finally:
            receiver.kill()
        check(
            status == 1 and mark.exists(), "sender: fails where another sender takes over", status
        )


def timer_of(process: subprocess.Popen[bytes]) -> int:
    """The number of the last descriptor that an event loop opens, once it has."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        for path in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(path) == "anon_inode:[timerfd]":
                    return int(path.name)
        time.sleep(0.01)
    raise TimeoutError


def starve(region: pathlib.Path) -> None:
    """With one descriptor less than it needs, an event loop ends."""
    loop = [*command("event_loop"), str(region)]
    region.write_bytes(bytes(2 << 20))
    with subprocess.Popen(loop) as process:
        try:
            limit = timer_of(process)
        finally:
            process.kill()
    try:
        run = subprocess.run(
            ["sh", "-c", 'ulimit -n "$0" && exec "$@"', str(limit), *loop],
            env={**ENVIRONMENT, "IVSHMEM_LOG": "info"},
            text=True,
            timeout=SECONDS,
            stderr=subprocess.PIPE,
        )
        ended = run.returncode, f"{region}: open:" in run.stderr
    except subprocess.TimeoutExpired:
        ended = None
    check(ended == (1, True), "event_loop: ends where it can open nothing to poll", ended)


def collect(socket: str, server: subprocess.Popen[str]) -> None:
    """Two collectors at once, each with a sender of its own."""
    speakers = {
        "0": [*command("sender"), socket, *WORDS],
        "0x200000": [sys.executable, "-c", SEND, socket, "0x200000", *WORDS],
    }
    with contextlib.ExitStack() as ends:
        listeners = []
        for offset in speakers:
            collector = [*command("collector.cpp"), socket, offset]
            listener = ends.enter_context(
                subprocess.Popen(collector, text=True, stdout=subprocess.PIPE)
            )
            ends.callback(listener.kill)
            listeners.append(listener)
            await_join(server, listener)
        for words in speakers.values():
            speaker = ends.enter_context(subprocess.Popen(words, env=ENVIRONMENT))
            ends.callback(speaker.kill)
        heard = [listener.communicate(timeout=SECONDS)[0].split() for listener in listeners]
    check(
        [said[1::2] for said in heard] == [WORDS, WORDS],
        "collector.cpp: each of two gets its messages",
        heard,
    )
    numbers = sorted(int(number.rstrip(":")) for said in heard for number in said[::2])
    check(numbers == [1, 2, 3, 4, 5, 6], "collector.cpp: two count together", heard)
    codes = [listener.returncode for listener in listeners]
    check(codes == [0, 0], "collector.cpp: ends when the other end has closed", codes)


def talk(socket: str) -> None:
    """A conversation, in which both ends speak at once."""
    said = {"create": WORDS, "attach": WORDS[::-1]}
    ends = [
        subprocess.Popen(
            [*command("conversation.py"), socket, role, *words],
            text=True,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
        )
        for role, words in said.items()
    ]
    try:
        heard = [(end.communicate(timeout=SECONDS)[0].split(), end.returncode) for end in ends]
    finally:
        for end in ends:
            end.kill()
    wanted = [(said["attach"], 0), (said["create"], 0)]
    check(heard == wanted, "conversation.py: each end hears the other", heard)


def count(socket: str) -> None:
    """From 1, whatever the memory holds before."""
    write = [str(SAN / "ivshmemctl"), "write", "--device", socket, "0"]
    subprocess.run(write, input=b"\xff" * 4096, check=True, timeout=SECONDS)
    counts = [
        subprocess.run(
            [*command("counter"), socket], text=True, timeout=SECONDS, stdout=subprocess.PIPE
        ).stdout.strip()
        for _ in range(3)
    ]
    check(counts == ["1", "2", "3"], "counter: counts, over what others have left", counts)


def run_all(socket: str, server: subprocess.Popen[str]) -> None:
    greet(socket, server)
    for name in ("receiver", "event_loop", "receiver.py"):
        heard = converse(
            [*command(name), socket],
            [*command("sender"), socket, *WORDS],
            server,
        )
        check(heard == ("\n".join(WORDS), 0), f"{name}: gets all messages and the end", heard)
    collect(socket, server)
    talk(socket)
    count(socket)


def main() -> int:
    check_documents()
    with tempfile.TemporaryDirectory() as directory:
        socket = pathlib.Path(directory) / "socket"
        with subprocess.Popen(
            # The examples are told whom to ring, so the ids must be known.
            [
                *(SAN / "ivshmem-server", "-v", "-F", "-S", socket),
                *("--memfd", "-l", "4M", "-n", "2", "--reuse-ids"),
            ],
            text=True,
            stderr=subprocess.PIPE,
        ) as server:
            try:
                # The first line says that the server listens.
                assert server.stderr
                server.stderr.readline()
                run_all(str(socket), server)
                replace(str(socket), socket.parent)
                starve(socket.with_name("region"))
            finally:
                server.terminate()
    print(f"1..{points}")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
