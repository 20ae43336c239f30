// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of nodes (tests/sample) at a device without interrupts, whose doorbells are polled:
 * they are looked at while it has handlers, and no longer.
 */
/* rig: devices=plain size=1M timeout=240 */
#include "labels.h"
#include "module.h"
#include "samples.h"

static long looks(void)
{
	return atol(dev_attribute("ivshmem0", "looks"));
}

/* Nobody wants doorbells, and so nobody looks. */
static void test_quiet(const char *when)
{
	long before;

	sleep_ms(1000);
	before = looks();
	sleep_ms(1000);
	tap_eq(looks(), before, "nobody looks %s", when);
}

/* The work of a handler that was freed may unmask its vector at any moment. */
static void test_handlers(int cycles)
{
	int failed = 0;

	for (int i = 0; i < cycles; i++) {
		failed += sample_take() != 0;
		if (!i)
			tap_ok(echoes_go_on(), "the sample gets its own doorbells");
		sleep_ms(i % 5);
		failed += sample_give() != 0;
	}
	tap_eq(failed, 0, "the sample comes and goes %d times", cycles);
}

/* A task that wants a doorbell is counted right after that, too. */
static void test_wait(void)
{
	long before = looks();
	int fd = dev_open();

	tap_eq(dev_wait_vector(fd, 1, SECOND), -ETIMEDOUT, "a task waits");
	tap_ok(looks() > before + 10, "and there are looks meanwhile");
	close(fd);
}

int main(void)
{
	tap_eq(sample_load(), 0, "the sample loads");
	sample_label(4);
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "a label with polled doorbells");
	test_quiet("at first");
	test_handlers(60);
	test_quiet("when its handlers are gone");
	test_wait();
	test_quiet("in the end");
	tap_eq(system("rmmod ivshmem_sample"), 0, "the sample unloads");
	return tap_done();
}
