/* SPDX-License-Identifier: GPL-2.0-only */
/* Connections between the guests over a network. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

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

/* Connect the two guests by TCP: one listens, the other connects to it at @host. */
static inline int net_tcp(bool listens, const char *host)
{
	struct sockaddr_in in = net_address(listens ? NULL : host);
	int fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int one = 1, listener = fd;

	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	if (listens) {
		must(bind(fd, (struct sockaddr *)&in, sizeof(in)));
		must(listen(fd, 1));
	}
	rig_ask("barrier listening");
	if (listens) {
		fd = must(accept(listener, NULL, NULL));
		close(listener);
	} else {
		must(connect(fd, (struct sockaddr *)&in, sizeof(in)));
	}
	must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
	return fd;
}

#endif
