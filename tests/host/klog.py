#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What of a guest's kernel log fails its test, and what does not."""

import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).parent / "common"),
                str(pathlib.Path(__file__).parents[1] / "rig")]
import klog  # noqa: E402
from ctl import check, done  # noqa: E402

QUIET = ["ivshmem 0000:00:04.0: ivshmem0: 1 MiB", "clocksource: tsc"]
END = ["---[ end trace 0000000000000000 ]---"]
TIMER = ["WARNING: kernel/time/hrtimer.c:1071 at hrtimer_forward+0x78/0xb0, CPU#0: swapper/0",
         "Modules linked in: ivshmem(OE)", "Call Trace:", " dl_task_timer+0x366/0x8e0"]
OURS = [" ivshmem_interrupt+0x10/0x40 [ivshmem]"]
LEAK = ["kmemleak: 1 new suspected memory leaks", "unreferenced object 0xff00 (size 64):"]
RACE = ["=" * 66, "BUG: KCSAN: data-race in {}", "read to 0xff00 of 8 bytes by task 1 on cpu 0:",
        " {}", "=" * 66]


def race(what, caller):
    return [line.format(what if "BUG" in line else caller) for line in RACE]


def finds(lines, first, expected=()):
    """The report begins with that line; or there is none."""
    return (klog.reports(QUIET + lines + QUIET, expected)[:1] or [None])[0] == first


check(finds([], None), "a quiet log is clean")
check(finds(LEAK, LEAK[1]), "a report is found")
check(finds(LEAK, None, ["unreferenced"]), "one that is expected is not")
check(finds(TIMER + END, None), "nor is a warning of the scheduler about its own timer")
check(finds(TIMER + END + LEAK, LEAK[1]), "but what comes after it")
check(finds(TIMER + OURS + END, TIMER[0]), "and one in which the driver has a part")
check(finds(TIMER[:3] + END, TIMER[0]), "and one of another timer")
check(finds(race("a / b", "vfs_write+0x1/0x2"), None), "a race of the kernel is not")
check(finds(race("a / b", OURS[0]), RACE[1].format("a / b")), "but one of the driver")
check(finds(race("poll_schedule_timeout.constprop.0 / pollwake", OURS[0]), None),
      "unless it is between a sleeper and its waker")
done()
