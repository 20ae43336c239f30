# SPDX-License-Identifier: GPL-2.0-only
"""A test that fails in a guest is run once more, alone in a fresh guest. If it passes
there it counts as passed, but is listed as flaky, and too many of those fail the run."""

import pathlib
import shutil
import typing

import tap

LIMIT = 2


class Attempt(tap.Sink):
    """One run of a test: holds its points back until they are judged."""

    def __init__(self) -> None:
        self.points: list[tuple[str, tap.Point]] = []
        self.log: list[str] = []  # of the guests' kernels

    def point(self, test: str, point: tap.Point) -> None:
        self.points.append((test, point))

    @property
    def failures(self) -> list[tuple[str, tap.Point]]:
        return [(test, point) for test, point in self.points if not point.passed]

    @property
    def passed(self) -> bool:
        """A run in which all was skipped takes no failure back."""
        return not self.failures and any(point.skip is None for _, point in self.points)

    def replay(self, writer: tap.Sink) -> None:
        for test, point in self.points:
            writer.point(test, point)

    def keep(self, path: pathlib.Path) -> None:
        """Write what the test and the kernels said."""
        lines = []
        for test, point in self.points:
            skip = "" if point.skip is None else f" # SKIP {point.skip}"
            lines.append(f"{'' if point.passed else 'not '}ok - {test}: {point.name}{skip}")
            lines += [f"#   {line}" for line in point.details]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*lines, "", *self.log, ""]))


class SecondChances:
    def __init__(self, writer: tap.Sink, directory: pathlib.Path) -> None:
        self.writer = writer
        self.directory = directory  # where the logs of flaky tests are kept
        self.flaky: list[tuple[str, str]] = []
        shutil.rmtree(directory, ignore_errors=True)

    def judge(self, name: str, first: Attempt, again: typing.Callable[[Attempt], None]) -> None:
        """Write the points of a test; again runs it once more."""
        if not first.failures:
            first.replay(self.writer)
            return
        test, point = first.failures[0]
        failure = f"{test}: {point.name}"
        tap.say(f"# {name} failed ({failure}): once more, alone")
        second = Attempt()
        again(second)
        if not second.passed:
            first.replay(self.writer)
            return
        second.replay(self.writer)
        self.flaky.append((name, failure))
        first.keep(self.directory / f"{name}-failed.log")
        second.keep(self.directory / f"{name}-passed.log")

    def finish(self) -> None:
        """List the flaky tests; fail if there are too many."""
        for name, failure in self.flaky:
            tap.say(f"# flaky: {name}: {failure}")
        if self.flaky:
            tap.say(f"# their logs are in {self.directory}")
        if len(self.flaky) > LIMIT:
            self.writer.fail("rig", f"{len(self.flaky)} tests are flaky, more than {LIMIT}")
