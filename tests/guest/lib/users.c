// SPDX-License-Identifier: GPL-2.0-only
/* A crowd of users of one device, from start to end: see users.h. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../users.h"

/* This does not change the word of user_word_waiter(), which is not at a page's start. */
bool user_touch(volatile char *map, size_t length, bool write)
{
	for (size_t i = 0; i < length; i += PAGE)
		if (touch(map + i, write))
			return false;
	return true;
}

bool user_gone(int fd)
{
	struct ivshmem_info info;

	return result(ioctl(fd, IVSHMEM_IOC_INFO, &info)) == -ENODEV;
}

static void user_main(struct user *u, int kind)
{
	guard();
	u->seat->pid = getpid();
	u->fd = dev_open_at(u->path, O_RDWR);
	u->info = dev_info(u->fd);
	u->size = dev_size(u->fd);
	/* Without a doorbell a user rings id 0, and must be refused. */
	if (!(u->info.features & IVSHMEM_FEATURE_DOORBELL))
		u->info.id = 0;
	u->map = dev_map(u->fd, u->size);
	_exit(user_kinds[kind].run(u));
}

void users_start(struct users *users, const char *path)
{
	pid_t started[USERS];
	int ready[2], go[2];
	char byte;

	users->killed = false;
	users->seats = mmap(NULL, sizeof(struct seat[USERS]), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* Orphans become children of this process. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (pipe(ready) || pipe(go) || users->seats == MAP_FAILED)
		tap_bail("%s", strerror(errno));
	for (int i = 0; i < USERS; i++) {
		struct user u = { .path = path, .ready = ready[1], .go = go[0],
				  .seat = &users->seats[i] };

		started[i] = fork();
		if (!started[i]) {
			close(go[1]);
			user_main(&u, i);
		}
	}
	close(ready[1]);
	close(go[0]);
	for (int i = 0; i < USERS; i++)
		if (read(ready[0], &byte, 1) != 1)
			tap_bail("only %d of %d users start", i, USERS);
	close(ready[0]);
	close(go[1]);
	/* The process that forked an orphan has exited. */
	for (int i = 0; i < USERS; i++)
		if (users->seats[i].pid != started[i])
			waitpid(started[i], NULL, 0);
	/* Vary how far the users get before the test goes on. */
	sleep_ms(rand() % 10);
}

void users_mark(struct users *users)
{
	for (int i = 0; i < USERS; i++)
		users->seats[i].mark = users->seats[i].turns;
}

int users_go_on(struct users *users)
{
	int stuck = 0;

	for (int i = 0; i < USERS; i++) {
		const struct seat *s = &users->seats[i];
		int64_t end = now_ns() + USER_SECONDS * SECOND;

		while (s->turns == s->mark && now_ns() < end)
			sleep_ms(1);
		if (s->turns == s->mark) {
			tap_note("the %s makes no progress after turn %u", user_kinds[i].name,
				 s->mark);
			stuck++;
		}
	}
	return stuck;
}

int users_end(struct users *users)
{
	int64_t end = now_ns() + USER_SECONDS * SECOND;
	int failed = 0;

	for (int i = 0; i < USERS; i++) {
		pid_t pid = users->seats[i].pid;
		int status = -1;

		while (!waitpid(pid, &status, WNOHANG) && now_ns() < end)
			sleep_ms(1);
		if (status != (users->killed ? SIGKILL : 0)) {
			tap_note("the %s %s, status 0x%x", user_kinds[i].name,
				 status < 0 ? "does not end" : "ended", status);
			kill(pid, SIGKILL);
			failed++;
		}
	}
	/* Children of killed users are children of this process now. */
	while (users->killed && waitpid(-1, NULL, 0) > 0)
		;
	munmap(users->seats, sizeof(struct seat[USERS]));
	return failed;
}

void users_kill(struct users *users)
{
	users->killed = true;
	for (int i = 0; i < USERS; i++)
		kill(users->seats[i].pid, SIGKILL);
}
