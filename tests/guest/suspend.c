// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest sleeps (S3) with a mapping and a sleeper in WAIT. The mapping stays, and the
 * sleeper wakes after resume, as a doorbell may have been missed.
 */
/* rig: alone=yes turns=yes devices=doorbell vectors=4 size=4M timeout=90 */
#include <signal.h>
#include <sys/wait.h>

#include "dev.h"

/* Waits without a timeout; resume ends that, as a doorbell may have been missed. */
static pid_t start_waiter(void)
{
	pid_t pid = fork();

	if (!pid) {
		int fd = dev_open();
		struct ivshmem_wait w = { .vector = 2, .timeout_ns = -1 };

		_exit(dev_wait(fd, &w) ? 1 : 0);
	}
	sleep_ms(100);
	return pid;
}

int main(void)
{
	if (!rig_can_sleep()) {
		tap_skip("suspend", "this machine or kernel has no S3");
		return tap_done();
	}

	int fd = dev_open(), status = -1;

	if (!dev_interrupts(fd, "sleepers and doorbells"))
		return tap_done();

	volatile uint32_t *p = dev_map(fd, 4 << 20);
	uint32_t id = dev_info(fd).id;
	pid_t waiter = start_waiter();

	p[1000] = 0x12345678;
	tap_eq(rig_sleep(), 0, "the machine sleeps, and the host sees it");
	tap_ok(p[1000] == 0x12345678, "a mapping still shows the memory");
	p[1001] = 1;
	tap_eq(dev_info(fd).id, id, "the id is the same");
	tap_eq(waitpid(waiter, &status, 0) == waiter && !status, true,
	       "resume wakes a sleeper");
	dev_wait_vector(fd, 1, 0);
	tap_eq(dev_ring_self(fd, 1), 0, "after resume the guest can ring itself");
	tap_eq(dev_wait_vector(fd, 1, 5 * SECOND) > 0, true, "after resume the vector fires");
	rig_ask("peer-ring %u 3", id);
	dev_wait_vector(fd, 3, 0);
	rig_ask("peer-ring %u 3", id);
	tap_eq(dev_wait_vector(fd, 3, 5 * SECOND) > 0, true,
	       "after resume the host can ring the guest");
	return tap_done();
}
