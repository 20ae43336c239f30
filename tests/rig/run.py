# SPDX-License-Identifier: GPL-2.0-only
"""make check: unit tests on the host, then the suite in guests.

TESTS=pattern picks tests by name, KERNEL=6.12 the kernel that guests run.
"""

import collections
import fnmatch
import os
import subprocess
import sys
import time

import archive
import boot
import build
import devices
import kernels
import qemu
import tap
import topology

GUEST_TESTS = build.TOP / "tests" / "guest"
HOST_TESTS = build.TOP / "tests" / "host"
ERRORS = (archive.ArchiveError, build.BuildError, devices.DeviceError,
          qemu.GuestError, topology.TopologyError)

Test = collections.namedtuple("Test", "name program topology timeout kernel")


def selected(name):
    """Does TESTS (glob or part of a name; several with commas) mean this one?"""
    wanted = os.environ.get("TESTS", "")
    return not wanted or any(
        pattern in name or fnmatch.fnmatch(name, pattern)
        for pattern in wanted.split(","))


def guest_tests():
    """The chosen tests in tests/guest, one file each."""
    for path in sorted(GUEST_TESTS.iterdir()):
        if path.suffix not in (".c", ".sh") or path.name == "lib.sh":
            continue
        if selected(path.stem):
            program = build.BUILD / "guest" / path.stem if path.suffix == ".c" else path
            yield Test(path.stem, program, *topology.parse(path))


def host_tests():
    """The chosen tests of user space: programs in C, and whatever is executable."""
    for path in sorted(HOST_TESTS.iterdir()):
        runs = path.suffix == ".c" or path.is_file() and os.access(path, os.X_OK)
        if runs and path.name != "check.py" and selected(path.stem):
            yield path


def run_host_tests(writer):
    """The tests of user space: make check-host prints the TAP of each."""
    if not list(host_tests()):
        return
    print("# host tests", flush=True)
    reader = tap.Reader()
    with subprocess.Popen(["make", "-s", "--no-print-directory", "check-host"],
                          cwd=build.TOP, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        for line in process.stdout:
            writer.take("host", reader, line.rstrip("\n"))
    writer.judge("host", reader, process.returncode)


def run_group(setup, wanted, tests, writer):
    """Tests of one topology: in one boot, or a fresh one after a guest broke."""
    pending = list(tests)
    while pending:
        try:
            machines = boot.start(setup, wanted, pending)
        except ERRORS as error:
            writer.fail(pending.pop(0).name, str(error))
            continue
        try:
            healthy = True
            while pending and healthy:
                test = pending.pop(0)
                print(f"# {test.name}", flush=True)
                start = time.monotonic()
                healthy = machines.run(test, writer)
                print(f"# {test.name}: {time.monotonic() - start:.1f} s", flush=True)
        finally:
            machines.stop()


def run_guest_tests(writer):
    tests = list(guest_tests())
    if not tests:
        return
    kernel = kernels.find(os.environ.get("KERNEL") or kernels.DEFAULT)
    line = tuple(int(part) for part in kernel.line.split("."))
    groups = collections.defaultdict(list)
    for test in tests:
        if test.kernel and line < test.kernel:
            needed = ".".join(map(str, test.kernel))
            writer.point(test.name, tap.Point(True, "", f"needs kernel {needed}", []))
        else:
            groups[test.topology].append(test)
    build.targets([str(test.program.relative_to(build.TOP)) for test in tests
                   if test.program.is_relative_to(build.BUILD)] +
                  ["build/static/ivshmemctl", "build/ivshmem-server"])
    setup = boot.Setup(kernel, build.module(kernel), {
        "bin/ivshmemctl": build.BUILD / "static" / "ivshmemctl",
        "tests/lib.sh": GUEST_TESTS / "lib.sh",
        **{str(path.relative_to(build.TOP)): path
           for path in (build.TOP / "conf").rglob("*") if path.is_file()}})
    print(f"# kernel {kernel.release}, {setup.accel}", flush=True)
    try:
        for wanted, members in groups.items():
            run_group(setup, wanted, members, writer)
    finally:
        setup.close()


def main():
    writer = tap.Writer()
    try:
        run_host_tests(writer)
        run_guest_tests(writer)
    except ERRORS as error:
        writer.fail("rig", str(error))
    except KeyboardInterrupt:
        writer.fail("rig", "interrupted")
    return writer.finish()


if __name__ == "__main__":
    sys.exit(main())
