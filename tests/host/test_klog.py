# SPDX-License-Identifier: GPL-2.0-only
"""What of a guest's kernel log fails its test, and what does not."""

import re
import typing

import pytest

import klog

QUIET = ["ivshmem 0000:00:04.0: ivshmem0: 1 MiB", "clocksource: tsc"]
END = ["---[ end trace 0000000000000000 ]---"]
TIMER = [
    "WARNING: kernel/time/hrtimer.c:1071 at hrtimer_forward+0x78/0xb0, CPU#0: swapper/0",
    "Modules linked in: ivshmem(OE)",
    "Call Trace:",
    " dl_task_timer+0x366/0x8e0",
]
OURS = [" ivshmem_interrupt+0x10/0x40 [ivshmem]"]
LEAK = ["kmemleak: 1 new suspected memory leaks", "unreferenced object 0xff00 (size 64):"]
# One line for each pattern, as kernels print it, with the time before it as on the console.
FAULTS = """\
BUG: Bad page state in process mmap  pfn:0f8000
BUG: Bad page map in process fuzz  pte:80000000f8000227 pmd:0a5f4067
BUG: Bad rss-counter state mm:00000000d3b07384 type:MM_FILEPAGES val:1
BUG: non-zero pgtables_bytes on freeing mm: 4096
BUG: scheduling while atomic: wait/91/0x00000002
BUG: sleeping function called from invalid context at kernel/locking/mutex.c:580
BUG: kernel NULL pointer dereference, address: 0000000000000008
BUG: stack guard page was hit at 00000000a3e2b1f0 (stack is 00000000c1d2e3f4..0000000055aa66bb)
BUG: KASAN: slab-use-after-free in ivshmem_release+0x1c/0x60 [ivshmem]
BUG: KFENCE: use-after-free read in ivshmem_release+0x1c/0x60 [ivshmem]
BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 33s!
BUG: workqueue leaked lock or atomic: kworker/0:1/0x00000001/12
watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [race:101]
[ BUG: Invalid wait context ]
BUG kmalloc-64 (Tainted: G           OE     ): Poison overwritten
kernel BUG at mm/huge_memory.c:2133!
WARNING: CPU: 1 PID: 77 at mm/memory.c:2301 insert_pfn_pmd+0x1a4/0x1b0
WARNING: possible circular locking dependency detected
WARNING: possible recursive locking detected
WARNING: suspicious RCU usage
WARNING: inconsistent lock state
WARNING: held lock freed!
WARNING: lock held when returning to user space!
WARNING: bad unlock balance detected!
Oops: 0002 [#1] PREEMPT SMP NOPTI
divide error: 0000 [#1] PREEMPT SMP NOPTI
invalid opcode: 0000 [#1] SMP
stack segment: 0000 [#1] PREEMPT SMP
Internal error: synchronous external abort: 0000000096000410 [#1] SMP
Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: ivshmem_probe
Call Trace:
Call trace:
unable to handle page fault for address: ffffc90000400000
Unable to handle kernel paging request at virtual address ffff800011000000
general protection fault, probably for non-canonical address 0xdead000000000100: 0000
traps: PANIC: double fault, error_code: 0x0
Bad pagetable: 000d
Insufficient stack space to handle exception!
Bad mode in Error handler detected on CPU1, code 0xbf000002 -- SError
SError Interrupt on CPU1, code 0x00000000bf000002 -- SError
KASAN: null-ptr-deref in range [0x0000000000000008-0x000000000000000f]
UBSAN: array-index-out-of-bounds in ./src/core/wait.c:42:17
unreferenced object 0xffff888004a5c000 (size 64):
refcount_t: underflow; use-after-free.
list_add corruption. prev->next should be next (ffff8880), but was 0000. (prev=ffff8881).
list_del corruption, ffff8880->next is LIST_POISON1 (dead000000000100)
INFO: trying to register non-static key.
note: race[101] exited with preempt_count 1
note: race[101] exited with irqs disabled
softirq: huh, entered softirq 6 TASKLET 00000000 with preempt_count 00000100, exited with 00000101?
bad: scheduling from the idle thread!
INFO: task rmmod:123 blocked for more than 120 seconds.
INFO: rcu_tasks detected stalls on tasks:
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-... } 21 jiffies s: 57
rcu: INFO: rcu_preempt self-detected stall on CPU
rcu: rcu_sched detected stalls on CPUs/tasks:
rcu_sched self-detected stall on CPU
rcu: rcu_preempt kthread starved for 5252 jiffies! g4325 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0
watchdog: Watchdog detected hard LOCKUP on cpu 0
smp: csd: Detected non-responsive CSD lock (#1) on CPU#0, waiting 5000000000 ns for CPU#01
e1000 0000:00:03.0 eth0: NETDEV WATCHDOG: CPU: 0: transmit queue 0 timed out 5120 ms
unregister_netdevice: waiting for ivshmem0 to become free. Usage count = 2
irq 10: nobody cared (try booting with the "irqpoll" option)
mm/pgtable-generic.c:51: bad pmd 00000000a3e2b1f0(80000000f8000227)
mm/pgtable-generic.c:51: bad pmd 00e80000f8000f51.
mm/pgtable-generic.c:40: bad pud 00000000a3e2b1f0(80000000c0000227)
mm/pgtable-generic.c:31: bad p4d 00000000a3e2b1f0(80000000c0000227)
mm/pgtable-generic.c:25: bad pgd 00000000a3e2b1f0(80000000c0000227)
page dumped because: VM_BUG_ON_FOLIO(folio_test_locked(folio))
page dumped because: nonzero _refcount
get_swap_device: Bad swap file entry 1400000000000001
_swap_info_get: Bad swap offset entry 00fffffe
Huh VM_FAULT_OOM leaked out to the #PF handler. Retrying PF
mmap: Corrupted page table at address 7f1200000000
vmalloc error: size 4096, failed to allocate pages
VFS: Busy inodes after unmount of tmpfs (tmpfs)
VFS: Close: file count is 0
Trying to free nonexistent resource <00000000f8000000-00000000f8ffffff>
resource sanity check: requesting [mem 0xf8000000-0xf9ffffff], which spans more than 0000:00:10.0
kobject_add_internal failed for ivshmem0 with -EEXIST, don't try to register things with the same
kobject: '0000000012345678' (0000000012345678): tried to init an initialized object, something is
sysfs: cannot create duplicate filename '/class/ivshmem/ivshmem0'"""
# What looks like one and is none.
HARMLESS = """\
workqueue: ivshmem_notify_work [ivshmem] hogged CPU for >10000us 4 times, consider switching to
hrtimer: interrupt took 8911244 ns
perf: interrupt took too long (2510 > 2500), lowering kernel.perf_event_max_sample_rate to 79000
clocksource: timekeeping watchdog on CPU1: Marking clocksource 'tsc' as unstable
sched: RT throttling activated
mmap[71]: segfault at 7f1200000000 ip 0000000000401a2b sp 00007ffc error 6 in mmap[401000+a0000]
traps: fuzz[90] trap invalid opcode ip:401a2b sp:7ffc00000000 error:0 in fuzz[401000+a0000]
traps: fuzz[90] trap divide error ip:401a2b sp:7ffc00000000 error:0 in fuzz[401000+a0000]
ivshmem: loading out-of-tree module taints kernel.
ivshmem: module verification failed: signature and/or required key missing - tainting kernel
Lockdown: insmod: unsigned module loading is restricted; see man kernel_lockdown.7
rcu: Hierarchical SRCU implementation.
kasan: KernelAddressSanitizer initialized
kfence: initialized - using 2097152 bytes for 255 objects
debugfs: debug kernel, CONFIG_DEBUG_BUGVERBOSE=y
NMI watchdog: Perf NMI watchdog permanently disabled
swap: bad option
ivshmem 0000:00:10.0: no interrupts: the device has no MSI-X"""
RACE = [
    "=" * 66,
    "BUG: KCSAN: data-race in {}",
    "read to 0xff00 of 8 bytes by task 1 on cpu 0:",
    " {}",
    "=" * 66,
]


def race(what: str, caller: str) -> list[str]:
    return [line.format(what if "BUG" in line else caller) for line in RACE]


def found(lines: list[str], expected: typing.Sequence[str] = ()) -> str | None:
    """The line that the report begins with, or None."""
    return next(iter(klog.reports(QUIET + lines + QUIET, expected)), None)


def test_a_quiet_log_is_clean() -> None:
    assert found([]) is None


@pytest.mark.parametrize("line", FAULTS.splitlines())
def test_found(line: str) -> None:
    assert found([f"[   12.345678] {line}"]) == f"[   12.345678] {line}"


@pytest.mark.parametrize("pattern", klog.FAULTS)
def test_there_is_a_line_that_only_this_finds(pattern: str) -> None:
    assert any(
        re.search(pattern, line)
        and not any(re.search(other, line) for other in klog.FAULTS if other != pattern)
        for line in FAULTS.splitlines()
    )


@pytest.mark.parametrize("line", HARMLESS.splitlines())
def test_passed_over(line: str) -> None:
    assert found([line]) is None


def test_a_report_is_found_unless_it_is_expected() -> None:
    assert found(LEAK) == LEAK[1]
    assert found(LEAK, ["unreferenced"]) is None


def test_a_warning_of_the_scheduler_about_its_own_timer_is_passed_over() -> None:
    assert found(TIMER + END) is None
    assert found(TIMER + END + LEAK) == LEAK[1]  # but not what comes after it


def test_a_warning_in_which_the_driver_has_a_part_is_found() -> None:
    assert found(TIMER + OURS + END) == TIMER[0]


def test_a_warning_of_another_timer_is_found() -> None:
    assert found(TIMER[:3] + END) == TIMER[0]


def test_a_race_is_found_if_it_is_of_the_driver() -> None:
    assert found(race("a / b", "vfs_write+0x1/0x2")) is None
    assert found(race("a / b", OURS[0])) == RACE[1].format("a / b")


def test_a_race_of_a_sleeper_and_its_waker_is_passed_over() -> None:
    assert found(race("poll_schedule_timeout.constprop.0 / pollwake", OURS[0])) is None


def test_a_race_of_an_eventfd_with_itself_is_passed_over() -> None:
    assert found(race("eventfd_poll / eventfd_signal_mask", OURS[0])) is None
