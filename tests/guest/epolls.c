// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file that many epolls watch is closed while doorbells come: both wake the epolls, a few at a
 * time, at once.
 */
/* rig: devices=doorbell vectors=4 size=16M smp=2 timeout=120 */
#include <pthread.h>
#include <sys/epoll.h>

#include "module.h"

#define EPOLLS 100
#define ROUNDS 300
#define RINGERS 3

static volatile bool stop;

static void *ringer(void *arg)
{
	int fd = dev_open();

	while (!stop)
		dev_ring_self(fd, (uintptr_t)arg);
	close(fd);
	return NULL;
}

int main(void)
{
	const int rounds = rig_times(ROUNDS);
	pthread_t threads[RINGERS];
	int epolls[EPOLLS], woken = 0;
	struct epoll_event event = { .events = EPOLLIN };

	for (uintptr_t i = 0; i < RINGERS; i++)
		pthread_create(&threads[i], NULL, ringer, (void *)i);
	for (int i = 0; i < EPOLLS; i++)
		epolls[i] = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < rounds; i++) {
		int fd = dev_open();

		for (int e = 0; e < EPOLLS; e++)
			epoll_ctl(epolls[e], EPOLL_CTL_ADD, fd, &event);
		woken += epoll_wait(epolls[i % EPOLLS], &event, 1, 60000);
		close(fd);	/* takes it out of all of them */
	}
	stop = true;
	for (int i = 0; i < RINGERS; i++)
		pthread_join(threads[i], NULL);
	tap_eq(woken, rounds, "each time the epolls are woken");
	module_clean();
	return tap_done();
}
