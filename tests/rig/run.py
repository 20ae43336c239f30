# SPDX-License-Identifier: GPL-2.0-only
"""make check: unit tests on the host, a short soak, then the suite in guests.

The part "guests" is the last of these alone. Example: run.py guests --tests mmap
"""

import ending

import collections
import concurrent.futures
import os
import shutil
import subprocess
import time
import typing

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
import selection
import settings
import tap
import topology

SOAK_SECONDS = "30"  # instead of an hour
BOOTS_AHEAD = 6  # groups of guests that are up, or will be, before their turn
BOOTS_AHEAD_WATCHED = 1  # of a kernel that watches, whose boot takes all that there is
ERRORS = (
    archive.ArchiveError,
    build.BuildError,
    devices.DeviceError,
    firmware.FirmwareError,
    guest_programs.ProgramError,
    qemu.GuestError,
    topology.TopologyError,
)


def run_make(writer: tap.Sink, target: str, **environment: str) -> None:
    """Run what prints TAP itself."""
    tap.say(f"# {target}")
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
        writer.follow(target, reader, process)


def run_test(machines: boot.Boot, test: selection.Test, attempt: second_chance.Attempt) -> bool:
    """Run a test in guests that are up; whether they are fit for another one."""
    tap.say(f"# {test.name}")
    start = time.monotonic()
    healthy = machines.run(test, attempt)
    attempt.log = machines.log()
    tap.say(f"# {test.name}: {time.monotonic() - start:.1f} s")
    return healthy


def run_alone(
    setup: boot.Setup,
    wanted: topology.Topology,
    test: selection.Test,
    attempt: second_chance.Attempt,
) -> None:
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


Groups = dict[topology.Topology, list[selection.Test]]
Booting = tuple[topology.Topology, list[selection.Test], concurrent.futures.Future[boot.Boot]]


def run_group(
    setup: boot.Setup,
    wanted: topology.Topology,
    tests: list[selection.Test],
    first: concurrent.futures.Future[boot.Boot],
    writer: tap.Sink,
    chances: second_chance.SecondChances,
) -> None:
    """Tests of one topology: in one boot, or a fresh one after a guest broke."""

    def judge(test: selection.Test, attempt: second_chance.Attempt) -> None:
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
            machines = (
                first.result()
                if len(pending) == len(tests)
                else boot.start(setup, wanted, pending)
            )
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
        # No other test runs beside a second attempt.
        for test, attempt in attempts:
            judge(test, attempt)


def booting_ahead(setup: boot.Setup, groups: Groups) -> typing.Iterator[Booting]:
    """Boot the guests of the next groups, one group after the other, while the tests of
    one run: most tests take less time than a boot, and a long one mostly sleeps."""
    ahead = BOOTS_AHEAD_WATCHED if setup.kernel.instruments else BOOTS_AHEAD
    booting: collections.deque[Booting] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(1) as booter:
        for wanted, tests in groups.items():
            booting.append((wanted, tests, booter.submit(boot.start, setup, wanted, tests)))
            if len(booting) > ahead:
                yield booting.popleft()
        yield from booting


def run_groups(
    setup: boot.Setup,
    groups: Groups,
    writer: tap.Sink,
    chances: second_chance.SecondChances,
) -> None:
    for wanted, tests, first in booting_ahead(setup, groups):
        run_group(setup, wanted, tests, first, writer, chances)


def obstacle(test: selection.Test, kernel: kernels.Kernel) -> str | None:
    """Why a test cannot run on a kernel here, or None."""
    if test.kernel and kernels.age(kernel.line) < list(test.kernel):
        return f"needs kernel {'.'.join(map(str, test.kernel))}"
    for name in filter(None, test.topology.arches.split(",")):
        arch = arches.ALL[name]
        if name != kernel.arch and kernel.instruments:
            return f"this kernel is not for {name}"
        if name != arches.HOST and not (
            shutil.which(arch.qemu)
            and shutil.which(f"{arch.triplet}-g++")
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


def setup_for(
    kernel: kernels.Kernel,
    tests: typing.Sequence[selection.Test],
    others: typing.Sequence[boot.Setup] = (),
) -> boot.Setup:
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
            **guest_programs.terminal(arch),
            "bin/replace_devices": build.TOP / "tests/rig/replace_devices.sh",
            "bin/kernel_reports": kernel_reports.SCRIPT,
            "tests/lib.sh": selection.GUEST_TESTS / "lib.sh",
            **{
                f"tests/{name}.sh": selection.GUEST_TESTS / "lib" / f"{name}.sh"
                for name in ("net", "ssh", "vsock")
            },
            **{
                f"docs/{name}.md": build.TOP / "docs" / f"{name}.md"
                for name in ("guests", "migrating")
            },
            **{
                str(path.relative_to(build.TOP)): path
                for path in (build.TOP / "conf").rglob("*")
                if path.is_file()
            },
        },
        others,
    )


def run_guest_tests(writer: tap.Sink) -> None:
    tests = list(selection.guest_tests())
    if not tests:
        return
    name = settings.get("KERNEL") or kernels.DEFAULT
    kernel = kernels.find(name, arches.wanted())
    groups: Groups = collections.defaultdict(list)
    for test in tests:
        reason = obstacle(test, kernel)
        if reason:
            writer.point(test.name, tap.Point(True, "", reason, []))
        else:
            groups[test.topology].append(test)
    build.targets(["build/ivshmem-server", "build/static/ivshmemctl"])
    foreign = {arch for topo in groups for arch in topo.arches.split(",")}
    setup = setup_for(
        kernel,
        tests,
        [
            setup_for(kernels.find(kernels.plain(name), arch), tests)
            for arch in sorted(foreign - {"", kernel.arch})
        ],
    )
    tap.say(f"# kernel {kernel}, {setup.accel}")
    chances = second_chance.SecondChances(writer, build.BUILD / "flaky" / kernel.release)
    try:
        run_groups(setup, groups, writer, chances)
        chances.finish()
        if kernel.instead:
            tap.say(f"# the kernel was {kernel}")
    finally:
        setup.close()


def main() -> int:
    part = settings.parse(__doc__, settings.SUITE, ("all", "guests"))
    writer = tap.Writer()
    try:
        if part == "all":
            if list(selection.host_tests()):
                build.targets(["host-programs"])
                run_make(writer, "check-host")
            if selection.selected("soak"):
                run_make(writer, "soak", SECONDS=SOAK_SECONDS)
        run_guest_tests(writer)
    except (*ERRORS, OSError, ValueError) as error:
        writer.fail("rig", str(error))
    return writer.finish()


if __name__ == "__main__":
    ending.run(main)
