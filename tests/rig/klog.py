# SPDX-License-Identifier: GPL-2.0-only
"""The guest's kernel log: what happened between two marks, and is it clean?"""

import itertools
import pathlib
import re
import time
import typing

# What the kernels from 5.10 on print when something is wrong. Many reports begin with BUG:
# of KASAN, KCSAN and KFENCE, soft lockups, bad pages, page maps and counters of them, sleeping
# and scheduling where that is forbidden; the allocator leaves out the colon. Lockdep says
# WARNING. [#1] is the first death of a task: Oops, divide error, invalid opcode, stack
# segment, Internal error.
#
# Hints about speed are no faults: "hogged CPU", "interrupt took too long", an unstable clock.
# Work that is short earns them on an emulated processor that waits for its turn. Nor is
# the fault of a program: tests cause those.
FAULTS = (
    r"\bBUG\b",
    r"\bWARNING:",
    r"\[#\d+\]",
    r"Kernel panic",
    r"Call [Tt]race",
    r"[Uu]nable to handle",
    r"general protection fault",
    r"double fault",
    r"Bad pagetable",
    r"Insufficient stack space",
    r"Bad mode in",
    r"SError Interrupt",
    # The sanitizers, and what looks after objects, locks and counts
    r"\bKASAN\b",
    r"\bUBSAN\b",
    r"unreferenced object",
    r"refcount_t:",
    r"list_(add|del) corruption",
    r"INFO: trying to register non-static key",
    r"exited with (preempt_count|irqs disabled)",
    r"huh, entered softirq",
    r"bad: scheduling from the idle thread",
    # Somebody does not come on
    r"INFO: task .* blocked",
    r"INFO: rcu",
    r"rcu: .*detected stall",
    r"self-detected stall",
    r"kthread starved",
    r"hard LOCKUP",
    r"non-responsive CSD lock",
    r"NETDEV WATCHDOG",
    r"unregister_netdevice: waiting",
    r"irq .*nobody cared",
    # Pages and page tables
    r"\bbad (pgd|p4d|pud|pmd|pte)\b",
    r"page dumped because",
    r"[Bb]ad swap (file|offset) entry",
    r"leaked out to the #PF handler",
    r"Corrupted page table",
    r"vmalloc error:",
    # Something was registered twice, or given back that was not there
    r"VFS: Busy inodes",
    r"file count is 0",
    r"free nonexistent resource",
    r"resource sanity check",
    r"with -EEXIST, don't try to register",
    r"kobject: .* tried to init an initialized",
    r"cannot create duplicate filename",
)
REPORTS = re.compile("|".join(FAULTS))

# KCSAN sees the races of the whole kernel. Those that it has without us are known to
# those who wrote it; ours have a function of the driver among the callers, up to
# where an interrupt came upon somebody. Who sleeps and who wakes is called by us, and
# yet what these two race about is on the sleeper's own stack. An eventfd's poll() reads its
# counter without the lock, and says why. SRCU reads the clock while it
# may change, and reads it again then.
RACE = re.compile(r"BUG: KCSAN")
KERNELS_RACE = re.compile(
    r"hrtimer_wakeup / schedule_hrtimeout_range|poll_schedule_timeout\S* / pollwake|"
    r"eventfd_poll / eventfd_signal|data-race in timekeeping_cycles_to_ns"
)
RACE_END = re.compile(r"={60}")
STACK = re.compile(r"(read|write)\b.* (to|from) 0x\w+ of \d+ bytes by ")
INTERRUPTED = re.compile(r"\basm_\w+\+")
OURS = re.compile(r"\[ivshmem")
TRACE_END = re.compile(r"end trace|</TASK>")
# The scheduler's timer for tasks with deadlines moves on while it is in the queue: seen
# once with 7.2, in an idle guest that had stood still for a while.
KERNELS_WARNING = re.compile(r"WARNING: .* hrtimer_forward\+")
KERNELS_CALLER = re.compile(r"\bdl_task_timer\+")
EXCERPT_LINES = 25


def wait_match(path: pathlib.Path, start: int, pattern: str, seconds: float = 5) -> int | None:
    """The end of the first match at or after byte start of the log, or None if
    there is none in time: what the kernel prints comes with a delay."""
    compiled = re.compile(pattern.encode(), re.M)
    deadline = time.monotonic() + seconds
    while True:
        found = compiled.search(path.read_bytes(), start)
        if found or time.monotonic() > deadline:
            return found.end() if found else None
        time.sleep(0.01)


def between(path: pathlib.Path, start: int, end: int | None) -> list[str]:
    """The lines of the log from one byte to another (None: the end)."""
    return path.read_bytes()[start:end].decode(errors="replace").splitlines()


def race(lines: list[str]) -> typing.Iterator[str]:
    """The report of KCSAN that begins with the first of these."""
    return itertools.takewhile(lambda line: not RACE_END.search(line), lines)


def is_ours(report: typing.Iterable[str]) -> bool:
    """Is the driver part of this race?"""
    interrupted = False
    for line in report:
        if KERNELS_RACE.search(line):
            return False
        if STACK.search(line):
            interrupted = False
        elif INTERRUPTED.search(line):
            interrupted = True
        elif OURS.search(line) and not interrupted:
            return True
    return False


def is_kernels(lines: list[str]) -> bool:
    """Does the report that begins with the first of these have nothing to do with us?"""
    report = list(itertools.takewhile(lambda line: not TRACE_END.search(line), lines))
    return (
        bool(KERNELS_WARNING.search(lines[0]))
        and any(map(KERNELS_CALLER.search, report))
        and not any(map(OURS.search, report))
    )


def reports(lines: list[str], expected: typing.Sequence[str] = ()) -> list[str]:
    """The first report that no expected pattern explains, with what follows it;
    an empty list if the log is clean. What follows an expected report, or one of the
    kernel's own, up to the end of its trace belongs to it."""
    inside = False
    for index, line in enumerate(lines):
        if RACE.search(line) and not is_ours(race(lines[index:])):
            continue
        inside = inside and not TRACE_END.search(line)
        if inside or not REPORTS.search(line):
            continue
        if not any(re.search(pattern, line) for pattern in expected) and not is_kernels(
            lines[index:]
        ):
            return lines[index : index + EXCERPT_LINES]
        inside = True
    return []
