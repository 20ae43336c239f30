# SPDX-License-Identifier: GPL-2.0-only
"""What the bench found: rows with ratios and targets, as JSON, tables and a plot."""

import json
import operator
import pathlib
import re
import shutil
import statistics
import subprocess
import typing

import build
import record

DIRECTORY = build.BUILD / "bench"  # for what the plot is drawn from
PLOT = pathlib.Path(__file__).with_name("plot.gp")
HEADINGS = ("", "median", "min", "max", "unit", "ratio", "to", "target", "met")
COMPARISONS = {"<=": operator.le, ">=": operator.ge}


class Row(typing.NamedTuple):
    name: str
    unit: str
    median: float
    min: float
    max: float
    anchor: str | None  # what it is compared with
    anchor_median: float | None
    ratio: float | None
    target: str | None  # a bound of the ratio: "<= 0.95"
    met: bool | None


class Figures:
    """Rows in the order in which they are to be read."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(
        self,
        name: str,
        unit: str,
        samples: list[float],
        anchor: tuple[str, list[float]] | None = None,
        target: str | None = None,
    ) -> None:
        """A figure, from the values of all repetitions. anchor is (name, values)
        of what it is compared with."""
        median = statistics.median(samples)
        label, values = anchor or (None, [])
        base = statistics.median(values) if values else None
        ratio = median / base if base else None
        met = None
        if target:
            comparison, bound = target.split()
            met = ratio is not None and COMPARISONS[comparison](ratio, float(bound))
        self.rows.append(
            Row(
                name,
                unit,
                median,
                min(samples),
                max(samples),
                label,
                base,
                ratio,
                target,
                met,
            )
        )

    def write(self, whole: bool) -> None:
        """To build/figures; a plot takes the whole of it."""
        record.write(
            "bench",
            [row._asdict() for row in self.rows],
            record.table(HEADINGS, map(texts, self.rows)),
        )
        if whole:
            plot(self.rows)

    def show(self) -> None:
        cells = [HEADINGS, *(texts(row) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        for row in cells:
            print(
                "  ".join(
                    [
                        row[0].ljust(widths[0]),
                        *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])),
                    ]
                ).rstrip()
            )
        print("\n" + verdict(self.rows))


def verdict(rows: list[Row]) -> str:
    targets = [row for row in rows if row.target]
    lines = [
        f"missed: {row.name}: {number(row.ratio)}, target {row.target}"
        for row in targets
        if not row.met
    ]
    return "\n".join(
        [*lines, f"{sum(bool(row.met) for row in targets)} of " f"{len(targets)} targets met"]
    )


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def texts(row: Row) -> tuple[str, ...]:
    met = {None: "", True: "yes", False: "NO"}[row.met]
    return (
        row.name,
        *map(number, (row.median, row.min, row.max)),
        row.unit,
        number(row.ratio),
        row.anchor or "",
        row.target or "",
        met,
    )


def bars(rows: list[Row], prefix: str) -> str:
    """A line for each row whose name begins so: the rest of the name, the figures."""
    return "".join(
        json.dumps(row.name[len(prefix) :]) + " {median} {min} {max}\n".format(**row._asdict())
        for row in rows
        if row.name.startswith(prefix)
    )


def curves(rows: list[Row], pattern: str) -> str:
    """A column for each name and a line for each number that the pattern finds."""
    cells = {
        match.groups(): row.median for row in rows if (match := re.fullmatch(pattern, row.name))
    }
    names = list(dict.fromkeys(name for _, name in cells))
    numbers = list(dict.fromkeys(number for number, _ in cells))
    lines = [
        ["size", *map(json.dumps, names)],
        *([number, *(str(cells[number, name]) for name in names)] for number in numbers),
    ]
    return "".join(" ".join(line) + "\n" for line in lines)


def plot(rows: list[Row]) -> None:
    """bench.svg beside the figures, drawn from three small tables."""
    if not shutil.which("gnuplot"):
        print("# no plot: gnuplot is missing")
        return
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for name, table in (
        ("roundtrip", bars(rows, "round trip, p50, ")),
        ("mapping", bars(rows, "total, ")),
        ("stream", curves(rows, r"stream, (\d+) B, (.*)")),
    ):
        (DIRECTORY / f"{name}.dat").write_text(table)
    subprocess.run(["gnuplot", str(PLOT)], cwd=DIRECTORY, check=True)
