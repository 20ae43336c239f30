# SPDX-License-Identifier: GPL-2.0-only
"""make check: unit tests on the host, a short soak, then the suite in guests.

The part "guests" is the last of these alone. Example: run.py guests --tests mmap
"""

import collections
import fnmatch
import os
import shutil
import subprocess
import sys
import time

import arches
import archive
import boot
import build
import devices
import emulator
import firmware
import guest_programs
import kernel_reports
import kernels
import qemu
import second_chance
import settings
import tap
import topology

GUEST_TESTS = build.TOP / "tests" / "guest"
HOST_TESTS = build.TOP / "tests" / "host"
SOAK_SECONDS = "60"  # instead of an hour
ERRORS = (
    archive.ArchiveError,
    build.BuildError,
    devices.DeviceError,
    firmware.FirmwareError,
    guest_programs.ProgramError,
    qemu.GuestError,
    topology.TopologyError,
)


class Test(collections.namedtuple("Test", "path topology timeout kernel")):
    """One file of tests/guest and what it wants."""

    @property
    def name(self):
        over, variant = self.topology.over, self.topology.variants
        return "-".join(filter(None, (self.path.stem, over if over != "pci" else "", variant)))

    def program(self, arch):
        """What runs in a guest."""
        return build.program(f"guest/{self.path.stem}", arch) if self.compiled else self.path

    @property
    def compiled(self):
        return self.path.suffix == ".c"


def selected(name):
    """Do the tests that were asked for (globs or parts of names) include this one?"""
    wanted = settings.get("TESTS")
    return not wanted or any(
        pattern in name or fnmatch.fnmatch(name, pattern) for pattern in wanted.split(",")
    )


def guest_tests():
    """The chosen tests in tests/guest, one file each."""
    for path in sorted(GUEST_TESTS.iterdir()):
        if path.suffix not in (".c", ".sh") or path.name == "lib.sh":
            continue
        if selected(path.stem):
            for wants in topology.parse(path):
                yield Test(path, *wants)


def host_tests():
    """The chosen tests of user space: programs in C, test_NAME.py for pytest, and
    whatever is executable."""
    for path in sorted(HOST_TESTS.iterdir()):
        runs = (
            path.suffix == ".c"
            or path.name.startswith("test_")
            or path.is_file()
            and os.access(path, os.X_OK)
        )
        if runs and path.name != "check.py" and selected(path.stem):
            yield path


def run_make(writer, target, **environment):
    """Run what prints TAP itself."""
    print(f"# {target}", flush=True)
    reader = tap.Relay()
    with subprocess.Popen(
        ["make", "-s", "--no-print-directory", target],
        cwd=build.TOP,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout:
            writer.take(target, reader, line.rstrip("\n"))
    writer.judge(target, reader, process.returncode)


def run_test(machines, test, attempt):
    """Run a test in guests that are up; whether they are fit for another one."""
    print(f"# {test.name}", flush=True)
    start = time.monotonic()
    healthy = machines.run(test, attempt)
    attempt.log = machines.log()
    print(f"# {test.name}: {time.monotonic() - start:.1f} s", flush=True)
    return healthy


def run_alone(setup, wanted, test, attempt):
    """Run a test in guests that no other test has used."""
    try:
        machines = boot.start(setup, wanted, [test])
    except ERRORS as error:
        attempt.fail(test.name, str(error))
        return
    try:
        if run_test(machines, test, attempt):
            machines.finish(test.name, attempt)
    finally:
        machines.stop()


def run_group(setup, wanted, tests, writer, chances):
    """Tests of one topology: in one boot, or a fresh one after a guest broke."""

    def judge(test, attempt):
        # What a kernel that watches finds only now and then is a fault all the same.
        if setup.kernel.instruments:
            attempt.replay(writer)
        else:
            chances.judge(
                test.name, attempt, lambda second: run_alone(setup, wanted, test, second)
            )

    pending = list(tests)
    while pending:
        attempts = []
        try:
            machines = boot.start(setup, wanted, pending)
        except ERRORS as error:
            test, attempt = pending.pop(0), second_chance.Attempt()
            attempt.fail(test.name, str(error))
            judge(test, attempt)
            continue
        try:
            healthy = True
            while pending and healthy:
                test, attempt = pending.pop(0), second_chance.Attempt()
                healthy = run_test(machines, test, attempt)
                if attempt.failures:
                    attempts.append((test, attempt))
                else:
                    attempt.replay(writer)
            if healthy:
                machines.finish(test.name, writer)
        finally:
            machines.stop()
        # The second guest has the machine to itself.
        for test, attempt in attempts:
            judge(test, attempt)


def obstacle(test, kernel):
    """Why a test cannot run on a kernel here, or None."""
    if test.kernel and kernels.age(kernel.line) < list(test.kernel):
        return f"needs kernel {'.'.join(map(str, test.kernel))}"
    for name in filter(None, test.topology.arches.split(",")):
        arch = arches.ALL[name]
        if name != kernel.arch and kernel.instruments:
            return f"this kernel is not for {name}"
        if name != arches.HOST and not (
            shutil.which(arch.qemu)
            and shutil.which(f"{arch.triplet}-gcc")
            and os.path.exists(f"/usr/{arch.triplet}/lib/libc.a")
        ):
            return f"needs a compiler and QEMU for {name}: make check-kernels has them"
    reason = emulator.obstacle(kernel.arch) if test.topology.newqemu else None
    if reason:
        return reason
    for name in firmware.programs(test.topology.firmware):
        if not shutil.which(name):
            return f"needs {name}: apt-get install acpica-tools device-tree-compiler"
    return None


def setup_for(kernel, tests, others=()):
    """Build everything that guests of a kernel's architecture run."""
    arch = kernel.arch
    build.programs(
        ["static/ivshmemctl", *{f"guest/{test.path.stem}" for test in tests if test.compiled}],
        arch,
    )
    return boot.Setup(
        kernel,
        build.module(kernel),
        {
            "bin/ivshmemctl": build.program("static/ivshmemctl", arch),
            "bin/replace_devices": build.TOP / "tests/rig/replace_devices.sh",
            "bin/kernel_reports": kernel_reports.SCRIPT,
            "tests/lib.sh": GUEST_TESTS / "lib.sh",
            **{
                str(path.relative_to(build.TOP)): path
                for path in (build.TOP / "conf").rglob("*")
                if path.is_file()
            },
        },
        others,
    )


def run_guest_tests(writer):
    tests = list(guest_tests())
    if not tests:
        return
    name = settings.get("KERNEL") or kernels.DEFAULT
    kernel = kernels.find(name, arches.wanted())
    groups = collections.defaultdict(list)
    for test in tests:
        reason = obstacle(test, kernel)
        if reason:
            writer.point(test.name, tap.Point(True, "", reason, []))
        else:
            groups[test.topology].append(test)
    build.targets(["build/ivshmem-server"])
    foreign = {arch for topo in groups for arch in topo.arches.split(",")}
    setup = setup_for(
        kernel,
        tests,
        [
            setup_for(kernels.find(kernels.plain(name), arch), tests)
            for arch in sorted(foreign - {"", kernel.arch})
        ],
    )
    print(f"# kernel {kernel.release}, {setup.accel}", flush=True)
    chances = second_chance.SecondChances(writer, build.BUILD / "flaky" / kernel.release)
    try:
        for wanted, members in groups.items():
            run_group(setup, wanted, members, writer, chances)
        chances.finish()
    finally:
        setup.close()


def main():
    part = settings.parse(__doc__, settings.SUITE, ("all", "guests"))
    writer = tap.Writer()
    try:
        if part == "all":
            if list(host_tests()):
                run_make(writer, "check-host")
            if selected("soak"):
                run_make(writer, "soak", SECONDS=SOAK_SECONDS)
        run_guest_tests(writer)
    except (*ERRORS, ValueError) as error:
        writer.fail("rig", str(error))
    except KeyboardInterrupt:
        writer.fail("rig", "interrupted")
    return writer.finish()


if __name__ == "__main__":
    sys.exit(main())
