#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The programs in README.md and docs/library.md do what is said of them."""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
SAN = TOP / "build" / "san"
FLAGS = ["-Wall", "-Wextra", "-Werror", "-pthread", "-fsanitize=address,undefined"]
TEXT = "Hello from guest 1"
WORDS = ["one", "two", "three"]
SECONDS = 60

points = failures = 0


def check(passed, name, *details):
    """One point; @details explain a failure."""
    global points, failures
    points += 1
    failures += not passed
    for detail in () if passed else details:
        print(f"# {detail!r}")
    print(f"{'' if passed else 'not '}ok {points} - {name}", flush=True)


def programs(document, directory):
    """What stands between the marks, as {name: command}; C is compiled."""
    commands = {}
    for name, language, source in re.findall(
            r"<!-- program ?(\w*) -->\n```(\w+)\n(.*?)```", document.read_text(), re.S):
        path = directory / f"{name or 'hello'}.{'c' if language == 'c' else 'py'}"
        path.write_text(source)
        commands[path.stem] = [sys.executable, path]
        if language == "c":
            subprocess.run(["gcc", *FLAGS, f"-I{TOP}/lib/include", "-o", path.with_suffix(""),
                            path, SAN / "libivshmem.a"], check=True)
            commands[path.stem] = [path.with_suffix("")]
    check(commands, f"{document.relative_to(TOP)}: the programs compile without a warning")
    return commands


def converse(listener, speaker, server, join):
    """One waits; when it has joined, the other says something. Gives what the
    first printed and how it ended."""
    env = {**os.environ, "LD_LIBRARY_PATH": str(TOP / "build")}
    with subprocess.Popen(listener, text=True, stdin=subprocess.DEVNULL, env=env,
                          stdout=subprocess.PIPE) as process:
        try:
            for line in server.stderr:
                if join in line:
                    break
            subprocess.run(speaker, check=True, timeout=SECONDS)
            return process.communicate(timeout=SECONDS)[0].strip(), process.returncode
        finally:
            process.kill()


def run_all(directory, socket, server):
    hello = programs(TOP / "README.md", directory)["hello"]
    heard = converse([*hello, socket], [*hello, socket, "0", TEXT], server,
                     "event=join peer=0")
    check(heard == (TEXT, 0), "one hears what the other said", heard)
    library = programs(TOP / "docs" / "library.md", directory)
    for name in ("receiver", "loop", "python"):
        heard = converse([*library[name], socket], [*library["sender"], socket, *WORDS],
                         server, "event=join peer=0")
        status = heard == ("\n".join(WORDS), 0)
        check(status, f"{name}: gets all messages and the end", heard)
    counts = [subprocess.run([*library["counter"], socket], text=True, timeout=SECONDS,
                             stdout=subprocess.PIPE).stdout.strip() for _ in range(3)]
    first = int(counts[0] or 0)
    check(counts == [str(first + n) for n in range(3)], "counter: counts", counts)


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        socket = directory / "socket"
        with subprocess.Popen([SAN / "ivshmem-server", "-v", "-F", "-S", socket,
                               "--memfd", "-l", "1M", "-n", "2"], text=True,
                              stderr=subprocess.PIPE) as server:
            try:
                while not socket.exists():
                    time.sleep(0.05)
                run_all(directory, socket, server)
            finally:
                server.terminate()
    print(f"1..{points}")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
