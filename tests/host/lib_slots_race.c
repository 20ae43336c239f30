// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that threads can do at once with a handle on a file with a peer area, while the library's
 * own thread looks after it, for the thread sanitizer.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "common/labelled.h"

#define ROUNDS	300

static struct ivshmem *shared, *other;
static _Atomic unsigned int heard, finished;

static void *ring(void *argument)
{
	int n;

	for (n = 0; n < ROUNDS; n++) {
		ivshmem_ring(other, id_of(shared), n % 2);
		ivshmem_ring(shared, id_of(shared), n % 2);
		usleep(500);
	}
	finished++;
	return argument;
}

static void *wait_for_doorbells(void *argument)
{
	struct ivshmem_wait_options options = {
		.vector = 0, .timeout_ns = 20000000, .spin_ns = (uintptr_t)argument,
	};

	while (finished < 2)
		heard += !ivshmem_wait(shared, &options, NULL);
	return NULL;
}

static void *watch(void *argument)
{
	struct pollfd ready[] = {
		{ ivshmem_fd(shared), POLLIN, 0 }, { ivshmem_eventfd(shared, 1), POLLIN, 0 },
	};
	struct ivshmem_peer peers[4];
	uint64_t count;
	uint32_t ids[4];

	while (finished < 2) {
		poll(ready, 2, 20);
		ivshmem_peers(shared, ids, 4);
		ivshmem_list_peers(shared, peers, 4);
		if (read(ready[1].fd, &count, sizeof(count)) == sizeof(count))
			heard++;
	}
	close(ready[1].fd);
	return argument;
}

static void *come_and_go(void *argument)
{
	struct ivshmem *handle;
	int n;

	for (n = 0; n < 30; n++) {
		handle = open_region(0);
		ivshmem_ring(handle, id_of(shared), 0);
		ivshmem_close(handle);
	}
	finished++;
	return argument;
}

int main(void)
{
	static void *(*const roles[])(void *argument) = {
		ring, wait_for_doorbells, wait_for_doorbells, watch, come_and_go,
	};
	static const uintptr_t spin[] = { 0, 0, 100000, 0, 0 };
	pthread_t threads[5];
	unsigned char *memory = make_region(8, 2);
	int n;

	shared = open_region(0);
	other = open_region(0);
	for (n = 0; n < 5; n++)
		pthread_create(&threads[n], NULL, roles[n], (void *)spin[n]);
	for (n = 0; n < 5; n++)
		pthread_join(threads[n], NULL);
	tap_ok(heard, "doorbells are heard: %u", heard);
	tap_eq(ivshmem_peers(shared, NULL, 0), 1, "the other one is there");
	ivshmem_close(other);
	ivshmem_close(shared);
	tap_ok(!raw_section(memory, 0)->owner && !raw_section(memory, 1)->owner,
	       "both slots are given back");
	munmap(memory, REGION_SIZE);
	return tap_done();
}
