/* SPDX-License-Identifier: GPL-2.0-only */
/* Connections between the guests over a network. */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <linux/vm_sockets.h>

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

/* Connect both sides by @n sockets: one listens, the other connects. */
static inline void net_connect(int domain, bool listens, const void *address, socklen_t size,
			       int *fds, int n)
{
	int listener = -1, one = 1;

	if (listens) {
		listener = must(socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
		must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
		must(bind(listener, address, size));
		must(listen(listener, n));
	}
	rig_ask("barrier listening");
	for (int i = 0; i < n; i++) {
		if (listens) {
			fds[i] = must(accept(listener, NULL, NULL));
		} else {
			fds[i] = must(socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
			must(connect(fds[i], address, size));
		}
	}
	if (listens)
		close(listener);
}

/* Connect the two guests by @n TCP connections; the one that does not listen connects to @host. */
static inline void net_tcp_many(bool listens, const char *host, int *fds, int n)
{
	struct sockaddr_in in = net_address(listens ? NULL : host);
	int one = 1;

	net_connect(AF_INET, listens, &in, sizeof(in), fds, n);
	for (int i = 0; i < n; i++)
		must(setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)));
}

static inline int net_tcp(bool listens, const char *host)
{
	int fd;

	net_tcp_many(listens, host, &fd, 1);
	return fd;
}

/* Connect the two guests by vsock; the one that does not listen connects to @cid. */
static inline int net_vsock(bool listens, const char *cid)
{
	struct sockaddr_vm vm = {
		.svm_family = AF_VSOCK, .svm_port = NET_PORT,
		.svm_cid = listens ? VMADDR_CID_ANY : (unsigned int)strtoul(cid, NULL, 0),
	};
	int fd;

	net_connect(AF_VSOCK, listens, &vm, sizeof(vm), &fd, 1);
	return fd;
}

/* Connect two programs of one machine by a socket in a new directory entry. */
static inline int net_unix(bool listens, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(un.sun_path))
		tap_bail("the path of the socket is too long: %s", path);
	strcpy(un.sun_path, path);
	if (listens)
		unlink(path);
	net_connect(AF_UNIX, listens, &un, sizeof(un), &fd, 1);
	return fd;
}

/* Connect two programs of one machine by a pipe for each direction. */
static inline void net_pipes(bool makes, const char *path, int *in, int *out)
{
	int fds[2];

	for (int i = 0; i < 2; i++) {
		char name[256];

		snprintf(name, sizeof(name), "%s%d", path, i);
		if (makes) {
			unlink(name);
			must(mkfifo(name, 0600));
		}
		rig_ask("barrier pipe");
		/* Waits until the other one opens it. */
		fds[i] = must(open(name, (makes == !i ? O_WRONLY : O_RDONLY) | O_CLOEXEC));
	}
	*out = fds[!makes];
	*in = fds[makes];
}

#endif
