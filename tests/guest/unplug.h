/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users of a device that live through its going away: two mappings being
 * touched, a poller, two sleepers in WAIT, a reader, one that rings. Each is a
 * process of its own and ends with 0 if it saw what it should: SIGBUS, POLLHUP
 * and POLLERR, ENODEV.
 */
#ifndef UNPLUG_H
#define UNPLUG_H

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "dev.h"

#define USERS 7

static sigjmp_buf user_escape;

static inline void user_on_sigbus(int signal)
{
	(void)signal;
	siglongjmp(user_escape, 1);
}

/* What each has before the device may go. */
struct user {
	int fd, efd;
	struct ivshmem_info info;
	volatile char *map;
};

static inline void user_prepare(struct user *u, const char *path)
{
	u->fd = dev_open_at(path, O_RDWR);
	u->info = dev_info(u->fd);
	u->map = dev_map(u->fd, u->info.size);
	u->efd = eventfd(0, EFD_NONBLOCK);
	if (u->info.vectors && dev_eventfd(u->fd, 0, u->efd))
		tap_bail("EVENTFD failed");
}

/* Touch a mapping until that ends in SIGBUS. */
static inline int user_toucher(struct user *u, bool write)
{
	signal(SIGBUS, user_on_sigbus);
	if (!sigsetjmp(user_escape, 1))
		for (size_t i = 0;; i = (i + 4096) % u->info.size) {
			if (write)
				u->map[i] = i;
			else
				(void)u->map[i];
		}
	/* The file behind it is dead as well, and the mapping can still go. */
	if (result(ioctl(u->fd, IVSHMEM_IOC_INFO, &u->info)) != -ENODEV)
		return 1;
	return munmap((void *)u->map, u->info.size) ? 2 : 0;
}

static inline int user_reader(struct user *u)
{
	char byte;
	int ret;

	while ((ret = result(pread(u->fd, &byte, 1, 0))) == 1)
		;
	if (ret != -ENODEV || result(pwrite(u->fd, &byte, 1, 0)) != -ENODEV)
		return 1;
	return mmap(NULL, 4096, PROT_READ, MAP_SHARED, u->fd, 0) != MAP_FAILED;
}

/* poll says HUP and ERR; an eventfd is signalled where there are vectors. */
static inline int user_poller(struct user *u)
{
	struct pollfd p = { .fd = u->fd };
	eventfd_t value;

	if (poll(&p, 1, 60000) != 1 || p.revents != (POLLHUP | POLLERR))
		return 1;
	return u->info.vectors && eventfd_read(u->efd, &value) ? 2 : 0;
}

/*
 * Without doorbells there is nothing to wait for, and it says so, unless the
 * device is gone already.
 */
static inline int user_waiter(struct user *u, bool set)
{
	int ret;

	do {
		struct ivshmem_wait w = { .timeout_ns = -1 };

		if (set) {
			w.flags = IVSHMEM_WAIT_SET;
			w.set[0] = 1;
		}
		ret = dev_wait(u->fd, &w);
	} while (!ret);
	return ret != -ENODEV && (u->info.vectors || ret != -EOPNOTSUPP);
}

/* Ring somebody who is not there, as the others sleep, and ask for the own id. */
static inline int user_ringer(struct user *u)
{
	const bool doorbell = u->info.flags & IVSHMEM_INFO_DOORBELL;
	int ret;

	do {
		ret = dev_ring(u->fd, IVSHMEM_MAX_PEER, 0);
		if (!ret)
			ret = result(ioctl(u->fd, IVSHMEM_IOC_INFO, &u->info));
	} while (!ret);
	return ret != -ENODEV && (doorbell || ret != -EOPNOTSUPP);
}

static inline int user_run(int which, struct user *u)
{
	switch (which) {
	case 0:
		return user_toucher(u, true);
	case 1:
		return user_toucher(u, false);
	case 2:
		return user_reader(u);
	case 3:
		return user_poller(u);
	case 4:
		return user_ringer(u);
	default:
		return user_waiter(u, which == 6);
	}
}

/* Start them all on one device, each with an open file of its own. */
static inline void users_start(const char *path, pid_t users[USERS])
{
	int ready[2];
	char byte;

	if (pipe(ready))
		tap_bail("pipe: %s", strerror(errno));
	for (int i = 0; i < USERS; i++) {
		users[i] = fork();
		if (!users[i]) {
			struct user u;

			user_prepare(&u, path);
			if (write(ready[1], "", 1) != 1)
				_exit(100);
			_exit(user_run(i, &u));
		}
	}
	for (int i = 0; i < USERS; i++)
		if (read(ready[0], &byte, 1) != 1)
			tap_bail("a user did not start");
	close(ready[0]);
	close(ready[1]);
	/* Not all of them are where they are going yet: that differs each time. */
	sleep_ms(rand() % 10);
}

/* Wait for all; gives how many did not see what they should. */
static inline int users_end(pid_t users[USERS])
{
	int failed = 0, status;

	for (int i = 0; i < USERS; i++) {
		waitpid(users[i], &status, 0);
		if (status) {
			tap_note("user %d ended with status 0x%x", i, status);
			failed++;
		}
	}
	return failed;
}

#endif
