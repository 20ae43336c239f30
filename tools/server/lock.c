// SPDX-License-Identifier: GPL-2.0-only
/*
 * A file locked with flock(): the kernel frees the lock with its holder, so
 * what a crashed server left is told from what a living one uses.
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

/* Who holds the lock, as the kernel lists it; 0 if it does not say. */
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

static void refuse(int fd, const char *path, const char *purpose,
		   const char *advice)
{
	int pid = holder(fd);

	if (pid)
		warnx("cannot use %s %s: process %d has it; %s", purpose, path,
		      pid, advice);
	else
		warnx("cannot use %s %s: another process has it; %s", purpose,
		      path, advice);
}

/* Whether the path still leads to the file that was opened. */
static bool still_there(int fd, const char *path)
{
	struct stat opened, named;

	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 &&
	       opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

int lock_file(const char *path, const char *purpose, const char *advice)
{
	int fd;

	/* Its holder may remove the file between our open and our lock. */
	for (;;) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
			  O_NONBLOCK, 0600);
		if (fd < 0) {
			warn("cannot use %s %s", purpose, path);
			return -1;
		}
		if (flock(fd, LOCK_EX | LOCK_NB) < 0)
			break;
		if (still_there(fd, path))
			return fd;
		close(fd);
	}
	if (errno == EWOULDBLOCK)
		refuse(fd, path, purpose, advice);
	else
		warn("cannot lock %s %s", purpose, path);
	close(fd);
	return -1;
}
