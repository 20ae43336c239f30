// SPDX-License-Identifier: GPL-2.0-only
/*
 * The server runs out of file descriptors: it refuses newcomers, connected peers notice
 * nothing, and it does not spin. If the kernel allows no more descriptors in flight to
 * peers, the server waits until some are received.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"

#define LIMIT		64
#define CROWD		100

/* Is the process asleep each of many times? One that spins is not. */
static bool sleeps(pid_t pid)
{
	char path[64], text[256];
	int asleep = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	return eventually(({
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t got = read(fd, text, sizeof(text) - 1);

		close(fd);
		text[got > 0 ? got : 0] = '\0';
		asleep = strstr(text, ") S ") ? asleep + 1 : 0;
		asleep == 10;
	}));
}

/* Join; NONE if the server disconnects at once. */
static int try_to_join(void)
{
	int socket = join(scratch("socket"));
	char byte;

	/* Wait for the first message, or the disconnect. */
	if (recv(socket, &byte, 1, MSG_PEEK) == 1)
		return socket;
	close(socket);
	return NONE;
}

/* Fill the server; gives how many of a crowd it accepts. */
static int fill(int peers[], int vectors)
{
	int count, n;

	for (count = 0; count < CROWD; count++) {
		peers[count] = try_to_join();
		if (peers[count] == NONE)
			break;
		introduction(peers[count], vectors);
	}
	for (n = 0; n < 20; n++)
		if (try_to_join() != NONE)
			tap_bail("the server accepts a newcomer after it refused one");
	return count;
}

static void test_full(const char *option, int vectors)
{
	int peers[CROWD], count, n, again;
	pid_t server;

	tap_note("%d descriptors, %d vectors", LIMIT, vectors);
	server_nofile = LIMIT;
	server = start_server("--memfd", "-n", option, NULL);
	count = fill(peers, vectors);
	tap_ok(count > 1 && count <= LIMIT / (vectors + 1),
	       "%d peers are accepted, more are refused", count);
	tap_ok(strstr(server_said(), "event=refuse"), "the server logs the refusals");
	tap_ok(open_descriptors(server) <= LIMIT &&
	       open_descriptors(server) > LIMIT - vectors - 2,
	       "the server had no descriptors left for one more peer");
	tap_ok(sleeps(server), "the full server does not spin");
	close(peers[count - 1]);
	tap_ok(eventually(strstr(server_said(), "event=leave")),
	       "one peer disconnects");
	again = join(scratch("socket"));
	tap_eq(introduction(again, vectors), count, "then one newcomer is accepted");
	tap_eq(try_to_join(), NONE, "a second newcomer is refused");
	for (n = 0; n < count - 1; n++)
		close(peers[n]);
	close(again);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
	server_nofile = 0;
}

/* Read an introduction up to the first descriptor; gives this peer's id. */
static int start_introduction(int socket)
{
	next_message(socket);
	return next_message(socket).value;
}

/*
 * Send descriptors to a socket that nobody reads, so that they count as in flight for the
 * server's user.
 */
static void use_up(int pair[2])
{
	int fds[LIMIT + 1], status, n;
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = { 0 };
	struct iovec data = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	pid_t pid;

	for (n = 0; n < LIMIT + 1; n++)
		fds[n] = STDERR_FILENO;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		tap_bail("no sockets: %m");
	pid = fork();
	if (!pid) {
		leave_root();
		_exit(sendmsg(pair[0], &message, 0) != 1);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		tap_bail("cannot send descriptors");
}

static void test_on_their_way(void)
{
	pid_t server;
	int pair[2], peer;

	tap_note("too many descriptors in flight");
	server_nofile = LIMIT;
	server = start_server("--memfd", NULL);
	use_up(pair);
	peer = join(scratch("socket"));
	tap_eq(start_introduction(peer), 0, "a peer joins");
	tap_ok(eventually(strstr(server_said(), "event=pause")),
	       "the kernel accepts no more descriptors in flight, and the server pauses");
	tap_ok(sleeps(server), "the paused server does not spin");
	close(pair[0]);
	close(pair[1]);
	close(expect_message(peer, -1, SOME));
	close(expect_message(peer, 0, SOME));
	close(peer);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

/* Many peers that stop reading delay no other peer. */
static void test_silent(int limit, const char *option, int vectors, int count)
{
	int peers[CROWD], n, in_order = 0;
	pid_t server;

	tap_note("%d peers of %s vectors do not read", count, option);
	server_nofile = limit;
	server = start_server("--memfd", "-n", option, NULL);
	for (n = 0; n < count; n++) {
		peers[n] = join(scratch("socket"));
		in_order += start_introduction(peers[n]) == n;
	}
	tap_eq(in_order, count, "all of them have joined");
	n = join(scratch("socket"));
	tap_eq(introduction(n, vectors), count, "a newcomer gets its whole introduction");
	close(n);
	tap_ok(!strstr(server_said(), "event=pause"), "the server did not pause");
	for (n = 0; n < count; n++)
		close(peers[n]);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

int main(void)
{
	server_limited = true;
	test_full("1", 1);
	test_full("4", 4);
	test_full("17", 17);
	test_on_their_way();
	test_silent(700, "64", 64, 8);
	test_silent(LIMIT, "1", 1, 24);
	return tap_done();
}
