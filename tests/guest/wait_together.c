// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that wait with the same open file, by every way through WAIT: each doorbell is
 * told to one of them, and the others go on waiting.
 */
/* rig: devices=doorbell vectors=4 size=1M smp=2 timeout=300 over=pci,memory,polled */
#include <pthread.h>
#include <stdatomic.h>

#include "dev.h"

#define ROUNDS 20
#define THREADS 8

static int fd;
static int rings;
static atomic_llong told[2];	/* doorbells of vectors 1 and 2 */
static atomic_int over, empty, failed, alive;

static void tell(struct ivshmem_wait *w, const uint64_t *counts, int ret)
{
	if (ret && ret != -ETIMEDOUT)
		failed++;
	if (ret)
		return;
	if (!w->result) {
		empty++;
	} else if (!counts) {
		told[w->signalled_vector - 1] += w->count;
	} else {
		told[0] += counts[1];
		told[1] += counts[2];
	}
}

/* Wait for one vector, or for two and their counts; sleep, spin, or have a timeout. */
static void *take_part(void *arg)
{
	const int number = (int)(intptr_t)arg;
	const uint64_t set = 0x6;
	uint64_t counts[64];

	while (!over) {
		struct ivshmem_wait w = dev_set_wait(&set, -1);

		if (number & 1)
			w = (struct ivshmem_wait){ .vector = 1 + (number >> 2 & 1),
						   .timeout_ns = -1 };
		else
			w.counts = (uintptr_t)counts;
		if (number & 2)
			w.spin_ns = 100000;
		if (number & 4)
			w.timeout_ns = SECOND / 50;
		tell(&w, w.counts ? counts : NULL, dev_wait(fd, &w));
	}
	alive--;
	return NULL;
}

/* One that can be told nothing takes nothing. */
static void *be_unable(void *arg)
{
	const uint64_t set = 0x6;

	while (!over) {
		struct ivshmem_wait w = dev_set_wait(&set, SECOND / 50);
		int ret;

		w.counts = (uintptr_t)arg;
		ret = dev_wait(fd, &w);
		failed += ret != -EFAULT && ret != -ETIMEDOUT;
		sleep_ms(1);
	}
	alive--;
	return NULL;
}

static long long all_told(void)
{
	return told[0] + told[1];
}

/* Ring, and give them some time to be told, as doorbells in quick succession become one. */
static void ring(uint32_t vector)
{
	const long long before = all_told();

	dev_ring_self(fd, vector);
	for (int64_t end = now_ns() + SECOND / 50; all_told() == before && now_ns() < end;)
		sched_yield();
}

static void test_counts(int witness)
{
	pthread_t threads[THREADS + 1];
	long long rang[2] = { 0, 0 };
	void *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	alive = THREADS + 1;
	for (intptr_t i = 0; i <= THREADS; i++)
		if (pthread_create(&threads[i], NULL, i < THREADS ? take_part : be_unable,
				   i < THREADS ? (void *)i : read_only))
			tap_bail("no thread");
	for (int i = 0; i < rings || alive; i++) {
		over = i >= rings;
		ring(1 + i % 2);
		rang[i % 2]++;
	}
	for (int i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	sleep_ms(100);	/* the last ones come in */
	for (uint32_t v = 1; v <= 2; v++) {
		long long rest = dev_wait_vector(fd, v, 0), all = rang[v - 1];

		told[v - 1] += rest > 0 ? rest : 0;
		/* One peer: both files got the same, and two rings may have become one. */
		if (dev_info(fd).id == dev_info(witness).id)
			all = dev_wait_vector(witness, v, 0);
		tap_eq(told[v - 1], all, "each doorbell of vector %u is told once (%lld rings)",
		       v, rang[v - 1]);
	}
	tap_eq(empty, 0, "no call ends without a result");
	tap_eq(failed, 0, "and none fails");
	munmap(read_only, PAGE);
}

struct one {
	pthread_t thread;
	struct ivshmem_wait w;
	int64_t end;
	int ret;
};

static void *wait_once(void *arg)
{
	struct one *one = arg;

	one->ret = dev_wait(fd, &one->w);
	one->end = now_ns();
	return NULL;
}

/* One doorbell, and many who wait until the same time. */
static void test_deadline(void)
{
	int told_once = 0, in_time = 0, late = 0;
	struct one all[THREADS];

	for (int round = 0; round < ROUNDS; round++) {
		const int64_t end = now_ns() + SECOND / 4;
		int n = 0;

		for (int i = 0; i < THREADS; i++) {
			all[i].w = (struct ivshmem_wait){
				.flags = IVSHMEM_WAIT_ABSTIME, .vector = 3,
				.timeout_ns = end, .spin_ns = i & 1 ? 1000000 : 0,
			};
			if (pthread_create(&all[i].thread, NULL, wait_once, &all[i]))
				tap_bail("no thread");
		}
		sleep_ms(20);
		dev_ring_self(fd, 3);
		for (int i = 0; i < THREADS; i++) {
			pthread_join(all[i].thread, NULL);
			n += !all[i].ret;
			in_time += all[i].ret == -ETIMEDOUT && all[i].end < end;
			late += all[i].ret && all[i].ret != -ETIMEDOUT;
		}
		told_once += n == 1;
	}
	tap_eq(told_once, ROUNDS, "one doorbell is told to one of %d", THREADS);
	tap_eq(in_time, 0, "the others wait until their time is over");
	tap_eq(late, 0, "and say so");
}

int main(void)
{
	int witness;

	fd = dev_open();
	if (!dev_interrupts(fd, "WAIT"))
		return tap_done();
	rings = rig_times(2000);
	witness = dev_open();
	test_counts(witness);
	test_deadline();
	return tap_done();
}
