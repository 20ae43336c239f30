// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects shared by threads, under the thread sanitizer: what a mutex protects, what a
 * semaphore and an event pass on, and objects that are opened and closed meanwhile.
 *
 * The sanitizer knows memory by its address, so all threads use one mapping of what is
 * protected, and one object, in one mapping.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "common/open.h"
#include "ivshmem_sync.h"

#define SECOND		INT64_C(1000000000)
#define PATIENCE	ivshmem_after(60 * SECOND)
#define THREADS		4
#define ROUNDS		5000
#define MUTEX		0
#define SEMAPHORE	1024
#define EVENT		2048
#define OTHER		4096

static struct ivshmem *handle;
static struct ivshmem_mutex *mutex;
static struct ivshmem_semaphore *semaphore;
static struct ivshmem_event *event;
static uint64_t counter, passed;	/* plain: the objects order them */

static void *count(void *failures)
{
	int round, error;

	for (round = 0; round < ROUNDS; round++) {
		error = ivshmem_mutex_lock(mutex, PATIENCE);
		counter++;
		if (round % 64 == 0)
			sched_yield();
		*(int *)failures += error || ivshmem_mutex_unlock(mutex);
	}
	return NULL;
}

/* Mutexes of the same program come and go beside it. */
static void *open_and_close(void *failures)
{
	struct ivshmem_mutex *other;
	int round;

	for (round = 0; round < ROUNDS / 50; round++) {
		*(int *)failures += ivshmem_mutex_open(handle, OTHER, 0, IVSHMEM_SYNC_CREATE,
						       &other) ||
				    ivshmem_mutex_lock(other, PATIENCE) ||
				    ivshmem_mutex_unlock(other);
		ivshmem_mutex_close(other);
	}
	return NULL;
}

static void *produce(void *failures)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		passed++;
		*(int *)failures += ivshmem_semaphore_post(semaphore) ||
				    ivshmem_event_wait(event, PATIENCE);
	}
	return NULL;
}

static void *consume(void *failures)
{
	int round;

	for (round = 0; round < ROUNDS; round++) {
		*(int *)failures += ivshmem_semaphore_wait(semaphore, PATIENCE) != 0;
		passed++;
		*(int *)failures += ivshmem_event_set(event) != 0;
	}
	return NULL;
}

static int run(void *(*const bodies[])(void *failures), int threads)
{
	int failures[THREADS + 1] = { 0 };
	pthread_t ids[THREADS + 1];
	int n, sum = 0;

	for (n = 0; n < threads; n++)
		pthread_create(&ids[n], NULL, bodies[n], &failures[n]);
	for (n = 0; n < threads; n++) {
		pthread_join(ids[n], NULL);
		sum += failures[n];
	}
	return sum;
}

int main(void)
{
	void *(*const counting[])(void *) = { count, count, count, count, open_and_close };
	void *(*const passing[])(void *) = { produce, consume };
	unsigned int flags = IVSHMEM_SYNC_CREATE;
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);

	handle = must_open(0);
	if (ivshmem_mutex_open(handle, MUTEX, 0, flags, &mutex) ||
	    ivshmem_semaphore_open(handle, SEMAPHORE, 0, flags, 0, &semaphore) ||
	    ivshmem_event_open(handle, EVENT, 1, flags | IVSHMEM_EVENT_AUTO_RESET, &event))
		tap_bail("cannot create the objects");
	tap_eq(run(counting, THREADS + 1), 0, "%d threads lock one mutex", THREADS);
	tap_eq(counter, THREADS * ROUNDS, "it excludes them");
	tap_eq(run(passing, 2), 0, "two threads pass a number to and fro");
	tap_eq(passed, 2 * ROUNDS, "a semaphore and an event order them");
	ivshmem_mutex_close(mutex);
	ivshmem_semaphore_close(semaphore);
	ivshmem_event_close(event);
	ivshmem_close(handle);
	return stop_server(server, SIGTERM) || tap_done();
}
