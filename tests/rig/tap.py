# SPDX-License-Identifier: GPL-2.0-only
"""Reads the TAP of single tests, writes the TAP of the whole run."""

import collections
import re

POINT = re.compile(r"(not )?ok\b *\d* *(?:- )?(.*?)(?: *# *SKIP\b *(.*))?$", re.I)
PLAN = re.compile(r"1\.\.(\d+)(?: *# *SKIP\b *(.*))?$", re.I)

# skip is None or the reason; details are lines that explain a failure.
Point = collections.namedtuple("Point", "passed name skip details")


def parse(lines):
    """The points of a test's output, and what is wrong with the output itself."""
    points, plan, notes = [], None, []
    for line in lines:
        planned = PLAN.match(line)
        point = POINT.match(line)
        if planned:
            plan = int(planned.group(1))
            if planned.group(2) is not None:
                points.append(Point(True, "", planned.group(2) or "no reason", []))
                plan = 1
        elif point:
            failed, name, skip = point.groups()
            points.append(Point(not failed, name, skip, notes))
            notes = []
        elif line.startswith("Bail out!"):
            return points, line
        elif not line.startswith("TAP version"):
            notes = [*notes, line]
    if plan is None:
        return points, "the test printed no plan\n" + "\n".join(notes[-20:])
    if plan != len(points):
        return points, f"{plan} points were planned, {len(points)} came"
    return points, "" if points else "the test checked nothing"


class Writer:
    """Numbers the points of all tests and counts them."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        print("TAP version 13", flush=True)

    def point(self, test, point):
        number = self.passed + self.failed + self.skipped + 1
        name = f"{test}: {point.name}" if point.name else test
        if point.skip is not None and point.passed:
            self.skipped += 1
            print(f"ok {number} - {name} # SKIP {point.skip}")
        elif point.passed:
            self.passed += 1
            print(f"ok {number} - {name}")
        else:
            self.failed += 1
            print(f"not ok {number} - {name}")
            for line in point.details:
                print(f"#   {line}")

    def fail(self, test, reason):
        """A failure that is no point of the test itself."""
        first, *rest = reason.strip().splitlines() or ["failed"]
        self.point(test, Point(False, first, None, rest))

    def finish(self):
        """Print the verdict; the exit status of the run."""
        total = self.passed + self.failed + self.skipped
        print(f"1..{total}")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 0 if self.failed == 0 and total else 1
