// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files locked by flock(): the kernel releases the lock when its holder dies, which
 * distinguishes the files of a running server from those of a crashed one.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lock.h"

/* The process that holds the lock, or 0 if unknown. */
static int holder(int fd)
{
	unsigned int major_number, minor_number;
	unsigned long inode;
	char line[256];
	struct stat st;
	int pid = 0;
	FILE *locks = fopen("/proc/locks", "re");

	if (!locks)
		return 0;
	while (fstat(fd, &st) == 0 && fgets(line, sizeof(line), locks)) {
		if (sscanf(line, "%*s FLOCK %*s %*s %d %x:%x:%lu", &pid,
			   &major_number, &minor_number, &inode) == 4 &&
		    inode == st.st_ino &&
		    makedev(major_number, minor_number) == st.st_dev)
			break;
		pid = 0;
	}
	fclose(locks);
	return pid > 0 ? pid : 0;
}

/*
 * No O_CREAT for an existing file: in a sticky directory not even root may open another
 * user's file with it (fs.protected_regular), and could not report the owner.
 */
static int open_or_create(const char *path)
{
	int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd;

	do {
		fd = open(path, flags);
		if (fd < 0 && errno == ENOENT)
			fd = open(path, flags | O_CREAT | O_EXCL, 0600);
	} while (fd < 0 && errno == EEXIST);
	return fd;
}

/* Lock the file. Returns NULL or the reason for failure. */
static const char *lock_opened(int fd)
{
	static char text[64];
	struct stat st;
	int pid;

	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0) {
		if (!S_ISREG(st.st_mode))
			return "not a regular file";
		return st.st_uid == geteuid() ? NULL :
		       "owned by another user";
	}
	if (errno != EWOULDBLOCK)
		return strerror(errno);
	pid = holder(fd);
	if (!pid)
		return "locked by another process";
	snprintf(text, sizeof(text), "locked by process %d", pid);
	return text;
}

static bool leads_to(const char *path, const struct stat *file)
{
	struct stat named;

	return lstat(path, &named) == 0 && named.st_ino == file->st_ino &&
	       named.st_dev == file->st_dev;
}

int lock_file(const char *path, const char *purpose, const char *advice)
{
	const char *why;
	struct stat st;
	int fd;

	/* The holder may remove the file between our open and lock. */
	for (;;) {
		fd = open_or_create(path);
		why = fd < 0 ? strerror(errno) : lock_opened(fd);
		if (why)
			break;
		if (fstat(fd, &st) == 0 && leads_to(path, &st))
			return fd;
		close(fd);
	}
	warnx("cannot use %s %s: %s; %s", purpose, path, why, advice);
	if (fd >= 0)
		close(fd);
	return -1;
}

void lock_remove(const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		remove_own(path, &st);
	close(fd);
}

void remove_own(const char *path, const struct stat *file)
{
	if (leads_to(path, file))
		unlink(path);
}
