# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of src/ the suite has run: adds up what kernel_reports.py has kept.

The figures are "coverage": each file, with the lines that were not run.
"""

import collections
import json
import shutil
import typing

import kernel_reports
import record
import tap

Total = dict[str, collections.Counter[int]]  # {source: {line: times}}
HEADINGS = ("file", "lines", "run", "not run")


def clear() -> None:
    shutil.rmtree(kernel_reports.DIRECTORY, ignore_errors=True)


def collect() -> Total:
    """{source: {line: times}} of all boots together."""
    total: Total = collections.defaultdict(collections.Counter)
    for path in sorted(kernel_reports.DIRECTORY.glob("*.json")):
        for name, lines in json.loads(path.read_text()).items():
            total[name].update({int(line): times for line, times in lines.items()})
    return total


def rows(total: Total) -> typing.Iterator[tuple[str, int, str, str]]:
    """A row for each file, and one for all."""
    everything = covered = 0
    for name, lines in sorted(total.items()):
        missed = sorted(line for line, times in lines.items() if not times)
        run = len(lines) - len(missed)
        everything += len(lines)
        covered += run
        yield f"`src/{name}`", len(lines), f"{100 * run / len(lines):.0f} %", " ".join(
            map(str, missed)
        )
    yield "**all**", everything, f"**{100 * covered / everything:.1f} %**", ""


def report() -> None:
    """Say it of the last run, if its kernel counted."""
    total = collect()
    if total:
        text = record.table(HEADINGS, rows(total))
        record.write("coverage", total, text)
        tap.say("\n".join(f"# {line}" for line in text.splitlines()))
