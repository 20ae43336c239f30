/* SPDX-License-Identifier: GPL-2.0-only */
/* Connections between the guests over a network. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "bench.h"

#define NET_PORT 5000

/* The address of @host, or any address of this machine if it is NULL. */
static inline struct sockaddr_in net_address(const char *host)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET, .sin_port = htons(NET_PORT)
	};

	if (host && !inet_aton(host, &in.sin_addr))
		tap_bail("%s is not an IPv4 address", host);
	return in;
}

/* Connect both sides: one listens with the socket, the other connects with its own. */
static inline int net_connect(int fd, bool listens, const void *address, socklen_t size)
{
	int listener = fd;

	if (listens) {
		must(bind(fd, address, size));
		must(listen(fd, 1));
	}
	rig_ask("barrier listening");
	if (listens) {
		fd = must(accept(listener, NULL, NULL));
		close(listener);
	} else {
		must(connect(fd, address, size));
	}
	return fd;
}

/* Connect the two guests by TCP; the one that does not listen connects to @host. */
static inline int net_tcp(bool listens, const char *host)
{
	struct sockaddr_in in = net_address(listens ? NULL : host);
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int one = 1;

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	fd = net_connect(fd, listens, &in, sizeof(in));
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	return fd;
}

/* Connect two programs of one machine by a socket in a new directory entry. */
static inline int net_unix(bool listens, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(un.sun_path))
		tap_bail("the path of the socket is too long: %s", path);
	strcpy(un.sun_path, path);
	if (listens)
		unlink(path);
	return net_connect(must(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), listens, &un,
			   sizeof(un));
}

#endif
