# SPDX-License-Identifier: GPL-2.0-only
"""ivshmemctl peers on a file: who announces itself in its label. Of a server:
test_server_control.py; of devices: tests/guest/present.sh."""

import contextlib
import json
import pathlib
import signal
import typing

import ctl
import pytest
from json_schema import conforms
from stranger import Stranger

SIZE = 16 << 20
FIRST_ID = 0xFF00
# Of 32 bytes, without an end: what commands a terminal, a line break, what is not UTF-8.
NASTY = b"\x1b[2J\xff name\n\xc3\xa9 \x1b]0;t\x07".ljust(32, b"n")


@pytest.fixture(name="file")
def fixture_file(tmp_path: pathlib.Path) -> pathlib.Path:
    file = tmp_path / "memory"
    with file.open("wb") as made:
        made.truncate(SIZE)
    assert ctl.run("format", device=file).process.returncode == ctl.OK
    return file


def peers(file: pathlib.Path) -> list[dict[str, typing.Any]]:
    program = ctl.run("peers", "--json", device=file)
    conforms("peers", program.out)
    found = json.loads(program.out)
    assert found["device"] == str(file)
    return found["peers"]


@contextlib.contextmanager
def program(file: pathlib.Path) -> typing.Iterator[ctl.Program]:
    """One that is present."""
    before = len(peers(file))
    waiter = ctl.Program("wait", device=file)
    assert ctl.wait_until(lambda: len(peers(file)) > before)
    try:
        yield waiter
    finally:
        if waiter.is_running():
            waiter.signal(signal.SIGINT)
        waiter.end()


@pytest.mark.parametrize("words", [["peers"], ["peers", "--watch"], ["peers", "--json"]])
def test_without_a_label(tmp_path: pathlib.Path, words: list[ctl.Word]) -> None:
    file = tmp_path / "memory"
    file.write_bytes(bytes(SIZE))
    for made in (False, True):
        found = ctl.run(*words, device=file)
        assert found.process.returncode == ctl.FAILED and not found.out
        assert "no label with room for peers" in found.err
        assert f"'ivshmemctl format --device {file}' makes one" in found.err
        assert "server" not in found.err
        assert made or not ctl.run("format", "--peers", 0, device=file).err


def test_nobody(file: pathlib.Path) -> None:
    assert not peers(file)
    assert ctl.run("peers", device=file).out.decode().split() == [
        *("SLOT", "ID", "KIND", "SILENT", "SELF", "NAME")
    ]


def test_two_programs(file: pathlib.Path) -> None:
    with program(file) as one, program(file) as other:
        found = peers(file)
        lines = ctl.run("peers", device=file).out.decode().splitlines()
        names = [f"{ctl.CTL.name}:{process.process.pid}" for process in (one, other)]
    assert [one["name"] for one in found] == names
    assert [one["slot"] for one in found] == [0, 1]
    assert [one["id"] for one in found] == [FIRST_ID, FIRST_ID + 1]
    assert all(one["kind"] == "host" and not one["self"] and one["silent"] < 1 for one in found)
    for slot, line in enumerate(lines[1:]):
        words = line.split()
        assert words[:3] == [str(slot), str(FIRST_ID + slot), "host"]
        assert words[-2:] == ["no", names[slot]]
    assert not peers(file)


def test_to_look_takes_no_slot(file: pathlib.Path) -> None:
    before = file.read_bytes()
    watcher = ctl.Program("peers", "--watch", device=file)
    assert ctl.run("peers", device=file).process.returncode == ctl.OK
    watcher.signal(signal.SIGINT)
    watcher.end()
    assert file.read_bytes() == before


def test_who_has_died_is_not_present(file: pathlib.Path) -> None:
    with program(file) as one, program(file):
        one.signal(signal.SIGKILL)
        one.end()
        assert ctl.peers(file) == [FIRST_ID + 1]
        assert [one["slot"] for one in peers(file)] == [1]


def test_no_slot_is_left(file: pathlib.Path) -> None:
    """Who would be one too many is told so."""
    ctl.run("format", "--force", "--peers", 1, device=file)
    with Stranger(file, 0, b"first"):
        refused = ctl.run("wait", "-t", "1", device=file)
        assert refused.process.returncode == ctl.FAILED
        assert "its label has 1 slot, and none is free" in refused.err
    waiter = ctl.run("wait", "-t", "0.1", device=file)
    assert waiter.process.returncode == ctl.TIMEOUT


def test_what_strangers_say(file: pathlib.Path) -> None:
    with Stranger(file, 3, NASTY, 77, 70000), Stranger(file, 15, b"", 1, 9):
        found = peers(file)
        lines = ctl.run("peers", device=file).out
    assert [one["slot"] for one in found] == [3, 15]
    assert [one["id"] for one in found] == [FIRST_ID + 3, 9]
    assert [one["kind"] for one in found] == ["unknown", "guest"]
    assert found[0]["name"] == NASTY.decode(errors="backslashreplace")
    assert found[1]["name"] == ""
    assert b"\x1b" not in lines and b"\x07" not in lines and len(lines.splitlines()) == 3
    assert rb"no    \x1b[2J\xff name\x0a" + "é \\x1b]0;t\\x07n".encode() in lines


def words(line: bytes) -> list[bytes]:
    """The name comes last, and can have blanks."""
    return line.rstrip(b"\n").split(None, 5)


def test_watch(file: pathlib.Path) -> None:
    with Stranger(file, 2, b"here", 1, 5) as there:
        watcher = ctl.Program("peers", "--watch", "--count", 3, device=file)
        assert words(watcher.line()) == [b"present", b"2", b"5", b"guest", b"other", b"here"]
        with Stranger(file, 0, b"a guest", 3, 6) as comes:
            assert words(watcher.line()) == [
                b"arrived",
                b"0",
                b"6",
                b"server",
                b"other",
                b"a guest",
            ]
            comes.die()
            assert words(watcher.line()) == [b"left", b"0", b"6", b"server", b"other", b"a guest"]
        there.leave()
        assert words(watcher.line()) == [b"left", b"2", b"5", b"guest", b"other", b"here"]
        assert watcher.end() == ctl.OK and not watcher.out


def test_watch_in_json(file: pathlib.Path) -> None:
    watcher = ctl.Program("peers", "--watch", "--json", device=file)
    lines = []
    with Stranger(file, 2, NASTY):
        lines.append(watcher.line())
        with Stranger(file, 1, b"\xff"):
            lines.append(watcher.line())
        lines.append(watcher.line())
    lines.append(watcher.line())
    watcher.signal(signal.SIGTERM)
    assert watcher.end() == -signal.SIGTERM
    conforms("peers", *lines)
    found = [json.loads(line) for line in lines]
    assert found[0].pop("event") in ("present", "arrived")
    events = [(one["event"], one["slot"]) for one in found[1:]]
    assert events == [("arrived", 1), ("left", 1), ("left", 2)]
    assert found[1]["name"] == "\\xff"


def test_another_label_ends_them(file: pathlib.Path) -> None:
    """Nobody is there any more, as far as those know who know the former one."""
    with Stranger(file, 2, b"a"):
        watcher = ctl.Program("peers", "--watch", device=file)
        assert watcher.line().startswith(b"present")
        assert ctl.run("wipe", "--force", device=file).process.returncode == ctl.OK
        line = watcher.line()
        while line.startswith(b"arrived"):  # what wipes may be there for a moment
            line = watcher.line()
        assert line.startswith(b"left")
        watcher.signal(signal.SIGINT)
        watcher.end()


def test_a_server_is_not_watched() -> None:
    with ctl.server() as (device, _):
        refused = ctl.run("peers", "--watch", device=device)
        assert refused.process.returncode == ctl.USAGE
        assert "--watch shows nothing" in refused.err
