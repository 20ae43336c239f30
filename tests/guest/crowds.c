// SPDX-License-Identifier: GPL-2.0-only
/*
 * Far more listeners than the interrupt handler notifies by itself. Each is notified all
 * the same, once for each doorbell, and may close while doorbells fire.
 */
/* rig: devices=doorbell vectors=4 size=1M mem=512 over=pci,memory timeout=240 */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "dev.h"

#define FILES 2000
#define BINDINGS 500
#define WATCHERS 100
#define SLEEPERS 300
#define EPOLLS 300
#define ASYNC_FILES 200
#define GROUP 20
#define PATIENCE 20	/* seconds */

static int fds[FILES];
static int nr_files;

static void open_files(int n)
{
	for (nr_files = 0; nr_files < n; nr_files++)
		fds[nr_files] = dev_open();
}

static void close_files(void)
{
	while (nr_files)
		close(fds[--nr_files]);
}

/* One doorbell for each peer: all open files are one, or each is its own. */
static void ring_files(uint32_t vector)
{
	uint32_t first = dev_info(fds[0]).id;

	dev_ring(fds[0], first, vector);
	for (int i = 1; i < nr_files; i++) {
		uint32_t id = dev_info(fds[i]).id;

		if (id == first)
			break;
		dev_ring(fds[i], id, vector);
	}
}

/* Read an eventfd until its sum is @wanted, or time is up; gives the sum. */
static long long eventfd_count(int efd, long long wanted)
{
	int64_t end = now_ns() + PATIENCE * SECOND;
	long long sum = 0;
	eventfd_t value;

	while (sum < wanted && now_ns() < end) {
		if (eventfd_read(efd, &value))
			sleep_ms(1);
		else
			sum += value;
	}
	sleep_ms(200);	/* a signal too many may come late */
	return eventfd_read(efd, &value) ? sum : sum + (long long)value;
}

static void test_one_eventfd(void)
{
	int efd = eventfd(0, EFD_NONBLOCK);

	open_files(FILES);
	for (int i = 0; i < FILES; i++)
		dev_eventfd(fds[i], 0, efd);
	for (int i = 0; i < 3; i++) {
		ring_files(0);
		tap_eq(eventfd_count(efd, FILES), FILES,
		       "an eventfd of %d files counts each, ring %d", FILES, i + 1);
	}
	for (int i = 0; i < FILES; i += 2)
		dev_eventfd(fds[i], 0, -1);
	ring_files(0);
	tap_eq(eventfd_count(efd, FILES / 2), FILES / 2, "of half the files it counts half");
	close_files();
	close(efd);
}

/* Wait for @wanted events in each epoll; gives the number of epolls that lack some. */
static int epolls_lack(const int *epolls, int nr, int wanted)
{
	int64_t end = now_ns() + PATIENCE * SECOND;
	struct epoll_event got[BINDINGS];
	int lacking = 0, n;

	for (int i = 0; i < nr; i++) {
		while (epoll_wait(epolls[i], got, wanted, 0) < wanted && now_ns() < end)
			sleep_ms(1);
		n = epoll_wait(epolls[i], got, wanted, 0);
		if (n != wanted) {
			tap_note("epoll %d has %d events of %d", i, n, wanted);
			lacking++;
		}
	}
	return lacking;
}

static void test_watched_eventfds(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int efds[BINDINGS], epolls[WATCHERS], failed = 0;
	eventfd_t value;

	open_files(BINDINGS);
	for (int i = 0; i < BINDINGS; i++) {
		efds[i] = eventfd(0, EFD_NONBLOCK);
		dev_eventfd(fds[i], 1, efds[i]);
	}
	for (int i = 0; i < WATCHERS; i++) {
		epolls[i] = epoll_create1(EPOLL_CLOEXEC);
		for (int j = 0; j < BINDINGS; j++)
			failed += epoll_ctl(epolls[i], EPOLL_CTL_ADD, efds[j], &event) != 0;
	}
	tap_eq(failed, 0, "%d epolls watch %d eventfds", WATCHERS, BINDINGS);
	ring_files(1);
	tap_eq(epolls_lack(epolls, WATCHERS, BINDINGS), 0, "each epoll is notified of each eventfd");
	for (int i = 0; i < BINDINGS; i++)
		if (eventfd_read(efds[i], &value) || value != 1) {
			tap_note("eventfd %d is not signalled once", i);
			failed++;
		}
	tap_eq(failed, 0, "and each eventfd is signalled once");
	for (int i = 0; i < WATCHERS; i++)
		close(epolls[i]);
	for (int i = 0; i < BINDINGS; i++)
		close(efds[i]);
	close_files();
}

/* Each sleeps at its own file, every other one for a set, which is another queue. */
static void test_sleepers(void)
{
	int status, woken = 0;

	open_files(SLEEPERS);
	for (int i = 0; i < SLEEPERS; i++) {
		const uint64_t set = 0xc;
		struct ivshmem_wait w = { .vector = 2, .timeout_ns = PATIENCE * SECOND };

		if (i % 2)
			w = dev_set_wait(&set, PATIENCE * SECOND);
		if (!fork())
			_exit(dev_wait(fds[i], &w) || w.count != 1);
	}
	sleep_ms(1000);	/* by now most sleep; the others find the doorbell counted */
	ring_files(2);
	while (wait(&status) > 0)
		woken += !status;
	tap_eq(woken, SLEEPERS, "one doorbell wakes %d sleepers", SLEEPERS);
	close_files();
}

static void test_epolls(void)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epolls[EPOLLS];

	open_files(1);
	for (int i = 0; i < EPOLLS; i++) {
		epolls[i] = epoll_create1(EPOLL_CLOEXEC);
		epoll_ctl(epolls[i], EPOLL_CTL_ADD, fds[0], &event);
	}
	for (int round = 1; round <= 2; round++) {
		int notified = 0;

		ring_files(3);
		for (int i = 0; i < EPOLLS; i++)
			notified += epoll_wait(epolls[i], &event, 1, PATIENCE * 1000) == 1;
		tap_eq(notified, EPOLLS, "%d epolls of one file are notified, ring %d", EPOLLS, round);
	}
	for (int i = 0; i < EPOLLS; i++)
		close(epolls[i]);
	close_files();
}

static void test_signals(void)
{
	const struct timespec patience = { .tv_sec = PATIENCE };
	int status, signalled = 0;
	pid_t pid, group = 0;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (int i = 0; i < GROUP; i++) {
		pid = fork();
		if (!pid)
			_exit(sigtimedwait(&set, NULL, &patience) != SIGIO);
		group = group ? group : pid;
		setpgid(pid, group);
	}
	open_files(ASYNC_FILES);
	for (int i = 0; i < ASYNC_FILES; i++) {
		fcntl(fds[i], F_SETOWN, -group);
		fcntl(fds[i], F_SETFL, O_RDWR | O_ASYNC);
	}
	ring_files(0);
	while (wait(&status) > 0)
		signalled += !status;
	tap_eq(signalled, GROUP, "%d files with O_ASYNC signal a group of %d", ASYNC_FILES, GROUP);
	close_files();
}

static volatile bool stop;

static void *ring_all_the_time(void *arg)
{
	long rings = 0;
	int fd = dev_open();

	(void)arg;
	for (; !stop; rings++)
		for (uint32_t peer = 0; peer <= ASYNC_FILES; peer++)
			dev_ring(fd, peer, rings % 2);
	close(fd);
	return (void *)rings;
}

/* Open files with each kind of listener, and close them while doorbells fire. */
static int come_and_go(int epoll, int efd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int failed = 0;

	open_files(ASYNC_FILES);
	for (int i = 0; i < ASYNC_FILES; i++) {
		failed += dev_eventfd(fds[i], 0, efd) != 0;
		failed += dev_eventfd(fds[i], 1, efd) != 0;
		failed += epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event) != 0;
		fcntl(fds[i], F_SETOWN, getpid());
		failed += fcntl(fds[i], F_SETFL, O_RDWR | O_ASYNC) != 0;
	}
	dev_wait_vector(fds[0], 0, SECOND / 100);
	close_files();
	return failed;
}

static void test_leaving(void)
{
	int rounds = rig_times(40), failed = 0;
	int epoll = epoll_create1(EPOLL_CLOEXEC), efd = eventfd(0, EFD_NONBLOCK);
	pthread_t thread;
	eventfd_t value = 0;
	void *rings;

	signal(SIGIO, SIG_IGN);
	pthread_create(&thread, NULL, ring_all_the_time, NULL);
	for (int i = 0; i < rounds; i++)
		failed += come_and_go(epoll, efd);
	stop = true;
	pthread_join(thread, &rings);
	tap_eq(failed, 0, "listeners come and go, %d times %d, in %ld rounds of rings",
	       rounds, ASYNC_FILES, (long)rings);
	eventfd_read(efd, &value);
	tap_ok(value > 0, "doorbells fire meanwhile");
	open_files(1);
	dev_ring_self(fds[0], 0);
	tap_eq(dev_wait_vector(fds[0], 0, PATIENCE * SECOND) > 0, true, "a new file gets a doorbell");
	tap_ok(eventfd_read(efd, &value), "and closed files get none");
	close_files();
	close(efd);
	close(epoll);
}

int main(void)
{
	const struct rlimit many = { 2 * FILES, 2 * FILES };

	if (setrlimit(RLIMIT_NOFILE, &many))
		tap_bail("%s", strerror(errno));
	if (!dev_interrupts(dev_open(), "crowds of listeners"))
		return tap_done();
	file_write("/proc/sys/fs/epoll/max_user_watches", "200000");
	test_one_eventfd();
	test_watched_eventfds();
	test_sleepers();
	test_epolls();
	test_signals();
	test_leaving();
	return tap_done();
}
