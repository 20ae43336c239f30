# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of src/ the suite has run: adds up what harvest.py has kept.

The table goes to docs/coverage.md, with what was not run. Run as a program, says it of
the last run of a kernel that counts.
"""

import collections
import json
import re
import shutil
import sys

import build
import harvest

DOCUMENT = build.TOP / "docs" / "coverage.md"
TABLE = re.compile(r"(?<=<!-- coverage -->\n).*?(?=<!-- /coverage -->)", re.S)


def clear():
    shutil.rmtree(harvest.DIRECTORY, ignore_errors=True)


def collect():
    """{source: {line: times}} of all boots together."""
    total = collections.defaultdict(collections.Counter)
    for path in sorted(harvest.DIRECTORY.glob("*.json")):
        for name, lines in json.loads(path.read_text()).items():
            total[name].update({int(line): times for line, times in lines.items()})
    return total


def table(total):
    """As Markdown, with the lines that were not run."""
    rows = ["| file | lines | run | not run |", "|---|---|---|---|"]
    everything = covered = 0
    for name, lines in sorted(total.items()):
        missed = sorted(line for line, times in lines.items() if not times)
        run = len(lines) - len(missed)
        everything += len(lines)
        covered += run
        rows.append(f"| `src/{name}` | {len(lines)} | {100 * run / len(lines):.0f} % | "
                    f"{' '.join(map(str, missed))} |")
    rows.append(f"| **all** | {everything} | **{100 * covered / everything:.1f} %** | |")
    return "\n".join(rows)


def report():
    total = collect()
    if total:
        print("\n".join(f"# {line}" for line in table(total).splitlines()), flush=True)


def main():
    total = collect()
    if not total:
        sys.exit("nothing was counted: run make check-debug KERNEL=kasan")
    print(table(total))
    text = DOCUMENT.read_text()
    DOCUMENT.write_text(TABLE.sub(lambda _: table(total) + "\n", text))


if __name__ == "__main__":
    main()
