// SPDX-License-Identifier: GPL-2.0-only
/*
 * One open file, several descriptors and tasks: closed while a thread sleeps with it, shared
 * over fork, watched by an epoll under two descriptors, and only once.
 */
/* rig: devices=doorbell vectors=4 size=1M over=pci,memory,polled */
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "dev.h"

#define PATIENCE 20	/* seconds, for what must come */
#define SHORT 2		/* for what must not */
#define ASLEEP_MS 300

static int ringer;	/* another open file */

struct sleeper {
	pthread_t thread;
	int fd;
	long long count;
};

static void *sleep_at(void *arg)
{
	struct sleeper *s = arg;

	s->count = dev_wait_vector(s->fd, 1, PATIENCE * SECOND);
	return NULL;
}

/* The call has the file, whatever becomes of the descriptor. */
static void test_close(void)
{
	struct sleeper s = { .fd = dev_open() };
	uint32_t id = dev_info(s.fd).id;

	must(pthread_create(&s.thread, NULL, sleep_at, &s));
	sleep_ms(ASLEEP_MS);
	tap_eq(close(s.fd), 0, "close a descriptor with which a thread sleeps");
	refused(ioctl(s.fd, IVSHMEM_IOC_INFO, &(struct ivshmem_info){}), EBADF, "it is closed");
	dev_ring(ringer, id, 1);
	pthread_join(s.thread, NULL);
	tap_ok(s.count > 0, "the thread gets the next doorbell");
}

/* Wait for vector 2 in a child. It exits with 0 for a doorbell, 1 for none. */
static pid_t child_waits(int fd, int seconds)
{
	pid_t pid = fork();
	long long count;

	if (pid)
		return pid;
	count = dev_wait_vector(fd, 2, seconds * SECOND);
	_exit(count > 0 ? 0 : count == -ETIMEDOUT ? 1 : 2);
}

static int child_result(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Parent and child have one memory of doorbells. */
static void test_fork(void)
{
	int fd = dev_open();
	uint32_t id = dev_info(fd).id;
	pid_t pids[2];

	for (int i = 0; i < 2; i++)
		pids[i] = child_waits(fd, SHORT);
	sleep_ms(ASLEEP_MS);
	dev_ring(ringer, id, 2);
	tap_eq(child_result(pids[0]) + child_result(pids[1]), 1,
	       "of two children with one open file one gets the doorbell");
	tap_eq(dev_wait_vector(fd, 2, 0), -ETIMEDOUT, "it is no news to the parent");
	pids[0] = child_waits(fd, PATIENCE);
	sleep_ms(ASLEEP_MS);
	close(fd);
	dev_ring(ringer, id, 2);
	tap_eq(child_result(pids[0]), 0, "a child gets a doorbell when the parent has closed it");
}

/* Events that come in time, @wanted or all that come shortly; as a mask of their data. */
static unsigned int events(int epoll, unsigned int wanted)
{
	const int64_t end = now_ns() + (wanted ? PATIENCE : SHORT) * SECOND;
	struct epoll_event event;
	unsigned int got = 0;

	do {
		if (epoll_wait(epoll, &event, 1, 100) == 1)
			got |= event.data.u32;
	} while (now_ns() < end && (!wanted || got != wanted));
	return got;
}

/* An epoll knows a file by its descriptor: each of two gets each edge. */
static void test_edges(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int fd = dev_open(), second = must(dup(fd)), epoll = must(epoll_create1(0));

	event.data.u32 = 1;
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	event.data.u32 = 2;
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, second, &event));
	for (int i = 0; i < 2; i++) {
		dev_ring_self(fd, 3);
		tap_eq(events(epoll, 3), 3, "both descriptors get edge %d", i + 1);
	}
	events(epoll, 0);
	tap_eq(events(epoll, 0), 0, "and no other, though nobody took the doorbells");
	close(fd);
	dev_ring_self(second, 3);
	tap_eq(events(epoll, 3), 3, "the file is watched twice until its last descriptor goes");
	close(second);
	tap_eq(events(epoll, 0), 0, "and then no more");
	close(epoll);
}

static void test_oneshot(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.u32 = 1 };
	int fd = dev_open(), epoll = must(epoll_create1(0));

	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	dev_ring_self(fd, 3);
	tap_eq(events(epoll, 1), 1, "a doorbell, once");
	dev_ring_self(fd, 3);
	tap_eq(events(epoll, 0), 0, "not again");
	must(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	tap_eq(events(epoll, 1), 1, "at once when it is wanted again, as nobody took the doorbells");
	while (dev_wait_vector(fd, 3, SECOND / 5) > 0)
		;
	must(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	tap_eq(events(epoll, 0), 0, "not when somebody did");
	dev_ring_self(fd, 3);
	tap_eq(events(epoll, 1), 1, "but for the next one");
	close(epoll);
	close(fd);
}

int main(void)
{
	ringer = dev_open();
	if (!dev_interrupts(ringer, "WAIT and poll"))
		return tap_done();
	test_close();
	test_fork();
	test_edges();
	test_oneshot();
	return tap_done();
}
