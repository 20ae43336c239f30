// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the service manager passes, by the protocol of sd_listen_fds(3): the listening
 * sockets, and what an earlier server has stored there. The protocol is stable and takes
 * a few lines, whereas libsystemd would load compression and cryptography libraries into
 * a process that serves virtual machines.
 */
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../control_path.h"
#include "activation.h"

#define FIRST_FD	3	/* fixed by the protocol */

static bool has(int fd, int option, int wanted)
{
	socklen_t length = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 &&
	       value == wanted;
}

/* How many descriptors are for this process, not for a parent; -1 after a message. */
static int count_passed(void)
{
	const char *pid = getenv("LISTEN_PID"), *text = getenv("LISTEN_FDS");
	long count;
	char *end;

	if (!pid || !text || atoi(pid) != getpid())
		return 0;
	count = strtol(text, &end, 10);
	if (end > text && !*end && count >= 0 && count <= INT_MAX - FIRST_FD)
		return count;
	warnx("LISTEN_FDS must be a number of descriptors, not \"%s\": unset it, or correct what starts the server",
	      text);
	return -1;
}

static int check_socket(int fd)
{
	if (!has(fd, SO_DOMAIN, AF_UNIX) || !has(fd, SO_TYPE, SOCK_STREAM) ||
	    !has(fd, SO_ACCEPTCONN, 1)) {
		warnx("the service manager passed something other than a listening Unix stream socket: use ListenStream=/a/path and Accept=no in the socket unit");
		return -1;
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	return 0;
}

/* A control socket is known by its path. In an abstract name the first byte is zero. */
static bool is_control(int fd)
{
	struct sockaddr_un address = { 0 };
	socklen_t length = sizeof(address) - 1;

	return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
	       address.sun_family == AF_UNIX && is_control_path(address.sun_path + !address.sun_path[0]);
}

/* The place of a descriptor by its name. The name of a socket can be anything. */
static int *place(struct passed *passed, int fd, const char *name, size_t length)
{
	if (length == strlen(STORED_MEMORY) && !strncmp(name, STORED_MEMORY, length))
		return &passed->memory;
	if (length == strlen(STORED_IDS) && !strncmp(name, STORED_IDS, length))
		return &passed->ids;
	return is_control(fd) ? &passed->control : &passed->socket;
}

static int refuse_another(const struct passed *passed, const int *where)
{
	const char *what = "memory: stop the service, then start it";

	if (where == &passed->socket)
		what = "socket: use a single ListenStream= in the socket unit, and one for the control socket, which ends in " CONTROL_SUFFIX;
	else if (where == &passed->control)
		what = "control socket: use a single ListenStream= that ends in " CONTROL_SUFFIX;
	warnx("the service manager passed more than one %s", what);
	return -1;
}

int activation_take(struct passed *passed)
{
	const char *names = getenv("LISTEN_FDNAMES") ?: "";
	int count = count_passed();
	int fd, *where;

	*passed = (struct passed){ -1, -1, -1, -1 };
	if (count < 0)
		return -1;
	for (fd = FIRST_FD; fd < FIRST_FD + count; fd++) {
		where = place(passed, fd, names, strcspn(names, ":"));
		names += strcspn(names, ":");
		names += *names == ':';
		if (*where >= 0)
			return refuse_another(passed, where);
		if ((where == &passed->socket || where == &passed->control) &&
		    check_socket(fd) < 0)
			return -1;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		*where = fd;
	}
	if (passed->control < 0 || passed->socket >= 0)
		return 0;
	warnx("the service manager passed only a control socket: add a ListenStream= for the peers to the socket unit");
	return -1;
}
