# SPDX-License-Identifier: GPL-2.0-only
"""Somewhere to run commands, a guest or a chroot, and to check what they do."""

import pathlib
import typing

import devices
import tap


class Checks:
    """The points of one test."""

    def __init__(self, name: str, writer: tap.Sink) -> None:
        self.name = name
        self.writer = writer

    def ok(self, what: str, passed: bool, details: str = "") -> None:
        self.writer.point(self.name, tap.Point(passed, what, None, details.splitlines()[-40:]))


# Takes the directory that it has to itself, and devices for its guests.
Test = typing.Callable[[pathlib.Path, Checks, devices.Devices], None]


class CheckedSystem:
    """run takes a shell command: (exit status, output)."""

    def __init__(self, checks: Checks, run: typing.Callable[[str], tuple[int, str]]) -> None:
        self.checks = checks
        self.run = run

    def equal(self, name: str, command: str, *lines: str) -> None:
        """Check which lines a command prints."""
        _, output = self.run(command)
        found = output.strip().splitlines()
        self.checks.ok(
            name, found == list(lines), "\n".join(["found:", *found, "wanted:", *lines])
        )

    def holds(self, name: str, command: str) -> str:
        """Check that a command succeeds; what it printed."""
        status, output = self.run(command)
        self.checks.ok(name, status == 0, output)
        return output
