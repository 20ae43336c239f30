// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "fake_server.h"

static int listener;

void fake_listen(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	strcpy(address.sun_path, scratch("socket"));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0)
		tap_bail("no socket: %m");
}

void put_part(int client, int64_t value, int from, int bytes, int fd, int copies)
{
	char control[CMSG_SPACE(FAKE_COPIES * sizeof(int))] = { 0 };
	uint64_t little = htole64((uint64_t)value);
	struct iovec data = { (char *)&little + from, bytes };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *cmsg = (struct cmsghdr *)control;

	if (copies) {
		header.msg_control = control;
		header.msg_controllen = CMSG_SPACE(copies * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(copies * sizeof(int));
	}
	while (copies--)
		memcpy(CMSG_DATA(cmsg) + copies * sizeof(int), &fd,
		       sizeof(int));
	sendmsg(client, &header, MSG_NOSIGNAL);
}

void put(int client, int64_t value, int fd)
{
	put_part(client, value, 0, 8, fd, fd >= 0);
	if (fd >= 0)
		close(fd);
}

int memory(off_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	if (ftruncate(fd, size) < 0)
		tap_bail("no memory: %m");
	return fd;
}

int doorbell(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int last_doorbell(void)
{
	int fd = doorbell();

	fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND);
	return fd;
}

void begin(int client)
{
	put(client, 0, NONE);
	put(client, 3, NONE);
	put(client, -1, memory(4096));
}

void linger(int client)
{
	struct pollfd gone = { .fd = client };

	poll(&gone, 1, 60000);
}

static void *serve(void *argument)
{
	int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	((fake_script)argument)(client);
	close(client);
	return NULL;
}

pthread_t fake_run(fake_script script)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, serve, script))
		tap_bail("cannot create a thread");
	return thread;
}
