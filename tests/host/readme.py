#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""The README's program compiles and does what the README says."""

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
SECONDS = 20


def program(directory):
    """Compile what stands between the marks; where the program is."""
    readme = (TOP / "README.md").read_text()
    source = re.search(r"<!-- program -->\n```c\n(.*?)```", readme, re.S).group(1)
    (directory / "hello.c").write_text(source)
    subprocess.run(["gcc", *FLAGS, f"-I{TOP}/tools/lib", "-o", directory / "hello",
                    directory / "hello.c", SAN / "libivshmem.a"], check=True)
    return directory / "hello"


def converse(hello, socket, server):
    """One waits, the other says something; what the first printed."""
    with subprocess.Popen([hello, socket], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as listener:
        try:
            for line in server.stderr:
                if "event=join peer=0" in line:
                    break
            subprocess.run([hello, socket, "0", TEXT], check=True)
            return listener.communicate(timeout=SECONDS)[0].strip()
        finally:
            listener.kill()


def main():
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        socket = directory / "socket"
        hello = program(directory)
        print("ok 1 - the program compiles without a warning", flush=True)
        with subprocess.Popen([SAN / "ivshmem-server", "-v", "-F", "-S", socket,
                               "--memfd", "-l", "1M"], text=True,
                              stderr=subprocess.PIPE) as server:
            try:
                while not socket.exists():
                    time.sleep(0.05)
                heard = converse(hello, socket, server)
            finally:
                server.terminate()
    passed = heard == TEXT
    if not passed:
        print(f"# heard {heard!r}")
    print(f"{'' if passed else 'not '}ok 2 - one hears what the other said\n1..2")
    return not passed


if __name__ == "__main__":
    sys.exit(main())
