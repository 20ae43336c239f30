/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The listening socket, which belongs to one living server at a time.
 */
#ifndef SOCKET_H
#define SOCKET_H

#include <sys/stat.h>

struct listener {
	const char *path;	/* NULL: the default, or that of what is inherited */
	int mode;		/* permission bits, or -1: what the umask leaves */
	int inherited;		/* a socket whose path is somebody else's, or -1 */
	int fd;
	struct stat bound;	/* what is at the path while it is ours */
	int lock;
	char *lock_path;
};

/* 0, or -1 having said what is wrong. */
int listener_open(struct listener *listener);
void listener_close(struct listener *listener);

#endif /* SOCKET_H */
