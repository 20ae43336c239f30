// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time round trips of a semaphore between two programs while one of them has many more
 * threads that wait.
 *
 *	waiters NUMBER ROUNDS
 *
 * Guest 0 posts and measures. In guest 1 one thread answers; the others, so that there
 * are NUMBER, wait for an event of their own that never comes. All wait for one vector.
 */
#include <ivshmem_sync.h>
#include <limits.h>
#include <pthread.h>

#include "channel.h"

#define VECTOR	0
#define PLACE(n)	(DATA_OFFSET + (uint64_t)(n) * IVSHMEM_SYNC_SIZE)
#define STACK	(PTHREAD_STACK_MIN + 65536)
#define SETTLE_MS 3000		/* the first sleeps of a wait are short */
#define PAUSE_MS 3		/* between two rounds, so that the answering thread sleeps */

enum { ASK, ANSWER, EVENTS };	/* what is at PLACE() */

static struct ivshmem *shm;

static struct ivshmem_semaphore *semaphore(int place)
{
	struct ivshmem_semaphore *opened;

	try(ivshmem_semaphore_open(shm, PLACE(place), VECTOR, IVSHMEM_SYNC_CREATE, 0, &opened));
	return opened;
}

static void *wait_in_vain(void *event)
{
	try(ivshmem_event_wait(event, IVSHMEM_FOREVER));
	return NULL;
}

static void gather(int number)
{
	struct ivshmem_event *event;
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	for (int i = 0; i < number; i++) {
		try(ivshmem_event_open(shm, PLACE(EVENTS + i), VECTOR, IVSHMEM_SYNC_CREATE,
				       &event));
		try(-pthread_create(&thread, &attributes, wait_in_vain, event));
	}
	sleep_ms(SETTLE_MS);
}

int main(int argc, char **argv)
{
	struct ivshmem_semaphore *ask, *answer;
	int number, rounds;

	if (argc != 3)
		tap_bail("usage: waiters NUMBER ROUNDS");
	number = atoi(argv[1]);
	rounds = atoi(argv[2]);
	shm = bench_open();
	ask = semaphore(ASK);
	answer = semaphore(ANSWER);
	if (rig_guest())
		gather(number - 1);
	rig_ask("barrier ready");
	if (rig_guest()) {
		while (rounds--) {
			try(ivshmem_semaphore_wait(ask, IVSHMEM_FOREVER));
			try(ivshmem_semaphore_post(answer));
		}
	} else {
		int64_t *times = calloc(rounds, sizeof(*times));

		for (int i = 0; i < rounds; i++) {
			int64_t start;

			sleep_ms(PAUSE_MS);
			start = now_ns();
			try(ivshmem_semaphore_post(ask));
			try(ivshmem_semaphore_wait(answer, IVSHMEM_FOREVER));
			times[i] = now_ns() - start;
		}
		bench_value("p50", bench_quantile(times, rounds, 0.5) / 1e3);
		bench_value("p99", bench_quantile(times, rounds, 0.99) / 1e3);
	}
	rig_ask("barrier done");
	_exit(0);
}
