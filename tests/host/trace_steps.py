#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What "ivshmemctl trace" says of each step, and docs/what-is-called-when.md with it,
is what the driver's sources say."""

import collections
import json
import pathlib
import re
import sys

sys.path[:0] = [
    str(pathlib.Path(__file__).parent / "common"),
    str(pathlib.Path(__file__).parents[1] / "rig"),
]
import trace_scenarios  # noqa: E402
from ctl import ROOT, check, done, run  # noqa: E402

SCENARIOS = ("machine", "probe", "open", "ring", "unplug")


def tracepoints():
    """Those that the driver has."""
    text = (ROOT / "src" / "core" / "trace.h").read_text()
    return set(re.findall(r"^(?:TRACE_EVENT\(|DEFINE_EVENT\(\w+, )(\w+)", text, re.M))


def places():
    """Where they stand: {(tracepoint, file, function): how often}."""
    found = collections.Counter()
    for path in (ROOT / "src").rglob("*.c"):
        function = None
        for line in path.read_text().splitlines():
            head = re.match(r"[a-z].*?(\w+)\(.*[^;]$", line)
            function = head[1] if head else function
            for event in re.findall(r"\btrace_(ivshmem_\w+)\(", line):
                found[event, str(path.relative_to(ROOT)), function] += 1
    return found


def test_table(steps, known):
    check(
        {step["event"] for step in steps} == tracepoints(),
        "the table has all tracepoints, and no others",
        {step["event"] for step in steps} ^ tracepoints(),
    )
    named = {(step["event"], step["file"], step["function"]) for step in steps}
    check(len(named) == len(steps), "no row is there twice")
    for place in sorted(named | set(known)):
        check(
            place in named and place in known,
            f"{place[0]} is in {place[1]}: {place[2]}()",
            "it is in the table only" if place in named else "it is in src/ only",
        )


def test_document(known):
    text = trace_scenarios.DOCUMENT.read_text()
    functions = {(file, function) for _, file, function in known}
    for scenario in SCENARIOS:
        begin, end = trace_scenarios.marks(scenario)
        start, stop = text.find(begin), text.find(end)
        check(0 <= start < stop, f"the document has the marks of {scenario}")
        if scenario == "machine":
            continue
        body = text[start:stop]
        rows = re.findall(r"`(ivshmem_\w+)`.*\| `(src/\w+/\w+\.c)`: `(\w+)\(\)`", body)
        check(
            rows and set(rows) <= set(known),
            f"{scenario}: each row of its table is in src/",
            f"{trace_scenarios.COMMAND}: {set(rows) - set(known)}",
        )
        picture = trace_scenarios.picture(scenario)
        check(f"]({picture.name})" in body and picture.exists(), f"{scenario}: it has a diagram")
        drawn = re.findall(r"(src/\w+/\w+\.c) (\w+)\(\)", picture.read_text())
        check(
            drawn and set(drawn) <= functions,
            f"{scenario}: the diagram is of src/",
            f"{trace_scenarios.COMMAND}: {set(drawn) - functions}",
        )


def main():
    listed = run("trace", "--list", "--json").out.decode().splitlines()
    known = places()
    test_table([json.loads(line) for line in listed], known)
    test_document(known)
    text = run("trace", "--list").out.decode()
    check(len(text.splitlines()) == len(listed), "the list for people is as long")
    done()


main()
