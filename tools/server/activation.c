// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two protocols of systemd: socket activation, see sd_listen_fds(3), and readiness
 * notification, see sd_notify(3). Both are stable and take a few lines, whereas
 * libsystemd would load compression and cryptography libraries into a process that
 * serves virtual machines.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "activation.h"

#define FIRST_FD	3	/* of the first socket, fixed by the protocol */

static bool has(int fd, int option, int wanted)
{
	socklen_t length = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 &&
	       value == wanted;
}

/* Are the variables for this process, and not for a parent? */
static bool is_meant(void)
{
	const char *pid = getenv("LISTEN_PID");

	return pid && getenv("LISTEN_FDS") && atoi(pid) == getpid();
}

int activation_socket(int *fd)
{
	*fd = -1;
	if (!is_meant())
		return 0;
	if (strcmp(getenv("LISTEN_FDS"), "1")) {
		warnx("the service manager passed %s sockets, not one: use a single ListenStream= in the socket unit",
		      getenv("LISTEN_FDS"));
		return -1;
	}
	if (!has(FIRST_FD, SO_DOMAIN, AF_UNIX) || !has(FIRST_FD, SO_TYPE, SOCK_STREAM) ||
	    !has(FIRST_FD, SO_ACCEPTCONN, 1)) {
		warnx("the service manager passed something other than a listening Unix stream socket: use ListenStream=/a/path and Accept=no in the socket unit");
		return -1;
	}
	fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC);
	fcntl(FIRST_FD, F_SETFL, fcntl(FIRST_FD, F_GETFL) | O_NONBLOCK);
	*fd = FIRST_FD;
	return 0;
}

void activation_ready(void)
{
	static const char message[] = "READY=1";
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *name = getenv("NOTIFY_SOCKET");
	socklen_t length = offsetof(struct sockaddr_un, sun_path);
	int fd;

	if (!name || !strchr("/@", *name) || strlen(name) >= sizeof(address.sun_path))
		return;
	strcpy(address.sun_path, name);
	length += strlen(name);
	/* An abstract name starts with a zero byte. */
	if (*name == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, message, strlen(message), MSG_NOSIGNAL,
			     (struct sockaddr *)&address, length) < 0)
		warn("cannot notify the service manager");
	if (fd >= 0)
		close(fd);
}
