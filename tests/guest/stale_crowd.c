// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who ends a partition does not wait until a crowd of files, of somebody else, is notified of
 * that: a work item does it afterwards.
 */
/* rig: devices=doorbell vectors=4 size=2M mem=512 timeout=400 over=pci */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "dev.h"

#define PARTITIONS "/sys/bus/ivshmem/devices/ivshmem0/partitions"
#define PART "/dev/ivshmem0p1"
#define STRANGER 1000
#define VECTORS 4
#define FILES 1000
/* Each epoll watches the eventfd by so many descriptors. */
#define EPOLLS 5
#define WATCHES 1000
#define PATIENCE 300	/* seconds */

/* Make each notification of an eventfd a long one. */
static void watch(int efd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epolls[EPOLLS];

	for (int i = 0; i < EPOLLS; i++)
		epolls[i] = must(epoll_create1(0));
	for (int i = 0; i < WATCHES; i++) {
		int fd = must(dup(efd));

		for (int e = 0; e < EPOLLS; e++)
			must(epoll_ctl(epolls[e], EPOLL_CTL_ADD, fd, &event));
	}
}

static pid_t crowd_start(int efd)
{
	int ready[2];
	pid_t pid;
	char byte;

	must(pipe(ready));
	pid = fork();
	if (!pid) {
		must(setresuid(STRANGER, STRANGER, STRANGER));
		watch(efd);
		for (int i = 0; i < FILES; i++) {
			int fd = dev_open_at(PART, O_RDWR);

			for (uint32_t v = 0; v < VECTORS; v++)
				if (dev_eventfd(fd, v, efd))
					tap_bail("no eventfd");
		}
		must(write(ready[1], "", 1));
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		tap_bail("the crowd does not come");
	close(ready[0]);
	return pid;
}

/* Add up an eventfd until it was signalled so often, or time is up. */
static long long wait_for(int efd, long long sum, long long wanted)
{
	const int64_t end = now_ns() + PATIENCE * SECOND;
	eventfd_t value;

	while (sum < wanted && now_ns() < end) {
		sleep_ms(100);
		sum += eventfd_read(efd, &value) ? 0 : value;
	}
	return sum;
}

int main(void)
{
	const struct rlimit many = { 4096, 4096 };
	int efd = must(eventfd(0, EFD_NONBLOCK)), fd = dev_open();
	const long long all = FILES * VECTORS;
	eventfd_t told = 0;
	int64_t start;
	pid_t crowd;
	int ret;

	if (!dev_interrupts(fd, "doorbells"))
		return tap_done();
	must(setrlimit(RLIMIT_NOFILE, &many));
	file_write("/proc/sys/fs/epoll/max_user_watches", "200000");
	tap_eq(file_write(PARTITIONS, "crowded:0:1M:0:4"), 0, "a partition");
	if (!file_comes(PART, true))
		tap_bail("it has no node");
	must(chmod(PART, 0666));
	crowd = crowd_start(efd);
	start = now_ns();
	ret = file_write(PARTITIONS, "\n");
	eventfd_read(efd, &told);
	tap_note("the partition ends after %lld ms", (long long)((now_ns() - start) / 1000000));
	tap_eq(ret, 0, "the partition ends");
	tap_ok((long long)told < all / 2, "before most of its files are notified: %lld of %lld",
	       (long long)told, all);
	tap_eq(wait_for(efd, told, all), all, "then each is notified, once for each vector");
	tap_note("after %lld ms", (long long)((now_ns() - start) / 1000000));
	kill(crowd, SIGKILL);
	waitpid(crowd, NULL, 0);
	return tap_done();
}
