// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads log while another sets the log's function, and processes fork meanwhile
 * (lib/log.c).
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"
#include "ivshmem.h"

#define THREADS	3
#define ROUNDS	200

static _Atomic bool stop;
static unsigned int current;	/* the function's argument now; the log orders it */
static unsigned int late, events;

static void count(void *argument, int level, const char *text)
{
	(void)level;
	(void)text;
	events++;
	late += (uintptr_t)argument != current;
}

static void *fail(void *unused)
{
	struct ivshmem *handle;

	while (!stop)
		ivshmem_open(&handle, "", 6);
	return unused;
}

static void set(unsigned int round)
{
	ivshmem_set_log(IVSHMEM_LOG_OFF, NULL, NULL);
	current = round;
	ivshmem_set_log(IVSHMEM_LOG_DEBUG, count, (void *)(uintptr_t)round);
}

int main(void)
{
	pthread_t threads[THREADS];
	int n, status, failed = 0;

	set(1);
	for (n = 0; n < THREADS; n++)
		pthread_create(&threads[n], NULL, fail, NULL);
	for (n = 2; n < ROUNDS; n++) {
		set(n);
		usleep(500);
		if (n % 10)
			continue;
		/* A child that cannot log waits for ever: the alarm ends it. */
		if (!fork()) {
			alarm(60);
			set(n);
			ivshmem_set_log(IVSHMEM_LOG_OFF, NULL, NULL);
			_exit(0);
		}
		wait(&status);
		failed += status != 0;
	}
	stop = true;
	for (n = 0; n < THREADS; n++)
		pthread_join(threads[n], NULL);
	tap_ok(events, "threads log: %u events", events);
	tap_eq(late, 0, "none comes to a former function");
	tap_eq(failed, 0, "children can log");
	return tap_done();
}
