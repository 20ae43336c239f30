# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the rig that are told to end do so at any moment, say it in one line, die of
the signal, and leave neither processes nor files."""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import typing

import pytest

RIG = pathlib.Path(__file__).resolve().parents[1] / "rig"
# Has what the rig has: a directory, a thread that waits, children who do not end when they
# are asked to, have sessions of their own, or leave children behind.
PROGRAM = """
import ending
import pathlib, subprocess, threading, time
import scratch

STUBBORN = "trap '' TERM; echo $$ >>pids; while :; do sleep 1; done"

def main():
    directory = scratch.directory("ivshmem-rig-")
    for own_session in (False, True):
        for script in (STUBBORN, f"({STUBBORN}) & {STUBBORN}"):
            subprocess.Popen(
                ["sh", "-c", script],
                cwd=directory,
                stderr=subprocess.DEVNULL,
                start_new_session=own_session,
            )
    threading.Thread(target=lambda: time.sleep(1000)).start()
    while not (directory / "pids").exists() or len((directory / "pids").read_text().split()) < 6:
        time.sleep(0.01)
    print("ready", flush=True)
    subprocess.run(["sleep", "1000"])

ending.PATIENCE = 0.2
ending.run(main)
"""
LINES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}
DEMO = [sys.executable, "-B", str(RIG / "demo.py")]


@pytest.fixture
def directory() -> typing.Iterator[pathlib.Path]:
    """For temporary files, with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


def start(command: list[str], directory: pathlib.Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(directory), "PYTHONPATH": str(RIG)},
        start_new_session=True,
    )


def processes(directory: pathlib.Path) -> list[str]:
    """The command lines of those who have to do with a directory."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_text().replace("\\0", " ")
            if str(directory) in command or (path / "cwd").readlink().is_relative_to(directory):
                found.append(command)
        except OSError:
            pass  # it has just ended
    return found


def until(process: subprocess.Popen[str], words: str) -> None:
    """Wait until a program has said something."""
    assert process.stdout
    assert any(words in line for line in process.stdout), process.communicate()


def check_end(
    process: subprocess.Popen[str], directory: pathlib.Path, number: signal.Signals
) -> None:
    _, errors = process.communicate()
    assert process.returncode == -number, errors
    assert [line for line in errors.splitlines() if not line.startswith("# ")] == [
        f"{LINES[number]}: cleaning up"
    ]
    assert not list(directory.iterdir())
    assert not processes(directory)
    assert not list(pathlib.Path("/dev/shm").glob(f"ivshmem-rig-{process.pid}-*"))


@pytest.mark.parametrize("again", [0, 20])
@pytest.mark.parametrize("number", LINES)
def test_signals(directory: pathlib.Path, number: signal.Signals, again: int) -> None:
    process = start([sys.executable, "-B", "-c", PROGRAM], directory)
    until(process, "ready")
    for _ in range(1 + again):
        process.send_signal(number)
    check_end(process, directory, number)


@pytest.mark.parametrize("last", [False, True])
def test_ctrl_c_at_a_terminal_reaches_all(directory: pathlib.Path, last: bool) -> None:
    """Also if the children end, whose own children live on, before it hears of it."""
    process = start([sys.executable, "-B", "-c", PROGRAM], directory)
    until(process, "ready")
    if last:
        process.send_signal(signal.SIGSTOP)
    os.killpg(process.pid, signal.SIGINT)
    if last:
        time.sleep(0.5)
        process.send_signal(signal.SIGCONT)
    check_end(process, directory, signal.SIGINT)


def test_while_modules_are_imported(directory: pathlib.Path) -> None:
    program = "import ending\nprint('here', flush=True)\nimport time\ntime.sleep(1000)"
    process = start([sys.executable, "-B", "-c", program], directory)
    until(process, "here")
    process.send_signal(signal.SIGINT)
    assert process.communicate() == ("", "")
    assert process.returncode == -signal.SIGINT


def test_what_shall_not_be_heard(directory: pathlib.Path) -> None:
    program = "import ending, signal\nending.run(lambda: signal.raise_signal(signal.SIGHUP))"
    process = start(["nohup", sys.executable, "-B", "-c", program], directory)
    assert process.communicate()[0] == ""
    assert process.returncode == 0


@pytest.mark.parametrize(
    "words, number, again",
    [
        ("two guests", signal.SIGINT, 0),
        ("both are up", signal.SIGTERM, 0),
        ("write 0", signal.SIGINT, 3),
    ],
)
def test_the_demo(directory: pathlib.Path, words: str, number: signal.Signals, again: int) -> None:
    process = start(DEMO, directory)
    until(process, words)
    for _ in range(1 + again):
        os.killpg(process.pid, number)
    check_end(process, directory, number)


def test_the_demo_without_a_terminal(directory: pathlib.Path) -> None:
    process = start([*DEMO, "--interactive"], directory)
    output, errors = process.communicate()
    assert output == ""
    assert errors == "make demo: INTERACTIVE=1 needs a terminal as its standard input\n"
    assert process.returncode == 1
