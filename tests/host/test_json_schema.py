# SPDX-License-Identifier: GPL-2.0-only
"""What ivshmemctl prints with --json is as its schema says, and has nothing else.

What needs a guest is in the guests' tests: "add", devices, and steps as they happen.
"""

import contextlib
import json
import pathlib
import re
import signal
import subprocess
import tempfile
import typing

import ctl
import fake_sysfs
import jsonschema  # type: ignore
import pytest
from json_schema import SCHEMA, conforms

TOP = ctl.ROOT
# Lines of trace_pipe: a step of the driver, a mark, and a call of a function.
EVENTS = b"""\
  dd-123  [001] .....  5724.664823: ivshmem_open: device=0 writable=1
  sh-9    [000] d.h1.     2.000001: tracing_mark_write: a > b: c
"""
CALLS = b"    2.657567 |   3) + 83.509 us   |    ivshmem_peer_join [ivshmem]();\n"
GONE = 99999999  # no process has this id
PRINTER = """
#include <stdio.h>
#include <string.h>
#include "tools/ctl/trace_print.h"
int main(int argc, char **argv)
{
	struct trace_line line;
	char text[256];

	common.json = argc > 2 && !strcmp(argv[2], "json");
	trace_print_begin(0);
	while (fgets(text, sizeof(text), stdin)) {
		text[strcspn(text, "\\n")] = 0;
		if (strcmp(argv[1], "calls") ? trace_parse_event(text, &line) :
					       trace_parse_call(text, &line))
			trace_print(&line);
	}
	return 0;
}
"""
OBJECTS = [
    *(path for path in ctl.BUILD.glob("obj/tools/ctl/*.o") if path.name != "ivshmemctl.o"),
    *ctl.BUILD.glob("obj/src/rings/*.o"),
    ctl.BUILD / "libivshmem.a",
]
LIBRARIES = (
    "-fsanitize=address,undefined",
    "-pthread",
    "-ljansson",
    "-lncursesw",
    "-ltinfo",
    "-lm",
)


@pytest.fixture(name="device", scope="module")
def fixture_device() -> typing.Iterator[pathlib.Path]:
    with ctl.server() as (device, _):
        yield device


@pytest.fixture(name="prefix")
def fixture_prefix(tmp_path: pathlib.Path) -> tuple[str, ...]:
    """What runs a program on a machine that has devices."""
    prefix = fake_sysfs.fake_sysfs(tmp_path)
    if prefix is None:
        pytest.skip("needs the right to mount over /sys/class")
    fake_sysfs.fake_device(tmp_path, "ivshmem0", [3, 4], size=4096, id=2, cache="wb")
    (tmp_path / "ivshmem/ivshmem0/name").write_text("cam\n")
    fake_sysfs.fake_device(tmp_path, "ivshmem1", [], size=4096, id="unknown", cache="uc")
    return prefix


def test_the_schema_is_one() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == "urn:ivshmem:ivshmemctl:1"


def verbs() -> set[str]:
    lines = ctl.run("--help").out.decode().split("\n\n")[2].splitlines()
    return {line.split()[0] for line in lines}


def with_json() -> set[str]:
    return {verb for verb in verbs() if b"--json" in ctl.run(verb, "--help").out}


def test_each_verb_that_prints_json_has_a_definition() -> None:
    assert with_json() == {one["$ref"].rsplit("/")[-1] for one in SCHEMA["anyOf"]}
    assert {"list", "info", "doctor"} < with_json()


def test_each_verb_that_prints_json_says_so_in_the_manual() -> None:
    page = (TOP / "tools/ctl/ivshmemctl.1").read_text().replace("\\-", "-")
    # Headings that follow each other are of the same section.
    sections = re.findall(r"((?:^\.SS .*\n)+)((?:^(?!\.S[SH] ).*\n)*)", page, re.M)
    documented = {
        verb
        for headings, text in sections
        for verb in re.findall(r"^\.SS (\w+)", headings, re.M)
        if "--json\nPrint " in text
    }
    assert documented == with_json()


def test_the_others_print_nothing(device: pathlib.Path) -> None:
    # remove and rescan need the module: tests/guest/soft.sh, label.sh.
    # For wipe: test_label_verbs.py.
    assert verbs() - with_json() == {"write", "ring", "remove", "rescan", "wipe"}
    waiter = ctl.join("wait", device=device)
    silent: list[list[ctl.Word]] = [["write", "0", "text"], ["ring", ctl.peers(device)[0]]]
    for words in silent:
        program = ctl.run(*words, device=device)
        assert (program.process.returncode, program.out, program.err) == (ctl.OK, b"", "")
    waiter.signal(signal.SIGINT)
    waiter.end()


def test_other_output_does_not_conform() -> None:
    good: dict[str, object] = {"offset": 0, "length": 1, "hex": "00"}
    conforms("read", json.dumps(good))
    for bad in (good | {"more": 1}, good | {"hex": "0"}, {"offset": 0, "length": 1}):
        with pytest.raises(jsonschema.ValidationError):
            conforms("read", json.dumps(bad))


def test_list(prefix: tuple[str, ...]) -> None:
    program = ctl.run("list", "--json", prefix=prefix)
    assert len(json.loads(program.out)) == 2
    conforms("list", program.out, ctl.run("list", "--json").out)


def test_list_with_a_server(device: pathlib.Path) -> None:
    program = ctl.run("list", "--json")
    assert str(device) in [one["name"] for one in json.loads(program.out)]
    conforms("list", program.out)


def test_peers(device: pathlib.Path) -> None:
    waiter = ctl.join("wait", device=device)
    program = ctl.run("peers", "--json", device=device)
    waiter.signal(signal.SIGINT)
    waiter.end()
    assert len(json.loads(program.out)["peers"]) == 1
    conforms("peers", program.out)


def test_info_and_read(device: pathlib.Path) -> None:
    conforms("info", ctl.run("info", "--json", device=device).out)
    conforms("read", ctl.run("read", "--json", device=device).out)


def test_wait(device: pathlib.Path) -> None:
    waiter = ctl.join("wait", "--json", "--count", "1", device=device)
    ctl.run("ring", ctl.peers(device)[0], "1", device=device)
    waiter.end()
    assert len(waiter.out.splitlines()) == 2
    conforms("wait", *waiter.out.splitlines())


def test_ping(device: pathlib.Path) -> None:
    answerer = ctl.join("ping", "--answer", "1", "-c", "5", "--json", device=device)
    asker = ctl.run("ping", ctl.peers(device)[0], "-c", "5", "--json", device=device)
    answerer.end()
    assert "round_trip_us" in json.loads(asker.out)
    conforms("ping", asker.out, answerer.out)


def test_transfer(device: pathlib.Path) -> None:
    receiver = ctl.Program("recv", "--json", device=device)
    sender = ctl.run("send", "--json", device=device, data=b"data")
    receiver.end()
    conforms("send", sender.out)
    conforms("recv", receiver.err)


def test_doctor() -> None:
    with tempfile.TemporaryDirectory() as directory:
        program = ctl.run("doctor", "--json", "--root", directory)
        assert json.loads(program.out)["problems"]
        conforms("doctor", program.out)


@pytest.fixture(name="printer", scope="module")
def fixture_printer() -> typing.Iterator[pathlib.Path]:
    """What prints the lines of trace_pipe as ivshmemctl trace does."""
    with tempfile.TemporaryDirectory() as directory:
        source, printer = pathlib.Path(directory, "printer.c"), pathlib.Path(directory, "printer")
        source.write_text(PRINTER)
        words: list[str | pathlib.Path] = ["gcc", "-D_GNU_SOURCE"]
        words += ["-I.", "-Ilib/include", "-Isrc/uapi", "-o", printer]
        subprocess.run([*words, source, *OBJECTS, *LIBRARIES], cwd=TOP, check=True)
        yield printer


def printed(printer: pathlib.Path, kind: str, form: str, lines: bytes) -> list[bytes]:
    words: list[str | pathlib.Path] = [printer, kind, form]
    program = subprocess.run(words, input=lines, check=True, stdout=subprocess.PIPE)
    return program.stdout.splitlines()


def test_trace(printer: pathlib.Path) -> None:
    conforms("trace", *ctl.run("trace", "--list", "--json").out.splitlines())
    for kind, lines in (("events", EVENTS), ("calls", CALLS)):
        found = printed(printer, kind, "json", lines)
        assert len(found) == len(lines.splitlines())
        conforms("trace", *found)


@contextlib.contextmanager
def process(name: bytes) -> typing.Iterator[int]:
    """The id of a process of this name."""
    script = 'printf %s "$1" >/proc/$$/comm; echo; read -r end'
    with subprocess.Popen(
        ["sh", "-c", script, "sh", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout and program.stdout.readline()
        yield program.pid


def test_trace_of_any_name(printer: pathlib.Path) -> None:
    """Any bytes can be a task's name or a mark. None loses a line, or is one by itself."""
    name, mark = b"na\xff \x1b[2Jme", b"m\xfe\x80ark \x1b[2J"
    words = [text.decode(errors="backslashreplace") for text in (name, mark)]
    events = b" %b-%d [001] d.h1. 1.000001: ivshmem_open: device=0 writable=1\n" % (name, GONE)
    events += b" sh-%d [000] ..... 2.000001: tracing_mark_write: %b\n" % (GONE, mark)
    found = printed(printer, "events", "json", events)
    conforms("trace", *found)
    step, text = map(json.loads, found)
    assert [step["task"], text["text"]] == words
    assert step["fields"] == {"device": 0, "writable": 1} and text["event"] == "mark"
    _, *lines = printed(printer, "events", "text", events)
    for word, line in zip(words, lines, strict=True):
        assert word.replace("\x1b", "\\x1b") in line.decode()
    (call,) = printed(printer, "calls", "json", CALLS.replace(b"peer", b"p\xffer"))
    conforms("trace", call)
    assert "p\\xffer" in json.loads(call)["call"]


def test_trace_of_a_process(printer: pathlib.Path) -> None:
    """The name that it has now counts, as a whole."""
    with process(b"na\xff\nme") as pid:
        event = b" old-%d [001] ..... 1.000001: ivshmem_open: device=0 writable=1\n" % pid
        (found,) = printed(printer, "events", "json", event)
        _, line = printed(printer, "events", "text", event)
    conforms("trace", found)
    assert json.loads(found)["task"] == "na\\xff\nme"
    assert rf" na\xff\x0ame-{pid} " in line.decode()
