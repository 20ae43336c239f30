# SPDX-License-Identifier: GPL-2.0-only
"""What the bench found: rows with ratios and targets, as JSON, tables and a plot."""

import json
import operator
import pathlib
import re
import shutil
import statistics
import subprocess

import build
import record

DIRECTORY = build.BUILD / "bench"  # for what the plot is drawn from
PLOT = pathlib.Path(__file__).with_name("plot.gp")
HEADINGS = ("", "median", "min", "max", "unit", "ratio", "to", "target", "met")
COMPARISONS = {"<=": operator.le, ">=": operator.ge}


class Figures:
    """Rows in the order in which they are to be read."""

    def __init__(self):
        self.rows = []

    def add(self, name, unit, samples, anchor=None, target=None):
        """A figure, from the values of all repetitions. anchor is (name, values)
        of what it is compared with, target a bound of the ratio: "<= 0.95"."""
        median = statistics.median(samples)
        row = {
            "name": name,
            "unit": unit,
            "median": median,
            "min": min(samples),
            "max": max(samples),
            "anchor": None,
            "anchor_median": None,
            "ratio": None,
            "target": target,
            "met": None,
        }
        if anchor:
            row["anchor"], values = anchor
            row["anchor_median"] = statistics.median(values)
            if row["anchor_median"]:
                row["ratio"] = median / row["anchor_median"]
        if target:
            comparison, bound = target.split()
            row["met"] = row["ratio"] is not None and COMPARISONS[comparison](
                row["ratio"], float(bound)
            )
        self.rows.append(row)

    def write(self):
        record.write("bench", self.rows, record.table(HEADINGS, map(texts, self.rows)))
        plot(self.rows)

    def show(self):
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


def verdict(rows):
    targets = [row for row in rows if row["target"]]
    lines = [
        f"missed: {row['name']}: {number(row['ratio'])}, target {row['target']}"
        for row in targets
        if not row["met"]
    ]
    return "\n".join(
        [*lines, f"{sum(row['met'] for row in targets)} of " f"{len(targets)} targets met"]
    )


def number(value):
    if value is None:
        return ""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def texts(row):
    met = {None: "", True: "yes", False: "NO"}[row["met"]]
    return (
        row["name"],
        *(number(row[key]) for key in ("median", "min", "max")),
        row["unit"],
        number(row["ratio"]),
        row["anchor"] or "",
        row["target"] or "",
        met,
    )


def bars(rows, prefix):
    """A line for each row whose name begins so: the rest of the name, the figures."""
    return "".join(
        json.dumps(row["name"][len(prefix) :]) + " {median} {min} {max}\n".format(**row)
        for row in rows
        if row["name"].startswith(prefix)
    )


def curves(rows, pattern):
    """A column for each name and a line for each number that the pattern finds."""
    cells = {
        match.groups(): row["median"]
        for row in rows
        if (match := re.fullmatch(pattern, row["name"]))
    }
    names = list(dict.fromkeys(name for _, name in cells))
    numbers = list(dict.fromkeys(number for number, _ in cells))
    lines = [
        ["size", *map(json.dumps, names)],
        *([number, *(str(cells[number, name]) for name in names)] for number in numbers),
    ]
    return "".join(" ".join(line) + "\n" for line in lines)


def plot(rows):
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
