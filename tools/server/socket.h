/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The listening socket, owned by one running server at a time.
 */
#ifndef SOCKET_H
#define SOCKET_H

#include <sys/stat.h>

struct listener {
	const char *path;	/* NULL: the default, or that of the inherited socket */
	int mode;		/* permission bits, or -1: by the umask */
	int inherited;		/* socket passed by the service manager, or -1 */
	int fd;
	struct stat bound;	/* identifies our socket at the path */
	int lock;
	char *lock_path;
};

/* Returns 0, or -1 after a message. */
int listener_open(struct listener *listener);
void listener_close(struct listener *listener);

#endif /* SOCKET_H */
