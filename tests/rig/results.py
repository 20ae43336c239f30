# SPDX-License-Identifier: GPL-2.0-only
"""The tables of docs/kernels.md: one row for each line of kernels and architecture,
replaced whenever that row was run again; and what README.md shows of them."""

import datetime
import re
import threading

import build

DOCUMENT = build.TOP / "docs" / "kernels.md"
BEGIN = "<!-- from here on written by make check-kernels -->"
README = build.TOP / "README.md"
README_TABLE = re.compile("(<!-- kernels -->\n).*?(<!-- end of kernels -->)", re.S)
ARCHES = {"amd64": "x86-64", "arm64": "arm64"}
FLAVOURS = ("plain", "cloud", "rt", "16k")
LOCK = threading.Lock()
HEAD = f"""{BEGIN}

A cell names the compilers that built the module for that flavour without a
warning; `-` stands where Debian has no such flavour.

| kernel | arch | from | compilers | plain | cloud | rt | 16k | guests ran | passed | failed | skipped | run |
|---|---|---|---|---|---|---|---|---|---|---|---|---|
"""
NOTES = """
What was skipped, and why, and what failed:

| kernel | arch | result | reason |
|---|---|---|---|
"""


class Row:
    """What came of one line of kernels on one architecture."""

    def __init__(self, line, arch, release):
        self.line, self.arch, self.origin = line, arch, release
        self.gcc = self.clang = "?"
        self.builds = {}        # {flavour: [what each compiler did]}
        self.releases = []      # of the kernels that guests ran
        self.guests = None      # why none ran
        self.points = []

    def built(self, flavour, compiler, well):
        self.builds.setdefault(flavour, []).append(
            compiler if well else f"{compiler} FAILED")

    def ran(self, flavour, reader):
        """Guests ran the suite, and a suite.Counter saw it."""
        self.points += [point._replace(name=f"{flavour}: {point.name}") if flavour else point
                        for point in reader.points]
        if reader.release:
            self.releases.append(reader.release)

    def _cells(self):
        yield from (self.line, self.arch, self.origin,
                    f"gcc {self.gcc}, clang {self.clang}")
        for flavour in (self.arch, f"cloud-{self.arch}", f"rt-{self.arch}",
                        f"{self.arch}-16k"):
            yield ", ".join(self.builds.get(flavour, ["-"]))
        yield ", ".join(self.releases) or f"none: {self.guests}"
        skipped = sum(point.skip is not None for point in self.points)
        failed = sum(not point.passed for point in self.points)
        yield from (len(self.points) - failed - skipped, failed, skipped)
        yield datetime.date.today().isoformat()

    def main(self):
        """The row of the first table."""
        return _row(*self._cells())

    def notes(self):
        """The rows of the second."""
        return [_row(self.line, self.arch, point.name,
                     point.skip if point.passed else "FAILED")
                for point in self.points if point.skip is not None or not point.passed]


def _row(*cells):
    return f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def _key(row):
    line, arch = row.split(" | ")[:2]
    return [int(number) for number in re.findall(r"\d+", line)], arch


def table(rows):
    """The tables of some rows."""
    rows = list(rows)
    return _tables([row.main() for row in rows],
                   [note for row in rows for note in row.notes()])


def _tables(main, notes):
    return HEAD + "\n".join(sorted(main, key=_key)) + "\n" + \
        NOTES + "\n".join(sorted(notes, key=_key)) + "\n"


def write(row):
    """Put a row into the document, in place of the one that is there."""
    with LOCK:
        text = DOCUMENT.read_text()
        start = text.index(BEGIN)
        kept = [line for line in re.findall(r"^\| \d.*$", text[start:], re.M)
                if not line.startswith(f"| {row.line} | {row.arch} |")]
        main = [line for line in kept if line.count(" | ") == row.main().count(" | ")]
        notes = [line for line in kept if line not in main]
        main.append(row.main())
        DOCUMENT.write_text(text[:start] + _tables(main, [*notes, *row.notes()]))
        README.write_text(README_TABLE.sub(
            lambda found: found[1] + _short(main) + found[2], README.read_text()))


def _short(main):
    """The table of README.md, the newest kernels first."""
    lines = [f"| kernel | built for {' | tests in guests | built for '.join(ARCHES.values())}"
             " | tests in guests |", "|---" * (2 * len(ARCHES) + 1) + "|"]
    cells = {}
    for row in sorted(main, key=_key, reverse=True):
        line, arch, _, _, *built, _, passed, failed, skipped, _ = row[2:-2].split(" | ")
        flavours = ", ".join(flavour for flavour, how in zip(FLAVOURS, built)
                             if how == "gcc, clang")
        cells.setdefault(line, {})[arch] = \
            f"{flavours} | {passed} passed, {failed} failed, {skipped} skipped"
    lines += [f"| {line} | " + " | ".join(found.get(arch, " | ") for arch in ARCHES) + " |"
              for line, found in cells.items()]
    return "\n".join(lines) + "\n"
