// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many join at once: each is introduced before the next one, and those that do not read
 * delay nobody (tools/server/turns.c). The server runs from system call to system call
 * here. So the test sees what has been sent at the moment in question. Then: a peer whose
 * socket is full gets what comes later, also if what it waited for has become needless
 * (tools/server/send.c).
 */
#include <endian.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"

#define OLD	4	/* peers before all others */
#define QUEUE	300	/* peers that join at once */
#define READER	150	/* the one of these that reads */
#define HANG	300	/* seconds until a server that stands still fails the test */
#define FEW	4096	/* descriptors, with which a socket is full after a few messages */
#define MOST	64	/* peers until it must be full */

/* A client that takes what there is and keeps no descriptors. */
struct client {
	int socket;
	int received;		/* messages */
	int own;		/* messages with its own id, without the greeting */
	int64_t id;
	int64_t latest;		/* the last value */
};

static void listen_to(struct client *client)
{
	uint64_t little;

	while (recv(client->socket, &little, sizeof(little), MSG_DONTWAIT) ==
	       sizeof(little)) {
		client->latest = (int64_t)le64toh(little);
		if (++client->received == 2)
			client->id = client->latest;
		if (client->received > 3 && client->latest == client->id)
			client->own++;
	}
}

static int unread(int socket)
{
	int bytes = 0;

	ioctl(socket, FIONREAD, &bytes);
	return bytes / 8;
}

static void halt(pid_t server)
{
	if (ptrace(PTRACE_SEIZE, server, 0, 0) < 0 ||
	    ptrace(PTRACE_INTERRUPT, server, 0, 0) < 0 ||
	    waitpid(server, NULL, 0) != server)
		tap_bail("cannot trace the server: %m");
}

/* Let the server run to the begin or end of its next system call. */
static void step(pid_t server)
{
	int status;

	if (ptrace(PTRACE_SYSCALL, server, 0, 0) < 0 ||
	    waitpid(server, &status, 0) != server || !WIFSTOPPED(status))
		tap_bail("the server does not run: %m");
}

/* Connect all while the server does nothing, then have it serve them until one is there. */
static void serve_reader(pid_t server, int sockets[QUEUE], struct client *reader,
			 struct client *witness)
{
	int n;

	halt(server);
	for (n = 0; n < QUEUE; n++)
		sockets[n] = join(scratch("socket"));
	reader->socket = sockets[READER];
	alarm(HANG);
	while (!reader->own) {
		step(server);
		listen_to(witness);
		listen_to(reader);
	}
	alarm(0);
}

static void check_moment(const int sockets[QUEUE], const struct client *reader,
			 const struct client *witness)
{
	int n, behind = 0, before = 0;

	tap_eq(reader->id, OLD + READER, "the one that reads has joined");
	tap_eq(reader->received, 3 + OLD + READER + 1,
	       "it has got the vectors of all before it, and its own");
	for (n = READER + 1; n < QUEUE; n++)
		behind += unread(sockets[n]);
	tap_eq(behind, 0, "those behind it have got nothing yet");
	for (n = 0; n < READER; n++)
		before += unread(sockets[n]) > 3;
	tap_eq(before, READER, "each of those before it, which do not read, has got something");
	tap_eq(witness->latest, reader->id, "a peer that was there knows it already");
}

static void test_queue(void)
{
	pid_t server = start_server("--memfd", NULL);
	struct client reader = { 0 }, witness = { 0 };
	int old[OLD], sockets[QUEUE], n, well = 0;

	for (n = 0; n < OLD; n++) {
		old[n] = join(scratch("socket"));
		introduction(old[n], 1);
	}
	witness.socket = old[OLD - 1];
	serve_reader(server, sockets, &reader, &witness);
	check_moment(sockets, &reader, &witness);
	ptrace(PTRACE_DETACH, server, 0, 0);
	for (n = QUEUE - 1; n >= 0; n--)
		well += n != READER && introduction(sockets[n], 1) == OLD + n;
	tap_eq(well, QUEUE - 1, "all others are introduced when they read, the last one first");
	for (n = 0; n < QUEUE; n++)
		close(sockets[n]);
	for (n = 0; n < OLD; n++)
		close(old[n]);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

/*
 * Others join until the server has sent the peer, which does not read, all but the last.
 * A newcomer is announced to all before its introduction ends. Gives their number.
 */
static int fill(int blocked, int others[MOST])
{
	int n = 0;

	do {
		if (n == MOST)
			tap_bail("the socket is not full after %d messages", n);
		others[n] = join(scratch("socket"));
		introduction(others[n], 1);
		n++;
	} while (unread(blocked) == n);
	return n;
}

/* The first of the others hears of all that join or leave. */
static void until_reported(int others[MOST], int id)
{
	struct message message;

	do {
		message = next_message(others[0]);
		if (message.fd != NONE)
			close(message.fd);
	} while (message.value != id || message.fd != NONE);
}

static void test_needless(void)
{
	int others[MOST], count, newcomer, id;
	struct client blocked = { 0 };
	pid_t server;

	server_nofile = FEW;
	server = start_server("--memfd", NULL);
	blocked.socket = join(scratch("socket"));
	introduction(blocked.socket, 1);
	count = fill(blocked.socket, others);
	tap_ok(count > 1, "a peer whose socket is full has got %d of %d messages", count - 1,
	       count);
	close(others[--count]);
	until_reported(others, count + 1);
	tap_eq(unread(blocked.socket), count, "the one that it has not heard of leaves again");
	listen_to(&blocked);
	tap_eq(blocked.received, count, "then it reads all that it has got");
	newcomer = join(scratch("socket"));
	id = introduction(newcomer, 1);
	tap_ok(eventually((listen_to(&blocked), blocked.latest == id)),
	       "and hears of the next newcomer");
	close(newcomer);
	while (count--)
		close(others[count]);
	close(blocked.socket);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

int main(void)
{
	test_queue();
	test_needless();
	return tap_done();
}
