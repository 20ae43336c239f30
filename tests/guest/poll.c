// SPDX-License-Identifier: GPL-2.0-only
/* Each doorbell notifies all waiters: poll, epoll, SIGIO, eventfds, and many processes. */
/* rig: devices=doorbell vectors=4 size=1M over=pci,memory,polled */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "dev.h"

#define WAITERS 8

static volatile sig_atomic_t sigios;

static void on_sigio(int signal)
{
	(void)signal;
	sigios++;
}

/* The events that poll gives at once. */
static int poll_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	poll(&p, 1, 0);
	return p.revents;
}

/* Does the file become readable in time? */
static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents == POLLIN;
}

static void test_poll(int fd)
{
	int ro = dev_open_at(RIG_DEVICE, O_RDONLY), other = dev_open();

	tap_eq(poll_now(fd), POLLOUT, "nothing rang: writable only");
	tap_eq(poll_now(ro), 0, "a read-only file is not writable");
	tap_ok(!readable(fd, 50), "poll times out");
	dev_ring_files(fd, 2);
	tap_ok(readable(fd, 5000), "a doorbell ends poll with POLLIN");
	tap_ok(readable(other, 5000), "another open file sees it too");
	tap_eq(dev_wait_vector(fd, 2, 0), 1, "WAIT takes it");
	tap_eq(poll_now(fd), POLLOUT, "after WAIT poll no longer gives POLLIN");
	tap_ok(readable(other, 0), "the other file still has it");
	close(other);
	other = dev_open();
	tap_eq(poll_now(other), POLLOUT, "a new file has not missed anything");
	close(other);
	close(ro);
}

static void test_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	tap_eq(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event), 0, "add to epoll");
	tap_eq(epoll_wait(ep, &got, 1, 20), 0, "epoll gives no event while nothing fires");
	dev_ring_self(fd, 0);
	tap_eq(epoll_wait(ep, &got, 1, 5000), 1, "a doorbell ends epoll_wait");
	tap_eq(epoll_wait(ep, &got, 1, 20), 0, "edge-triggered: notified once");
	dev_ring_self(fd, 0);
	tap_eq(epoll_wait(ep, &got, 1, 5000), 1, "the next doorbell is a new edge");
	dev_wait_vector(fd, 0, 0);
	event.events = EPOLLOUT | EPOLLET;
	tap_eq(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event), 0, "wait to write instead");
	while (epoll_wait(ep, &got, 1, 20) == 1)
		;
	dev_ring_self(fd, 0);
	tap_ok(readable(fd, 5000), "a doorbell");
	tap_eq(epoll_wait(ep, &got, 1, 50), 0, "does not wake who only waits to write");
	event.events = EPOLLIN | EPOLLET;
	dev_wait_vector(fd, 0, 0);
	tap_eq(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event), 0, "wait to read again");
	dev_ring_self(fd, 0);
	tap_eq(epoll_wait(ep, &got, 1, 5000), 1, "a doorbell ends that");
	dev_wait_vector(fd, 0, 0);
	close(ep);
}

static void test_sigio(int fd)
{
	struct sigaction action = { .sa_handler = on_sigio };

	sigaction(SIGIO, &action, NULL);
	fcntl(fd, F_SETOWN, getpid());
	tap_eq(fcntl(fd, F_SETFL, O_RDWR | O_ASYNC), 0, "O_ASYNC on");
	dev_ring_self(fd, 1);
	for (int i = 0; i < 500 && !sigios; i++)
		sleep_ms(10);
	tap_eq(sigios, 1, "SIGIO comes");
	tap_eq(fcntl(fd, F_SETFL, O_RDWR), 0, "O_ASYNC off");
	dev_wait_vector(fd, 1, SECOND);
	dev_ring_self(fd, 1);
	dev_wait_vector(fd, 1, SECOND);
	tap_eq(sigios, 1, "no more SIGIO");
}

/*
 * O_ASYNC in open() has no effect, says Linux, but it must not keep fcntl() from setting it.
 * F_SETSIG chooses the signal, which then tells the file.
 */
static void test_sigio_number(void)
{
	const int number = SIGRTMIN + 3;
	const struct timespec patience = { .tv_sec = 5 };
	int fd = dev_open_at(RIG_DEVICE, O_RDWR | O_ASYNC);
	siginfo_t info = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_BLOCK, &set, NULL);
	tap_eq(fcntl(fd, F_GETFL) & O_ASYNC, 0, "O_ASYNC in open() is not on");
	tap_eq(fcntl(fd, F_SETOWN, getpid()), 0, "F_SETOWN");
	tap_eq(fcntl(fd, F_SETSIG, number), 0, "F_SETSIG");
	tap_eq(fcntl(fd, F_SETFL, O_RDWR | O_ASYNC), 0, "O_ASYNC by fcntl()");
	dev_ring_files(fd, 1);
	tap_eq(sigtimedwait(&set, &info, &patience), number, "that signal comes");
	tap_ok(info.si_fd == fd && info.si_code == POLL_IN && info.si_band & POLLIN,
	       "it tells which file, and that there is something to read");
	close(fd);
}

static void test_eventfds(int fd)
{
	int other = dev_open(), a = eventfd(0, EFD_NONBLOCK), b = eventfd(0, EFD_NONBLOCK);
	eventfd_t value;

	dev_eventfd(fd, 3, a);
	dev_eventfd(other, 3, b);
	dev_ring_files(fd, 3);
	tap_ok(readable(a, 5000), "one file's eventfd is signalled");
	tap_ok(readable(b, 5000), "a second file's eventfd on the same vector is signalled too");
	eventfd_read(a, &value);
	eventfd_read(b, &value);
	close(other);
	dev_wait_vector(fd, 3, 0);
	dev_ring_self(fd, 3);
	tap_ok(readable(a, 5000), "it is signalled again after the other file is closed");
	refused(eventfd_read(b, &value), EAGAIN, "closing unbinds");
	close(a);
	dev_ring_self(fd, 3);
	tap_eq(dev_wait_vector(fd, 3, SECOND) > 0, true, "a closed eventfd does no harm");
	tap_eq(dev_eventfd(fd, 3, -1), 0, "a closed eventfd can be unbound");
	close(b);
}

static void *wait_thread(void *arg)
{
	return (void *)(intptr_t)dev_wait_vector(*(int *)arg, 1, 20 * SECOND);
}

/* Half of the waiters are processes with a file of their own, half threads. */
static void test_many(int fd)
{
	pthread_t threads[WAITERS / 2];
	int fds[WAITERS / 2], status, woken = 0;
	void *count;

	for (int i = 0; i < WAITERS / 2; i++) {
		fds[i] = dev_open();
		pthread_create(&threads[i], NULL, wait_thread, &fds[i]);
		if (!fork()) {
			int own = dev_open();

			_exit(dev_wait_vector(own, 1, 20 * SECOND) <= 0);
		}
	}
	/* Most waiters sleep by now; the others will find that the doorbell was counted. */
	sleep_ms(300);
	dev_ring_files(fd, 1);
	for (int i = 0; i < WAITERS / 2; i++) {
		pthread_join(threads[i], &count);
		woken += (intptr_t)count > 0;
		close(fds[i]);
	}
	while (wait(&status) > 0)
		woken += !status;
	tap_eq(woken, WAITERS, "one doorbell wakes all waiters of its vector");
}

int main(void)
{
	int fd = dev_open();

	if (!dev_interrupts(fd, "waiting for doorbells"))
		return tap_done();
	test_poll(fd);
	test_epoll(fd);
	test_sigio(fd);
	test_sigio_number();
	test_eventfds(fd);
	test_many(fd);
	return tap_done();
}
