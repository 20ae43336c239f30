/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A crowd of users of one device: a process for each entry of user_kinds, which does
 * one thing all the time. When the device is unregistered each must see it in its own
 * way (SIGBUS, ENODEV, POLLHUP and POLLERR, an eventfd or SIGIO), and then exits with 0.
 * As long as the device goes on, even after a reset, so must they.
 */
#ifndef USERS_H
#define USERS_H

#include "dev.h"
#include "guarded.h"

/* A user that takes longer than this hangs. */
#define USER_SECONDS 120
/* Users count vectors 0 to 2 only. They ring vector 3 themselves, all the time. */
#define USER_VECTORS 3
#define NOISY_VECTOR 3

/* What the test sees of a user, in memory that both share. */
struct seat {
	pid_t pid;
	volatile unsigned int turns;	/* grows with everything the user gets done */
	unsigned int mark;
};

struct user {
	const char *path;
	int fd, ready, go;
	struct ivshmem_info info;
	size_t size;
	volatile char *map;
	struct seat *seat;
};

/* run() gives 0 if the user saw the end of the device as it should. */
struct user_kind {
	const char *name;
	int (*run)(struct user *u);
};

#define USERS 30

extern const struct user_kind user_kinds[USERS];

/* A crowd on one device. */
struct users {
	struct seat *seats;
	bool killed;
};

/* Start one user of each kind on a device, each with an open file of its own. */
void users_start(struct users *users, const char *path);

/* Start to count for users_go_on(). */
void users_mark(struct users *users);

/*
 * Has each user got on, or been woken, since the mark? Gives the number of those that
 * have not, and notes their kinds. Right after a mark an event must wake the waiters.
 */
int users_go_on(struct users *users);

/* Wait for all users; gives the number of those that failed, and notes their kinds. */
int users_end(struct users *users);

/* Kill all users at once; users_end() must follow. */
void users_kill(struct users *users);

/* Touch the first byte of each page; false if that raised SIGBUS. Call guard() first. */
bool user_touch(volatile char *map, size_t length, bool write);

/* Does the file say that its device is unregistered? */
bool user_gone(int fd);

#endif
