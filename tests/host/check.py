#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the host's tests and prints one TAP for all of them.

NAME.c was built to build/san/tests/NAME, NAME_race.c to build/tsan/tests/NAME_race;
test_NAME.py is for pytest; any other executable here is a test. One that boots guests has a
second chance, as tests in guests have.
"""

import concurrent.futures
import functools
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
# What Python's tests import.
MODULES = f"{HERE / 'common'}:{HERE.parent / 'rig'}"
LIMIT = 900  # seconds for one test, which may have to fetch a kernel
AT_ONCE = 3  # as the longest of them wait most of the time
BOOTS_GUESTS = ("server_guests",)

sys.path.insert(0, str(HERE.parent / "rig"))
import ending  # noqa: E402
import scratch  # noqa: E402
import second_chance  # noqa: E402
import selection  # noqa: E402
import settings  # noqa: E402
import tap  # noqa: E402


def command(path: pathlib.Path) -> list[str | pathlib.Path]:
    """What to run for a test's file."""
    if path.suffix == ".c":
        variant = "tsan" if path.stem.endswith("_race") else "san"
        return [TOP / "build" / variant / "tests" / path.stem]
    if path.name.startswith("test_"):
        return [
            "pytest-3",
            "--import-mode=importlib",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:terminal",
            "-p",
            "pytest_tap",
            path,
        ]
    return [path]


def name_of(path: pathlib.Path) -> str:
    return path.stem.removeprefix("test_")


def run_test(path: pathlib.Path, writer: tap.Sink) -> None:
    """Run one test from the top of the tree. Its temporary files are not for later, and it
    hears signals even if they are ignored here, as under nohup."""
    reader = tap.Reader()
    start = time.monotonic()
    directory = scratch.directory("ivshmem-test-")
    directory.chmod(0o711)  # some go on as another user
    with subprocess.Popen(
        ["env", "--default-signal=HUP,INT,QUIT,TERM", *command(path)],
        cwd=TOP,
        text=True,
        errors="replace",
        env={
            **os.environ,
            "PYTHONPATH": MODULES,
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(directory),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        # Its children as well: they hold the pipe that is read here.
        timer = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        writer.follow(name_of(path), reader, process)
        timer.cancel()
    scratch.remove(directory)
    tap.say(f"# {name_of(path)}: {time.monotonic() - start:.1f} s")


def main() -> int:
    """Run the chosen tests; the exit status is the verdict."""
    settings.parse(__doc__, ("TESTS", "SEED", "IVSHMEM_CACHE"))
    writer = tap.Writer()
    chances = second_chance.SecondChances(writer, TOP / "build/flaky/host")
    tests = list(selection.host_tests())
    held = {path: second_chance.Attempt() for path in tests if name_of(path) in BOOTS_GUESTS}
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as workers:
        for done in [workers.submit(run_test, path, held.get(path, writer)) for path in tests]:
            done.result()
    for path, attempt in held.items():
        chances.judge(name_of(path), attempt, functools.partial(run_test, path))
    chances.finish()
    return writer.finish()


if __name__ == "__main__":
    ending.run(main)
