// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine sleeps (S3) with tasks that wait for polled doorbells. They wake after that, as a
 * doorbell may have been missed, and hear the next one.
 */
/* rig: alone=yes turns=yes devices=plain,plain size=1M timeout=120 */
#include "bells.h"

static struct bells b;

static void *waiter(void *arg)
{
	(void)arg;
	return (void *)(long)dev_wait_vector(b.fds[1], 2, -1);
}

int main(void)
{
	pthread_t thread;
	void *ret;

	if (!rig_can_sleep()) {
		tap_skip("suspend", "this machine or kernel has no S3");
		return tap_done();
	}
	bells_open(&b);
	bells_relabel(&b, BELLS_VECTORS);
	pthread_create(&thread, NULL, waiter, NULL);
	sleep_ms(100);
	tap_eq(rig_sleep(), 0, "the machine sleeps, and wakes");
	pthread_join(thread, &ret);
	tap_ok((long)ret > 0, "a sleeper looks at the memory");
	bells_reopen(&b);
	pthread_create(&thread, NULL, waiter, NULL);
	sleep_ms(100);
	bells_ring(&b, 2);
	pthread_join(thread, &ret);
	tap_eq((long)ret, 1, "and the next one hears a doorbell");
	return tap_done();
}
