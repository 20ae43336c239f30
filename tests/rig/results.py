# SPDX-License-Identifier: GPL-2.0-only
"""What came of each line of kernels on each architecture: the figures "kernels", where a
run replaces the rows that it has done again."""

import datetime
import re
import threading
import typing

import record
import suite
import tap

NAME = "kernels"
LOCK = threading.Lock()
FLAVOURS = ("plain", "cloud", "rt", "16k")
HEADINGS = (
    "kernel",
    "arch",
    "from",
    "compilers",
    *FLAVOURS,
    "guests ran",
    "passed",
    "failed",
    "skipped",
    "run",
)
BUILT = (
    "A cell names the compilers that built the module for that flavour without a "
    "warning; `-` stands where Debian has no such flavour.\n\n"
)
# A row as it is kept.
Data = dict[str, typing.Any]
NOTES = "\nSkipped or failed:\n\n"


class Row:
    """What came of one line of kernels on one architecture."""

    def __init__(self, line: str, arch: str, release: str) -> None:
        self.line, self.arch, self.origin = line, arch, release
        self.gcc = self.clang = "?"
        self.builds: dict[str, list[str]] = {}  # {flavour: [what each compiler did]}
        self.releases: list[str] = []  # of the kernels that guests ran
        self.guests: str | None = None  # why none ran
        self.points: list[tap.Point] = []

    def built(self, flavour: str, compiler: str, well: bool) -> None:
        self.builds.setdefault(flavour, []).append(compiler if well else f"{compiler} FAILED")

    def ran(self, flavour: str, reader: suite.Counter) -> None:
        """Guests ran the suite, and a suite.Counter saw it."""
        self.points += [
            point._replace(name=f"{flavour}: {point.name}") if flavour else point
            for point in reader.points
        ]
        if reader.release:
            self.releases.append(reader.release)

    def data(self) -> Data:
        """As it is kept: a value for each heading, and the notes."""
        skipped = sum(point.skip is not None for point in self.points)
        failed = sum(not point.passed for point in self.points)
        flavours = (self.arch, f"cloud-{self.arch}", f"rt-{self.arch}", f"{self.arch}-16k")
        return {
            "kernel": self.line,
            "arch": self.arch,
            "from": self.origin,
            "compilers": f"gcc {self.gcc}, clang {self.clang}",
            **{
                name: ", ".join(self.builds.get(flavour, ["-"]))
                for name, flavour in zip(FLAVOURS, flavours)
            },
            "guests ran": ", ".join(self.releases) or f"none: {self.guests}",
            "passed": len(self.points) - failed - skipped,
            "failed": failed,
            "skipped": skipped,
            "run": datetime.date.today().isoformat(),
            "notes": [
                (point.name, point.skip if point.passed else "FAILED")
                for point in self.points
                if point.skip is not None or not point.passed
            ],
        }


def _key(row: Data) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", row["kernel"])], row["arch"]


def table(rows: typing.Iterable[Data]) -> str:
    """The tables of some rows, as they are kept."""
    rows = sorted(rows, key=_key)
    return (
        BUILT
        + record.table(HEADINGS, ([row[name] for name in HEADINGS] for row in rows))
        + NOTES
        + record.table(
            ("kernel", "arch", "result", "reason"),
            ([row["kernel"], row["arch"], *note] for row in rows for note in row["notes"]),
        )
    )


def write(row: Row) -> None:
    """Keep a row, in place of the one that is there."""
    with LOCK:
        new = row.data()
        kept: list[Data] = record.read(NAME, [])
        rows = [new, *(old for old in kept if _key(old) != _key(new))]
        rows.sort(key=_key)
        record.write(NAME, rows, table(rows))
