/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The listening sockets, owned by one running server at a time: that of the peers, and
 * the control socket beside it.
 */
#ifndef SOCKET_H
#define SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/un.h>

struct listener {
	const char *path;	/* NULL: the default, or that of the inherited socket */
	int mode;		/* permission bits, or -1: by the umask */
	int inherited;		/* socket passed by the service manager, or -1 */
	int fd;			/* or -1: there is no control socket */
	struct stat bound;	/* identifies our socket at the path */
	int lock;
	char *lock_path;
	bool serves;		/* all has been started */
	char own_path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1];
};

/* Can a server listen there? Returns 0, or -1 after a message. */
int socket_path(const char *path);

/* Returns 0, or -1 after a message. */
int listener_open(struct listener *listener);

/*
 * Open the control socket of an open listener, whose lock and mode are those of both. A
 * service manager that passes the one socket need not pass the other; then, and if the
 * path would be too long, there is none, and fd is -1.
 */
int listener_open_control(struct listener *control, const struct listener *listener);
void listener_close(struct listener *listener);

#endif /* SOCKET_H */
