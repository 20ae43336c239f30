#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the host's tests and prints one TAP for all of them.

NAME.c was built to build/san/tests/NAME, NAME_race.c to build/tsan/tests/NAME_race;
any other executable here is a test.
"""

import os
import pathlib
import signal
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
LIMIT = 900  # seconds for one test, which may have to fetch a kernel

sys.path.insert(0, str(HERE.parent / "rig"))
import run  # noqa: E402
import settings  # noqa: E402
import tap  # noqa: E402


def program(path):
    """What to run for a test's file."""
    variant = "tsan" if path.stem.endswith("_race") else "san"
    return TOP / "build" / variant / "tests" / path.stem if path.suffix == ".c" else path


def run_test(name, command, writer):
    """Run one test from the top of the tree."""
    reader = tap.Reader()
    with subprocess.Popen([command], cwd=TOP, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        # Its children as well: they hold the pipe that is read here.
        timer = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        for line in process.stdout:
            writer.take(name, reader, line.rstrip("\n"))
        status = process.wait()
        timer.cancel()
    writer.judge(name, reader, status)


def main():
    """Run the chosen tests; the exit status is the verdict."""
    settings.parse(__doc__, ("TESTS", "SEED", "IVSHMEM_CACHE"))
    writer = tap.Writer()
    for path in run.host_tests():
        run_test(path.stem, program(path), writer)
    return writer.finish()


if __name__ == "__main__":
    sys.exit(main())
