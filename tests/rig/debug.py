# SPDX-License-Identifier: GPL-2.0-only
"""make check-debug: the guest suite in kernels that watch, and whether they do.

Each kernel of debugkernel.py runs the whole suite. Then the driver is broken on
purpose, once for each detector, which has to find it: see mutants.py. --kernel takes
one kernel, --tests some of the tests, and mutants whose test that is. The part "mutants"
is the second half alone.
"""

import ending

import os
import re

import boot
import build
import coverage
import debugkernel
import kernels
import mutants
import run
import selection
import settings
import suite
import tap

# These kernels take their time.
ENVIRONMENT = {"SLOW": "4"}


class Listener(tap.Sink):
    """Takes what a test writes, to be searched."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def take(self, _test: str, _reader: tap.Reader, line: str) -> None:
        self.lines.append(line)

    def judge(self, *_: object) -> None:
        """How the test itself ends does not matter."""

    def point(self, _test: str, point: tap.Point) -> None:
        self.lines += [point.name, *point.details]

    def fail(self, _test: str, reason: str) -> None:
        self.lines += reason.splitlines()


def try_mutant(mutant: mutants.Mutant, test: selection.Test, writer: tap.Sink) -> None:
    """Does the detector speak of what was broken?"""
    tests = [test]
    kernel = kernels.find(mutant.kernel)
    setup = run.setup_for(kernel, tests)
    setup.modules = build.broken_module(kernel, mutant.detector, mutant.changes)
    listener = Listener()
    topology = test.topology._replace(append=f"{test.topology.append} {mutant.append}")
    try:
        machines = boot.start(setup, topology, tests)
        try:
            if machines.run(test, listener):
                machines.finish(test.name, listener)
            log = machines.guests[0].console.read_text(errors="replace").splitlines()
        finally:
            machines.stop()
    finally:
        setup.close()
    found = [line for line in [*listener.lines, *log] if re.search(mutant.report, line)]
    writer.point(mutant.detector, tap.Point(bool(found), mutant.slip, None, listener.lines[-40:]))
    if found:
        tap.say(f"# {found[0].strip()}")


def main() -> int:
    part = settings.parse(__doc__, settings.SUITE, ("all", "mutants"))
    writer = tap.Writer()
    chosen = settings.get("KERNEL")
    wanted = [name for name in debugkernel.NAMES if chosen in ("", name)]
    slow = {**ENVIRONMENT, **os.environ}
    try:
        for name in wanted if part == "all" else ():
            kernels.find(name)
            coverage.clear()
            suite.run(name, {**slow, "KERNEL": name}, writer)
            coverage.report()
        os.environ.update(slow)
        tests = {test.name: test for test in selection.guest_tests()}
        for mutant in mutants.ALL:
            if mutant.kernel in wanted and mutant.test in tests:
                try_mutant(mutant, tests[mutant.test], writer)
    except (*run.ERRORS, ValueError) as error:
        writer.fail("rig", str(error))
    return writer.finish()


if __name__ == "__main__":
    ending.run(main)
