# SPDX-License-Identifier: GPL-2.0-only
"""Somewhere to run commands, a guest or a chroot, and to check what they do."""


class CheckedSystem:
    """run takes a shell command: (exit status, output)."""

    def __init__(self, checks, run):
        self.checks = checks
        self.run = run

    def equal(self, name, command, *lines):
        """Check which lines a command prints."""
        _, output = self.run(command)
        found = output.strip().splitlines()
        self.checks.ok(
            name, found == list(lines), "\n".join(["found:", *found, "wanted:", *lines])
        )

    def holds(self, name, command):
        """Check that a command succeeds; what it printed."""
        status, output = self.run(command)
        self.checks.ok(name, status == 0, output)
        return output
