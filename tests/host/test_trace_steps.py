# SPDX-License-Identifier: GPL-2.0-only
"""What "ivshmemctl trace" says of each step, and docs/what-is-called-when.md with it,
is what the driver's sources say."""

import json
import pathlib
import re
import typing

import pytest

import trace_scenarios
from ctl import ROOT, run

TRACED = ("probe", "open", "ring", "unplug")


class Place(typing.NamedTuple):
    """Where a tracepoint stands."""

    event: str
    file: str
    function: str


def tracepoints() -> set[str]:
    """Those that the driver has."""
    text = (ROOT / "src" / "core" / "trace.h").read_text()
    return set(re.findall(r"^(?:TRACE_EVENT\(|DEFINE_EVENT\(\w+, )(\w+)", text, re.M))


def places(path: pathlib.Path) -> typing.Iterator[Place]:
    """What stands in a source."""
    function = ""
    for line in path.read_text().splitlines():
        head = re.match(r"[a-z].*?(\w+)\(.*[^;]$", line)
        function = head[1] if head else function
        for event in re.findall(r"\btrace_(ivshmem_\w+)\(", line):
            yield Place(event, str(path.relative_to(ROOT)), function)


def listed(*options: str) -> list[str]:
    """The table of steps, a line for each."""
    return run("trace", "--list", *options).out.decode().splitlines()


STEPS = [json.loads(line) for line in listed("--json")]
NAMED = {Place(step["event"], step["file"], step["function"]) for step in STEPS}
KNOWN = {place for path in (ROOT / "src").rglob("*.c") for place in places(path)}
FUNCTIONS = {(place.file, place.function) for place in KNOWN}
TEXT = trace_scenarios.DOCUMENT.read_text()


def test_the_table_has_all_tracepoints_and_no_others() -> None:
    assert {step["event"] for step in STEPS} == tracepoints()


def test_no_row_is_there_twice() -> None:
    assert len(NAMED) == len(STEPS)


def test_the_list_for_people_is_as_long() -> None:
    assert len(listed()) == len(STEPS)


@pytest.mark.parametrize(
    "place", sorted(NAMED | KNOWN), ids=lambda place: f"{place.event} in {place.function}()"
)
def test_the_table_and_the_sources_have(place: Place) -> None:
    assert place in KNOWN
    assert place in NAMED


def body(scenario: str) -> str:
    """What the document says of a scenario, empty without its marks."""
    begin, end = trace_scenarios.marks(scenario)
    return TEXT.partition(begin)[2].partition(end)[0]


@pytest.mark.parametrize("scenario", ("machine", *TRACED))
def test_the_document_has_the_marks_of(scenario: str) -> None:
    begin, end = trace_scenarios.marks(scenario)
    assert 0 <= TEXT.find(begin) < TEXT.find(end)


@pytest.mark.parametrize("scenario", TRACED)
def test_each_row_is_in_the_sources_for(scenario: str) -> None:
    rows = re.findall(r"`(ivshmem_\w+)`.*\| `(src/\w+/\w+\.c)`: `(\w+)\(\)`", body(scenario))
    assert rows and not set(rows) - KNOWN, trace_scenarios.COMMAND


@pytest.mark.parametrize("scenario", TRACED)
def test_there_is_a_diagram_of(scenario: str) -> None:
    picture = trace_scenarios.picture(scenario)
    assert f"]({picture.name})" in body(scenario) and picture.exists()


@pytest.mark.parametrize("scenario", TRACED)
def test_the_diagram_is_of_the_sources_for(scenario: str) -> None:
    text = trace_scenarios.picture(scenario).read_text()
    drawn = re.findall(r"(src/\w+/\w+\.c) (\w+)\(\)", text)
    assert drawn and not set(drawn) - FUNCTIONS, trace_scenarios.COMMAND
