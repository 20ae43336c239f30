// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the service manager, by the protocol of sd_notify(3).
 */
#include <err.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify.h"

/* Get the manager's address. Returns its length, or 0 if there is no manager. */
static socklen_t manager(struct sockaddr_un *address)
{
	const char *name = getenv("NOTIFY_SOCKET");

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!name || !*name || !strchr("/@", *name) ||
	    strlen(name) >= sizeof(address->sun_path))
		return 0;
	strcpy(address->sun_path, name);
	/* An abstract name starts with a zero byte. */
	if (*name == '@')
		address->sun_path[0] = '\0';
	return offsetof(struct sockaddr_un, sun_path) + strlen(name);
}

bool notify_wanted(void)
{
	struct sockaddr_un address;

	return manager(&address) > 0;
}

/* Send a message, with a descriptor unless it is -1. Returns 0 or an errno. */
static int send_to_manager(const char *text, int fd, int flags)
{
	struct sockaddr_un address;
	struct iovec data = { (void *)text, strlen(text) };
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = {
		.msg_name = &address,
		.msg_namelen = manager(&address),
		.msg_iov = &data,
		.msg_iovlen = 1,
	};
	int error = 0, out;

	if (fd >= 0) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (out < 0 || sendmsg(out, &message, MSG_NOSIGNAL | flags) < 0)
		error = errno;
	if (out >= 0)
		close(out);
	return error;
}

/* A manager that cannot be reached is reported once and is no reason to stop. */
static int notify(const char *text, int fd, int flags)
{
	static bool broken;
	int error;

	if (broken || !notify_wanted())
		return 0;
	error = send_to_manager(text, fd, flags);
	if (!error || (flags & MSG_DONTWAIT && error == EAGAIN))
		return error;
	broken = true;
	errno = error;
	warn("cannot notify the service manager");
	return 0;
}

void notify_store(const char *name, int fd)
{
	char text[64];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	notify(text, fd, 0);
}

void notify_discard(const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	notify(text, -1, 0);
}

void notify_ready(void)
{
	notify("READY=1", -1, 0);
}

bool notify_status(const char *status)
{
	char text[160];

	snprintf(text, sizeof(text), "STATUS=%s", status);
	return notify(text, -1, MSG_DONTWAIT) == 0;
}
