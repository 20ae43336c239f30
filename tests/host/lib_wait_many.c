// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads wait on one handle. One of them polls for all and hands that over when it
 * is done, interrupted or cancelled: no event is lost or reported twice, and a ring wakes
 * only the thread that it is for (lib/waiting.c).
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/open.h"

#define VECTORS		4
#define THREADS		8
#define RINGS		20000
#define SLEEPERS	64
#define WORDS		4096	/* where the words of sleepers begin */
#define WAKES		50
#define MS		1000000LL

static struct ivshmem *ringer, *waiter;
static uint32_t id;		/* of waiter */
static atomic_bool over;
static _Atomic uint64_t counted[VECTORS];

static void ring(uint32_t vector)
{
	if (ivshmem_ring(ringer, id, vector))
		tap_bail("cannot ring");
}

static void on_signal(int number)
{
	(void)number;
}

/* Wait for one vector or for all, for a while so short that the leader often changes. */
static void *count_rings(void *argument)
{
	unsigned int seed = (uintptr_t)argument;
	struct ivshmem_wait_result result;

	while (!over) {
		struct ivshmem_wait_options options = {
			.vector = rand_r(&seed) % VECTORS,
			.timeout_ns = rand_r(&seed) % 2 * MS / 5,
		};
		int error;

		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
		error = ivshmem_wait(waiter, &options, &result);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		if (!error)
			counted[options.vector] += result.count;
		else if (error != -ETIMEDOUT && error != -EINTR)
			tap_bail("wait: %s", strerror(-error));
	}
	return argument;
}

static pthread_t start(void *(*function)(void *), uintptr_t argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, function, (void *)argument))
		tap_bail("no thread");
	return thread;
}

static void test_counts(void)
{
	pthread_t threads[THREADS];
	uint64_t rung[VECTORS] = { 0 };
	unsigned int seed = 1;

	for (uintptr_t n = 0; n < THREADS; n++)
		threads[n] = start(count_rings, n);
	for (int i = 0; i < RINGS; i++) {
		uint32_t vector = rand_r(&seed) % VECTORS;
		unsigned int n = rand_r(&seed) % THREADS;

		ring(vector);
		rung[vector]++;
		if (i % 8 == 0)
			pthread_kill(threads[n], SIGUSR1);
		if (i % 64)
			continue;
		pthread_cancel(threads[n]);
		pthread_join(threads[n], NULL);
		threads[n] = start(count_rings, i + n);
	}
	for (uint32_t v = 0; v < VECTORS; v++)
		tap_ok(eventually(counted[v] >= rung[v]), "vector %u: all rings are reported", v);
	over = true;
	for (int n = 0; n < THREADS; n++)
		pthread_join(threads[n], NULL);
	for (uint32_t v = 0; v < VECTORS; v++)
		tap_eq(counted[v], rung[v], "vector %u: each of them once", v);
}

static void *sleep_on_vector(void *argument)
{
	struct ivshmem_wait_options options = {
		.vector = (uintptr_t)argument,
		.timeout_ns = IVSHMEM_FOREVER,
	};
	int error = ivshmem_wait(waiter, &options, NULL);

	return (void *)(intptr_t)error;
}

/* The second thread wants a vector that the first, which leads, did not poll. */
static void test_handover(void)
{
	pthread_t leader, follower;
	void *result;

	leader = start(sleep_on_vector, 0);
	usleep(20000);
	follower = start(sleep_on_vector, 1);
	usleep(20000);
	ring(1);
	pthread_join(follower, &result);
	tap_eq((intptr_t)result, 0, "a thread is woken while another one polls");
	follower = start(sleep_on_vector, 1);
	usleep(20000);
	pthread_cancel(leader);
	pthread_join(leader, &result);
	tap_ok(result == PTHREAD_CANCELED, "the thread that polls is cancelled");
	ring(1);
	pthread_join(follower, &result);
	tap_eq((intptr_t)result, 0, "and the other one is woken");

	leader = start(sleep_on_vector, 0);
	usleep(20000);
	follower = start(sleep_on_vector, 1);
	usleep(20000);
	pthread_kill(follower, SIGUSR1);
	pthread_join(follower, &result);
	tap_eq((intptr_t)result, -EINTR, "a signal interrupts one that does not poll");
	ring(0);
	pthread_join(leader, &result);
	tap_eq((intptr_t)result, 0, "and not the one that does");
}

static void *sleep_on_word(void *argument)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD,
		.offset = WORDS + 4 * (uintptr_t)argument,
		.timeout_ns = IVSHMEM_FOREVER,
	};
	struct ivshmem_wait_result result = { 0 };

	while (!result.changed)
		if (ivshmem_wait(waiter, &options, &result))
			return waiter;
	return NULL;
}

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw;
}

/* Each ring concerns one of the threads; some of the others lead meanwhile. */
static void test_one_of_many(void)
{
	pthread_t threads[SLEEPERS];
	uintptr_t failures = 0, n;
	_Atomic uint32_t *words;
	void *address, *result;
	long before;

	if (ivshmem_map(ringer, WORDS, 4096, &address))
		tap_bail("cannot map");
	words = address;
	for (n = 0; n < SLEEPERS; n++)
		threads[n] = start(sleep_on_word, n);
	usleep(100000);
	before = switches();
	for (n = 0; n < WAKES; n++) {
		words[n] = 1;
		ring(0);
		pthread_join(threads[n], &result);
		failures += result != NULL;
	}
	tap_eq(failures, 0, "%d rings wake %d of %d threads", WAKES, WAKES, SLEEPERS);
	tap_ok(switches() - before < WAKES * SLEEPERS / 4, "and not the others");
	for (; n < SLEEPERS; n++)
		words[n] = 1;
	ring(0);
	for (n = WAKES; n < SLEEPERS; n++) {
		pthread_join(threads[n], &result);
		failures += result != NULL;
	}
	tap_eq(failures, 0, "one ring wakes the other %d, whose words have changed too",
	       SLEEPERS - WAKES);
	ivshmem_unmap(ringer, address, 4096);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	struct ivshmem_properties properties;

	sigaction(SIGUSR1, &action, NULL);
	start_server("--memfd", "-n", "4", NULL);
	ringer = must_open(0);
	waiter = must_open(0);
	ivshmem_get_properties(waiter, &properties);
	id = properties.id;
	if (!eventually(ivshmem_peers(ringer, NULL, 0) == 1))
		tap_bail("the peers do not meet");
	test_counts();
	test_handover();
	test_one_of_many();
	ivshmem_close(waiter);
	ivshmem_close(ringer);
	return tap_done();
}
