# SPDX-License-Identifier: GPL-2.0-only
"""Reads the TAP of single tests, writes the TAP of the whole run."""

import re
import subprocess
import sys
import threading
import typing

OUTPUT = threading.Lock()

POINT = re.compile(r"(not )?ok\b *\d* *(?:- )?(.*?)(?: *# *SKIP\b *(.*))?$", re.I)
DETAIL = "#   "
PLAN = re.compile(r"1\.\.(\d+)(?: *# *SKIP\b *(.*))?$", re.I)


def say(text: str) -> None:
    """Print lines, whole: print() writes a line and its end apart, and where two threads did so
    at once, one's comment ran into the other's point."""
    with OUTPUT:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


class Point(typing.NamedTuple):
    passed: bool
    name: str
    skip: str | None  # the reason
    details: list[str]  # lines that explain a failure


class Reader:
    """Takes a test's output line by line."""

    def __init__(self) -> None:
        self.count = self.failures = 0
        self.plan: int | None = None
        self.notes: list[str] = []  # lines since the last point, which explain the next
        self.bail: str | None = None

    def feed(self, line: str) -> Point | None:
        """Take one line; the Point it is, or None."""
        planned = PLAN.match(line)
        found = POINT.match(line)
        if planned:
            self.plan = int(planned.group(1))
            if planned.group(2) is None:
                return None
            self.plan = self.count = 1
            return Point(True, "", planned.group(2) or "no reason", [])
        if found:
            failed, name, skip = found.groups()
            self.count += 1
            self.failures += bool(failed)
            point = Point(not failed, name, skip, self.notes)
            self.notes = []
            return point
        if line.startswith("Bail out!"):
            self.bail = line
        elif not line.startswith("TAP version"):
            self.notes.append(line)
        return None

    def complaint(self, status: int) -> str | None:
        """What is wrong with the whole, given the exit status, or None."""
        if self.bail:
            return "\n".join([self.bail, *self.notes[-20:]])
        if self.plan is None:
            return "\n".join([f"exit status {status} and no plan", *self.notes[-20:]])
        if self.plan != self.count:
            return f"{self.plan} points were planned, {self.count} came"
        if not self.count:
            return "the test checked nothing"
        if status and not self.failures:
            return "\n".join([f"exit status {status} though no point failed", *self.notes[-20:]])
        return None


class Relay(Reader):
    """Reads what a Writer has written, where what explains a failure follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.details: list[str] = []  # of the point before

    def feed(self, line: str) -> Point | None:
        if line.startswith("#"):
            say(line)
            if line.startswith(DETAIL):
                self.details.append(line.removeprefix(DETAIL))
            return None
        point = super().feed(line)
        self.details = point.details if point else []
        return point


class Sink:
    """Where the points of tests go."""

    def point(self, test: str, point: Point) -> None:
        raise NotImplementedError

    def take(self, test: str, reader: Reader, line: str) -> None:
        """Give a line of a test to its reader and pass on the point it makes."""
        point = reader.feed(line)
        if point:
            self.point(test, point)

    def follow(self, test: str, reader: Reader, process: subprocess.Popen[str]) -> None:
        """Pass on the points of a program that prints them, until it ends."""
        assert process.stdout
        for line in process.stdout:
            self.take(test, reader, line.rstrip("\n"))
        self.judge(test, reader, process.wait())

    def judge(self, test: str, reader: Reader, status: int) -> None:
        """Add a failure if the test's output as a whole is wrong."""
        complaint = reader.complaint(status)
        if complaint:
            self.fail(test, complaint)

    def fail(self, test: str, reason: str) -> None:
        """A failure that is no point of the test itself."""
        first, *rest = reason.strip().splitlines() or ["failed"]
        self.point(test, Point(False, first, None, rest))


def explained(name: str, details: list[str]) -> str:
    """A failure, in lines."""
    return f"\n{DETAIL}".join([name, *details])


class Writer(Sink):
    """Numbers the points of all tests and counts them."""

    def __init__(self) -> None:
        self.passed = self.skipped = 0
        self.failures: list[tuple[str, list[str]]] = []
        self.lock = threading.Lock()
        say("TAP version 13")

    def point(self, test: str, point: Point) -> None:
        with self.lock:
            number = self.passed + len(self.failures) + self.skipped + 1
            name = f"{test}: {point.name}" if point.name else test
            if point.skip is not None and point.passed:
                self.skipped += 1
                say(f"ok {number} - {name} # SKIP {point.skip}")
            elif point.passed:
                self.passed += 1
                say(f"ok {number} - {name}")
            else:
                self.failures.append((name, point.details))
                say(f"not ok {number} - {explained(name, point.details)}")

    def finish(self) -> int:
        """Print the verdict; the exit status of the run. Thousands of lines may have followed
        a failure: it is said once more."""
        failed = len(self.failures)
        total = self.passed + failed + self.skipped
        say(f"1..{total}")
        for name, details in self.failures:
            say(f"# failed: {explained(name, details)}")
        say(f"{self.passed} passed, {failed} failed, {self.skipped} skipped")
        return 0 if failed == 0 and total else 1
