# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl top, printed once and on a terminal, of a file. Of devices: tests/guest/top.sh and
top_terminal.c."""

import fcntl
import json
import pathlib
import re
import signal
import struct
import subprocess
import termios

import ctl
import pytest
import terminal
from json_schema import conforms
from stranger import Stranger
from terminal import Terminal

SIZE = 64 << 20
PARTITIONS = 40
DOWN, UP, END, HOME, NEXT, PREVIOUS = "\x1bOB", "\x1bOA", "\x1bOF", "\x1bOH", "\x1b[6~", "\x1b[5~"


@pytest.fixture(name="file")
def fixture_file(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "memory"
    with file.open("wb") as made:
        made.truncate(SIZE)
    return file


@pytest.fixture(name="full")
def fixture_full(file: pathlib.Path) -> pathlib.Path:
    """More partitions than a terminal has lines."""
    assert not ctl.run("format", device=file).err
    for number in range(PARTITIONS):
        assert not ctl.run("partition", "add", f"part{number:02}", "64K", device=file).err
    return file


def test_without_a_label(file: pathlib.Path) -> None:
    program = ctl.run("top", device=file)
    assert program.out.decode() == f"{file}: 64 MiB, 0 vectors\nno label\n"
    program = ctl.run("top", "--json", device=file)
    conforms("top", program.out)
    found = json.loads(program.out)
    assert found["label"] is found["peers"] is None and found["partitions"] == []


def test_once(file: pathlib.Path) -> None:
    label = json.loads(ctl.run("format", "--json", device=file).out)
    ctl.run("partition", "add", "frames", "4M", device=file)
    file.chmod(0o640)
    with Stranger(file, 1, b"\x1bguest", 1, 3):
        plain = ctl.run("top", "--once", device=file)
        found = json.loads(ctl.run("top", "--json", "-i", "0.1", device=file).out)
    lines = [line.split() for line in plain.out.decode().splitlines()]
    assert lines[1] == ["label", f"{label['uuid']},", "generation", "2"]
    assert lines[3] == ["PARTITION", "SIZE", "RIGHTS", "NAME"]
    rights = f"rw-r----- {file.owner()}:{file.group()}"
    assert lines[4] == ["1", "4", "MiB", *rights.split(), "frames"]
    assert lines[6] == ["SLOT", "ID", "KIND", "STATE", "PEER"]
    assert lines[7:] == [["1", "3", "guest", "present", "\\x1bguest"]]
    conforms("top", json.dumps(found))
    assert found["label"] == {"uuid": label["uuid"], "generation": 2}
    assert found["partitions"] == [
        {"partition": "1", "name": "frames", "size": 4 << 20, "rights": rights}
    ]
    assert [one["name"] for one in found["peers"]] == ["\x1bguest"]


def test_to_look_changes_nothing(file: pathlib.Path) -> None:
    ctl.run("format", device=file)
    before = file.read_bytes()
    assert ctl.run("top", "--once", "-i", "0.2", device=file).process.returncode == ctl.OK
    assert file.read_bytes() == before


def test_refusals(file: pathlib.Path) -> None:
    for seconds in ("0", "0.05", "3601"):
        program = ctl.run("top", "-i", seconds, device=file)
        assert program.process.returncode == ctl.USAGE and "0.1 to 3600" in program.err
    with ctl.server() as (device, _):
        program = ctl.run("top", device=device)
        assert program.process.returncode == ctl.USAGE
        assert "'ivshmemctl peers' shows its peers" in program.err


@pytest.mark.parametrize("kind", ["dumb", "nonsense", ""])
def test_a_terminal_that_cannot(file: pathlib.Path, kind: str) -> None:
    program = Terminal("top", device=file, kind=kind)
    assert program.end() == ctl.FAILED
    assert f"the kind '{kind}'" in program.said and "--once" in program.said
    assert "\x1b" not in program.said


REDRAW = "\x0c"  # the terminal gets only what has changed, but for this key


class Screen:
    """What is typed, and what shows then."""

    def __init__(self, *words: ctl.Word, device: pathlib.Path) -> None:
        self.program = Terminal("top", *words, device=device)
        assert self.program.shows("q: end")

    def type(self, keys: str, pattern: str) -> None:
        before = len(self.program.said)
        self.program.type(keys + REDRAW)
        self.until(before, pattern)

    def until(self, before: int, pattern: str) -> None:
        assert ctl.wait_until(
            lambda: re.search(pattern, self.program.said[before:])
        ), self.program.said[before:]

    def resize(self, rows: int, columns: int, pattern: str) -> None:
        before = len(self.program.said)
        size = struct.pack("4H", rows, columns, 0, 0)
        fcntl.ioctl(self.program.master, termios.TIOCSWINSZ, size)
        self.until(before, pattern)

    def quit(self) -> None:
        self.program.type("q")
        assert self.program.end() == ctl.OK, self.program.said
        # The terminal is as before.
        assert "\x1b[?1049l" in self.program.said and "\x1b[?25h" in self.program.said


def test_keys(full: pathlib.Path) -> None:
    """40 partitions, and the lines about the rest, on 24 lines."""
    lines = 2 + 2 + PARTITIONS + 2
    screen = Screen("-i", "3600", device=full)
    assert "part18" in screen.program.said and "part19" not in screen.program.said
    assert f"1 to 23 of {lines}" in screen.program.said
    screen.type(DOWN, "part19")
    screen.type(NEXT, "part39")
    screen.type(HOME, "part00")
    screen.type(END, "part39")
    screen.type(PREVIOUS, "label")
    screen.type(UP + NEXT + UP, "part38")
    screen.resize(60, 100, f"1 to {lines} of {lines}")
    screen.resize(5, 40, "1 to 4 of")
    screen.resize(2, 10, "q: e")
    screen.resize(1, 10, "/")
    screen.quit()


def test_it_looks_again(file: pathlib.Path) -> None:
    ctl.run("format", device=file)
    screen = Screen("-i", "0.2", device=file)
    before = len(screen.program.said)
    with Stranger(file, 4, b"\x1b[31mnewcomer"):
        screen.until(before, r"\\x1b\[31mnewcomer")
        assert "\x1b[31m" not in screen.program.said
    before = len(screen.program.said)
    ctl.run("partition", "add", "later", device=file)
    screen.until(before, "later")
    screen.quit()


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM), ids=lambda one: one.name)
def test_a_signal_ends_it(file: pathlib.Path, number: signal.Signals) -> None:
    screen = Screen(device=file)
    if number == signal.SIGINT:
        screen.program.type(terminal.CTRL_C)
    else:
        screen.program.signal(number)
    assert screen.program.end() == -number
    assert "\x1b[?1049l" in screen.program.said


def test_keys_from_elsewhere(file: pathlib.Path) -> None:
    """Without a terminal to type on it goes on until a signal."""
    program = Terminal("top", device=file, stdin=subprocess.DEVNULL)
    assert program.shows("no label")
    program.signal(signal.SIGTERM)
    assert program.end() == -signal.SIGTERM


def test_a_long_name(tmp_path: pathlib.Path) -> None:
    """It takes one line, also where the terminal is narrow."""
    file = tmp_path / ("x" * 200)
    file.write_bytes(bytes(65536))
    screen = Screen(device=file)
    screen.resize(10, 30, "q: end")
    screen.quit()
    first, second = ctl.run("top", device=file).out.decode().splitlines()
    assert "xxx" in first and second == "no label"
