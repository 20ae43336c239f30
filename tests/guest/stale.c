// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that outlive the binding of their node are told of its end, by every way, and then of
 * nothing more: the doorbells are those of the next owner.
 */
/* rig: devices=doorbell vectors=4 size=1M timeout=120 over=pci,memory,polled */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "dev.h"

#define BUS "/sys/bus/ivshmem/"
#define CHARDEV BUS "drivers/ivshmem_chardev/"
#define RINGS 20
#define LONG 10000	/* ms, for what must come */
#define EVENTFDS 6	/* more than are signalled in the interrupt */

static char node[32];
static int patience;	/* ms to wait for the first event of each kind */

/* The events of a set that come within some time, counted until none comes. */
static int drain_epoll(int epoll, uint32_t *mask)
{
	struct epoll_event event;
	int n = 0;

	while (epoll_wait(epoll, &event, 1, n ? 200 : patience) == 1) {
		*mask |= event.events;
		n++;
	}
	return n;
}

static int drain_signals(const sigset_t *set)
{
	struct timespec left = { patience / 1000, patience % 1000 * 1000000 };
	int n = 0;

	while (sigtimedwait(set, NULL, &left) > 0) {
		left = (struct timespec){ .tv_nsec = 200000000 };
		n++;
	}
	return n;
}

/* The sum of an eventfd; that of one that is polled, too. */
static long long drain_eventfd(int efd)
{
	struct pollfd p = { .fd = efd, .events = POLLIN };
	eventfd_t value, sum = 0;

	while (poll(&p, 1, sum ? 200 : patience) == 1 && !eventfd_read(efd, &value))
		sum += value;
	return sum;
}

/* An open file with all kinds of listeners. */
static struct stale {
	int fd, epoll;
	int eventfds[EVENTFDS];
	sigset_t sigio;
} stale;

static void listen_by_all(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	stale.fd = dev_open();
	stale.epoll = epoll_create1(0);
	epoll_ctl(stale.epoll, EPOLL_CTL_ADD, stale.fd, &event);
	sigemptyset(&stale.sigio);
	sigaddset(&stale.sigio, SIGIO);
	sigprocmask(SIG_BLOCK, &stale.sigio, NULL);
	fcntl(stale.fd, F_SETOWN, getpid());
	tap_eq(result(fcntl(stale.fd, F_SETFL, O_RDWR | O_ASYNC)), 0, "a file with O_ASYNC");
	/* One for each open file and vector: several files of one user. */
	for (int i = 0; i < EVENTFDS; i++) {
		stale.eventfds[i] = eventfd(0, EFD_NONBLOCK);
		if (dev_eventfd(i ? dev_open() : stale.fd, 1, stale.eventfds[i]))
			tap_bail("no eventfd");
	}
}

/* What all of them are told within some time: how many are there? */
static int told(uint32_t *mask, int ms)
{
	int n;

	patience = ms;
	n = !!drain_signals(&stale.sigio) + !!drain_epoll(stale.epoll, mask);
	for (int i = 0; i < EVENTFDS; i++)
		n += !!drain_eventfd(stale.eventfds[i]);
	return n;
}

/* The next owner of the node rings itself, and nobody else is told. */
static void test_next_owner(void)
{
	struct pollfd p = { .events = POLLIN };
	uint32_t mask = 0;
	int fd, heard = 0, efd = eventfd(0, EFD_NONBLOCK);

	tap_eq(file_write(CHARDEV "bind", node), 0, "bind it again");
	fd = dev_open();
	dev_eventfd(fd, 1, efd);
	for (int i = 0; i < RINGS; i++) {
		dev_ring_files(fd, 1);
		heard += dev_wait_vector(fd, 1, 20 * SECOND) > 0;
		p.fd = stale.fd;
		heard += poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
	}
	tap_eq(heard, 2 * RINGS, "the next owner gets doorbells; stale files only POLLHUP");
	patience = LONG;
	tap_ok(drain_eventfd(efd) > 0, "so does its eventfd");
	tap_eq(told(&mask, 200), 0, "no other listener is told");
	refused(ioctl(stale.fd, IVSHMEM_IOC_EVENTFD, &(struct ivshmem_eventfd){ .fd = efd }),
		ENODEV, "no eventfd can be bound to a stale file");
	close(efd);
	close(fd);
}

int main(void)
{
	uint32_t mask = 0;
	int fd = dev_open();

	if (!dev_interrupts(fd, "doorbells"))
		return tap_done();
	close(fd);
	snprintf(node, sizeof(node), "%s", strrchr(RIG_DEVICE, '/') + 1);
	listen_by_all();
	told(&mask, 200);
	dev_ring_files(stale.fd, 1);
	tap_eq(told(&mask, LONG), EVENTFDS + 2, "all listeners are told of a doorbell");
	tap_eq(file_write(CHARDEV "unbind", node), 0, "unbind the node");
	mask = 0;
	tap_eq(told(&mask, LONG), EVENTFDS + 2, "all listeners are told of the end");
	tap_ok(mask & EPOLLHUP, "the epoll that it is one");
	test_next_owner();
	return tap_done();
}
