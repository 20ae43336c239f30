# SPDX-License-Identifier: GPL-2.0-only
"""What each verb that waits or copies shows on a terminal: what it waits for, how far it is,
and what it has done, all in one style. Elsewhere it shows nothing of that. A signal ends it
as it ends other programs."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time
import typing

import ctl
import pytest
import terminal
from terminal import Terminal

SIZE = r"\d+(\.\d+)? ([KMGT]i)?B"
COUNT = r"(1 (interrupt|ring)|(0|[2-9]|\d{2,}) (interrupt|ring)s)"
RATE = rf"({SIZE}|\d+(\.\d+)?(e-\d+)?)/s"
AMOUNT = rf"({SIZE}( of {SIZE} \(\d+%\))?|(\d+ of )?{COUNT}( \(\d+%\))?)"
DONE = "((sent|received|read|wrote|answered) )?"
# The lines that are drawn, and the words in the end.
STATUS = re.compile(rf"waiting for \S.*|{DONE}{AMOUNT}, ({RATE}|waiting for \S.*)")
TOTAL = re.compile(rf"{DONE}(\d+ bytes? \({SIZE}\)|{COUNT}) in \d+\.\d{{3}} s \({RATE}\)")


@pytest.fixture(name="device", scope="module")
def fixture_device() -> typing.Iterator[pathlib.Path]:
    with ctl.server() as (device, _):
        yield device


@pytest.fixture(name="stopped")
def fixture_stopped() -> typing.Iterator[tuple[pathlib.Path, int]]:
    """A server that does nothing until its process is continued."""
    with ctl.server(memory=("--memfd",)) as (device, _):
        pid = json.loads(ctl.run("peers", "--json", device=device).out)["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield device, pid
        finally:
            os.kill(pid, signal.SIGCONT)


def check_style(program: Terminal) -> None:
    """Each line that was drawn is as all are, and none is left."""
    lines = program.drawn()
    assert lines, program.said
    for line in lines:
        assert STATUS.fullmatch(line)
    assert "waiting for" not in program.left()


def interrupt(program: Terminal) -> None:
    """Ctrl-C ends it as it ends others."""
    program.type(terminal.CTRL_C)
    assert program.end() == -signal.SIGINT, program.said
    check_style(program)


def test_wait(device: pathlib.Path) -> None:
    program = Terminal("wait", "1", "3", device=device)
    assert program.shows(f"waiting for interrupts of {device}, vector 1, vector 3")
    ctl.run("ring", 0, "1", device=device)
    assert program.shows(r"1 interrupt, waiting for interrupts of")
    interrupt(program)
    event, total = program.left().splitlines()
    assert event == "vector 1: 1"
    assert TOTAL.fullmatch(total) and total.startswith("1 interrupt in ")


def test_wait_for_a_number(device: pathlib.Path) -> None:
    program = Terminal("wait", "--count", "3", device=device)
    assert program.shows("waiting for interrupts of")
    ctl.run("ring", 0, "-c", "2", device=device)
    assert program.shows(r"2 of 3 interrupts \(67%\), waiting for interrupts of")
    ctl.run("ring", 0, device=device)
    assert program.end() == ctl.OK
    check_style(program)
    assert "3 interrupts in " in program.left()


def test_ping(device: pathlib.Path) -> None:
    answerer = Terminal("ping", "--answer", "1", device=device)
    assert answerer.shows("waiting for peer 1")
    asker = Terminal("ping", "0", "-c", "1000000", "-i", "0.01", device=device)
    assert asker.shows(r"\d+ of 1000000 rings \(0%\), [\d.]+/s")
    assert answerer.shows(r"answered \d+ rings?, [\d.]+/s")
    answerer.signal(signal.SIGSTOP)
    assert asker.shows(r"\(0%\), waiting for peer 0")
    answerer.signal(signal.SIGCONT)
    interrupt(asker)
    told, words = asker.left().splitlines()[:2]
    assert told.endswith(
        "note: this side is peer 1: the other one runs 'ivshmemctl ping --answer 1'"
    )
    assert re.fullmatch(rf"peer 0, vector 0: {TOTAL.pattern}, \d+ answers?, .*", words)
    interrupt(answerer)
    told, words = answerer.left().splitlines()[:2]
    assert told.endswith("note: this side is peer 0: the other one runs 'ivshmemctl ping 0'")
    assert re.fullmatch(rf"peer 1, vector 0: {TOTAL.pattern}", words)


def test_ping_before_the_answer(device: pathlib.Path) -> None:
    waiter = ctl.join("wait", device=device)
    program = Terminal("ping", "0", device=device)
    assert program.shows("waiting for peer 0")
    interrupt(program)
    waiter.signal(signal.SIGINT)
    waiter.end()


def test_ring(device: pathlib.Path) -> None:
    program = Terminal("ring", "0", "-c", "1000000000", device=device)
    assert program.shows(r"\d+ of 1000000000 rings \(\d+%\), \d+/s")
    interrupt(program)


def test_transfer(device: pathlib.Path) -> None:
    """Each side tells what it waits for: the other, or its own file."""
    sender = Terminal("send", stdin=subprocess.PIPE, stdout=subprocess.PIPE, device=device)
    assert sender.shows("waiting for the receiver")
    receiver = Terminal("recv", stdout=subprocess.PIPE, device=device)
    sender.feed(b"x" * 1000)
    assert sender.shows("sent 0.977 KiB, waiting for stdin")
    assert receiver.shows("received 0.977 KiB, waiting for the sender")
    sender.close()
    assert receiver.end() == sender.end() == ctl.OK
    for program, done in ((sender, "sent"), (receiver, "received")):
        check_style(program)
        total, checksum = program.left().strip().split(", ")
        assert TOTAL.fullmatch(total) and total.startswith(f"{done} 1000 bytes (0.977 KiB) in ")
        assert checksum.startswith("XXH64 ")


def test_full_transfer(device: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The output takes no more: both wait, and know how much will come."""
    (tmp_path / "file").write_bytes(bytes(8 << 20))
    receiver = Terminal("recv", stdout=subprocess.PIPE, device=device)
    assert receiver.shows("waiting for the sender")
    sender = Terminal("send", tmp_path / "file", device=device)
    assert sender.shows(r"sent [\d.]+ MiB of 8 MiB \(\d+%\), waiting for the receiver")
    assert receiver.shows(rf"received {SIZE} of 8 MiB \(\d+%\), waiting for stdout")
    assert receiver.process.stdout
    assert len(receiver.process.stdout.read()) == 8 << 20
    assert receiver.end() == sender.end() == ctl.OK
    check_style(sender)
    check_style(receiver)


@pytest.mark.parametrize("verb", ("send", "recv"))
def test_interrupted_transfer(device: pathlib.Path, verb: str) -> None:
    program = Terminal(verb, stdin=subprocess.PIPE, stdout=subprocess.PIPE, device=device)
    assert program.shows("waiting for the (sender|receiver)")
    interrupt(program)
    assert program.left() == "ivshmemctl: interrupted\n"


def test_data_on_the_terminal(device: pathlib.Path) -> None:
    """Nothing is drawn among what is typed, or what comes."""
    sender = Terminal("send", device=device)
    receiver = Terminal("recv", device=device)
    assert sender.shows("waiting for input: Ctrl-D")
    sender.type("first\n")
    assert receiver.shows("first\n")
    sender.type("second\n" + terminal.CTRL_D)
    assert sender.end() == receiver.end() == ctl.OK
    *lines, total = receiver.left().splitlines()
    assert lines == ["first", "second"] and total.startswith("received 13 bytes (13 B) in ")
    assert receiver.said.rpartition(terminal.ERASE)[2] == receiver.left()
    assert sender.said.rpartition(terminal.ERASE)[2] == sender.left()


def test_write(device: pathlib.Path) -> None:
    program = Terminal("write", "0", stdin=subprocess.PIPE, device=device)
    program.feed(b"x")
    assert program.shows("wrote 1 B, waiting for stdin")
    interrupt(program)
    assert program.left() == "ivshmemctl: interrupted: wrote the first 1 byte\n"
    program = Terminal("write", "1M", stdin=subprocess.PIPE, device=device)
    assert program.shows("waiting for the end of stdin")
    interrupt(program)
    program = Terminal("write", "0", device=device)
    assert program.shows("waiting for input: Ctrl-D")
    program.type("typed" + 2 * terminal.CTRL_D)
    assert program.end() == ctl.OK
    assert ctl.run("read", "0", "5", device=device).out == b"typed"


def test_read_into_a_pipe(device: pathlib.Path) -> None:
    """The terminal is for who reads the pipe, such as a pager."""
    program = Terminal("read", stdout=subprocess.PIPE, device=device)
    assert program.process.stdout and program.process.stdout.read(1)
    time.sleep(1)  # the pipe takes no more
    program.type(terminal.CTRL_C)
    assert program.end() == -signal.SIGINT
    assert program.drawn() == [f"waiting for the server of {device}"]


def test_named_pipe(device: pathlib.Path, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    program = Terminal("write", "0", "-i", tmp_path / "pipe", device=device)
    assert program.shows(f"waiting for {tmp_path}/pipe")
    (tmp_path / "pipe").write_text("text")
    assert program.end() == ctl.OK
    check_style(program)


@pytest.mark.parametrize("verb", ("info", "peers", "list", "read", "ring 0", "wait", "recv"))
def test_server(stopped: tuple[pathlib.Path, int], verb: str) -> None:
    device, pid = stopped
    program = Terminal(*verb.split(), device=device)
    assert program.shows(f"waiting for the server of {device}")
    os.kill(pid, signal.SIGCONT)
    if verb in ("wait", "recv"):
        assert program.shows("waiting for (interrupts|the sender)")
        interrupt(program)
    else:
        program.end()
        check_style(program)


def test_narrow_terminal(device: pathlib.Path) -> None:
    program = Terminal("wait", device=device, columns=20)
    assert program.shows("waiting for interru")
    interrupt(program)
    assert all(len(line) < 20 for line in program.drawn())


# Each verb that can wait, and whether it has something to say when it is ended.
WAITING = {
    "wait": True,
    "ping 0 -c 0": True,
    "ping --answer 1": True,
    "ring 0 -c 1000000000": False,
    "send": True,
    "recv": True,
    "write 0": True,
    "read": True,
}


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM), ids=lambda one: one.name)
@pytest.mark.parametrize("verb", WAITING)
def test_signal(device: pathlib.Path, verb: str, number: signal.Signals) -> None:
    """Shells and scripts see what has ended it. Where there is no terminal, it draws nothing."""
    program = ctl.Program(*verb.split(), device=device, stdin=subprocess.PIPE)
    assert ctl.wait_until(program.has_joined)
    time.sleep(0.5)  # it has begun to wait
    program.signal(number)
    assert program.end() == -number, program.report()
    assert "waiting" not in program.err and "\x1b" not in program.err
    assert bool(program.err or program.out) == WAITING[verb]


@pytest.mark.parametrize("verb", ("info", "peers", "list"))
def test_signal_before_an_answer(stopped: tuple[pathlib.Path, int], verb: str) -> None:
    program = Terminal(verb, device=stopped[0])
    assert program.shows("waiting for the server of")
    program.type(terminal.CTRL_C)
    assert program.end() == -signal.SIGINT


@pytest.mark.parametrize("kind,log", (("dumb", ""), ("xterm", "error")))
@pytest.mark.parametrize("verb", WAITING)
def test_other_terminal(
    device: pathlib.Path, verb: str, kind: str, log: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is drawn on one that cannot erase, or among what the library logs."""
    if log:
        monkeypatch.setenv("IVSHMEM_LOG", log)
    pipe = subprocess.PIPE
    program = Terminal(*verb.split(), device=device, stdin=pipe, stdout=pipe, kind=kind)
    assert ctl.wait_until(program.has_joined)
    time.sleep(0.5)
    program.type(terminal.CTRL_C)
    assert program.end() == -signal.SIGINT
    assert "waiting" not in program.said and "\x1b" not in program.said
