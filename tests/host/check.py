#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Runs the host's tests (build/san/tests/) and prints one TAP for all of them."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
LIMIT = 240  # seconds for one test

sys.path.insert(0, str(HERE.parent / "rig"))
# pylint: disable=wrong-import-position
import run
import tap


def run_test(name, writer):
    """Run one test program from the top of the tree."""
    try:
        done = subprocess.run([f"build/san/tests/{name}"], cwd=TOP, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=LIMIT,
                              errors="replace")
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode(errors="replace")
        writer.fail(name, f"not done after {LIMIT} s\n{output[-4000:]}")
        return
    points, complaint = tap.parse(done.stdout.splitlines())
    for point in points:
        writer.point(name, point)
    if complaint:
        writer.fail(name, complaint)
    elif done.returncode and all(point.passed for point in points):
        writer.fail(name, f"exit status {done.returncode}\n{done.stdout[-4000:]}")


def main():
    """Run the tests that TESTS= chooses; the exit status is the verdict."""
    writer = tap.Writer()
    for source in sorted(HERE.glob("*.c")):
        if run.selected(source.stem):
            run_test(source.stem, writer)
    return writer.finish()


if __name__ == "__main__":
    sys.exit(main())
