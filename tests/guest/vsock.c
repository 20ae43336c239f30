// SPDX-License-Identifier: GPL-2.0-only
/*
 * vsock between two guests, both ways at once: streams and messages of all sizes, many connections,
 * one that nobody reads from, and those that fail.
 */
/* rig: guests=2 devices=doorbell vectors=4 size=16M over=pci,polled timeout=180
 * rig: modules=vmw_vsock_virtio_transport_common
 */
#include <poll.h>
#include <sched.h>
#include <sys/wait.h>

#include "vsock.h"

#define NOBODY	4711	/* a port without a listener */
#define MANY	100
#define LARGEST	(3 << 20)

static char sent[LARGEST], came[LARGEST];
static unsigned int cid;	/* of the other guest */

static int to_echo(int type)
{
	int fd = vsock_connect(type, cid, type == SOCK_STREAM ? VSOCK_ECHO : VSOCK_MESSAGES);

	tap_ok(fd >= 0, "connect (%d)", fd);
	return fd;
}

/* Send from a process of its own, and compare what comes back. */
static bool returns(int fd, size_t size)
{
	pid_t child;
	int status, ret;

	fflush(stdout);
	child = fork();
	if (!child)
		_exit(vsock_send(fd, sent, size) != 0);
	memset(came, 0, size);
	ret = vsock_receive(fd, came, size);
	waitpid(child, &status, 0);
	if (ret || status)
		tap_note("%zu bytes: send %d, receive %d", size, status, ret);
	return !ret && !status && !memcmp(sent, came, size);
}

static void streams(void)
{
	static const size_t sizes[] = { 1, 43, 4096, 65536, 65537, 300000, LARGEST };
	int fd = to_echo(SOCK_STREAM);
	char none;

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		tap_ok(returns(fd, sizes[i]), "a stream of %zu bytes returns", sizes[i]);
	tap_eq(result(shutdown(fd, SHUT_WR)), 0, "say that no more comes");
	tap_eq(result(recv(fd, &none, 1, 0)), 0, "then it ends");
	close(fd);
}

/* What comes is one message, and that which was sent. */
static bool message_returns(int fd, size_t size)
{
	ssize_t n;

	if (send(fd, sent, size, MSG_NOSIGNAL) != (ssize_t)size)
		return false;
	n = recv(fd, came, sizeof(came), 0);
	if (n != (ssize_t)size)
		tap_note("a message of %zu bytes comes with %zd", size, n);
	return n == (ssize_t)size && !memcmp(sent, came, size);
}

static void messages(void)
{
	static const size_t sizes[] = { 1, 1000, 65536, 65537, 200000 };
	int fd;

	if (!vsock_has_messages()) {
		tap_skip("messages", "this kernel has none over vsock");
		return;
	}
	fd = to_echo(SOCK_SEQPACKET);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		tap_ok(message_returns(fd, sizes[i]), "a message of %zu bytes returns", sizes[i]);
	close(fd);
}

static void many(void)
{
	int fds[MANY], ret = 0;

	for (int i = 0; i < MANY; i++) {
		fds[i] = vsock_connect(SOCK_STREAM, cid, VSOCK_ECHO);
		ret = fds[i] < 0 ? fds[i] : ret ?: vsock_send(fds[i], &i, sizeof(i));
	}
	for (int i = 0, n; i < MANY && !ret; i++) {
		ret = vsock_receive(fds[i], &n, sizeof(n));
		ret = ret ?: n == i ? 0 : -EBADMSG;
	}
	tap_eq(ret, 0, "%d connections at once", MANY);
	for (int i = 0; i < MANY; i++)
		close(fds[i]);
}

/* Nobody reads: the program has to wait, and so nothing is lost. */
static void backpressure(void)
{
	struct pollfd poll_out = { .fd = to_echo(SOCK_STREAM), .events = POLLOUT };
	size_t total = 0;
	ssize_t n = 0;

	while (total < sizeof(sent) && (n >= 0 || poll(&poll_out, 1, 500) > 0)) {
		n = send(poll_out.fd, sent + total, sizeof(sent) - total,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		total += n > 0 ? n : 0;
	}
	tap_ok(n < 0 && errno == EAGAIN && total < sizeof(sent),
	       "who sends has to wait after %zu bytes", total);
	tap_eq(vsock_receive(poll_out.fd, came, total), 0, "read them");
	tap_ok(!memcmp(sent, came, total), "they are those that were sent");
	tap_eq(poll(&poll_out, 1, 10000), 1, "then it goes on");
	close(poll_out.fd);
}

/* close() waits until the other has got all. */
static void linger(void)
{
	struct linger seconds = { .l_onoff = 1, .l_linger = 10 };
	int fd = to_echo(SOCK_STREAM);

	tap_eq(result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &seconds, sizeof(seconds))), 0,
	       "have it linger");
	tap_eq(vsock_send(fd, sent, 1000), 0, "send");
	tap_eq(result(close(fd)), 0, "close");
}

static void addresses(void)
{
	struct sockaddr_vm address = { 0 };
	socklen_t size = sizeof(address);
	int fd = to_echo(SOCK_STREAM);
	unsigned int seen;

	getpeername(fd, (void *)&address, &size);
	tap_eq(address.svm_cid, cid, "its name is the CID of the peer");
	close(fd);
	fd = vsock_connect(SOCK_STREAM, cid, VSOCK_NAMES);
	tap_eq(vsock_receive(fd, &seen, sizeof(seen)), 0, "it tells whom it sees");
	tap_eq(seen, vsock_own(), "that is the own slot");
	close(fd);
}

static void failures(void)
{
	tap_eq(vsock_connect(SOCK_STREAM, cid, NOBODY), -ECONNRESET, "nobody listens");
	tap_eq(vsock_connect(SOCK_STREAM, vsock_own(), VSOCK_ECHO), -ENODEV,
	       "a machine is no peer of itself");
	tap_eq(vsock_connect(SOCK_STREAM, cid | 3, VSOCK_ECHO), -ENODEV, "nobody is in a slot");
	tap_eq(vsock_connect(SOCK_STREAM, 4000000, VSOCK_ECHO), -ENODEV, "nobody has a CID");
}

/* Peers are in no network namespace, so one that is for itself does not see them. */
static void namespaces(void)
{
	static const char mode[] = "/proc/sys/net/vsock/child_ns_mode";
	int status = 0;
	pid_t child;

	if (access(mode, F_OK)) {
		tap_skip("namespaces", "this kernel's vsock knows none");
		return;
	}
	tap_eq(file_write(mode, "local"), 0, "have a new namespace be for itself");
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(unshare(CLONE_NEWNET) ? errno :
		      -vsock_connect(SOCK_STREAM, cid, VSOCK_ECHO));
	waitpid(child, &status, 0);
	tap_eq(WEXITSTATUS(status), ENETUNREACH, "there is no way to a peer from there");
	tap_ok(vsock_reaches(1 - rig_guest()), "but from here");
}

int main(void)
{
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = i * 7 + i / 4099 + rig_guest();
	vsock_make();
	vsock_load();
	vsock_serve();
	rig_ask("barrier loaded");
	cid = vsock_cid(1 - rig_guest());
	tap_ok(vsock_reaches(1 - rig_guest()), "a peer answers");
	streams();
	messages();
	many();
	backpressure();
	linger();
	addresses();
	failures();
	namespaces();
	tap_eq(vsock_number(1 - rig_guest(), VSOCK_BROKEN), 0, "no rules were broken");
	rig_ask("barrier end");
	vsock_end();
	vsock_unload();
	return tap_done();
}
