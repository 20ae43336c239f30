// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens when the server runs out of descriptors: newcomers are turned
 * away, those who are there notice nothing, and it does not spin. When it may
 * not have more of them on their way to peers, it waits until some arrive.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/harness.h"

#define LIMIT		64
#define CROWD		100

/* Sleeping each of many times one looks: something that spins never does. */
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

/* Join; NONE if the server hangs up without a word. */
static int try_to_join(void)
{
	int socket = join(scratch("socket"));
	char byte;

	/* This blocks until there is something, or nothing any more. */
	if (recv(socket, &byte, 1, MSG_PEEK) == 1)
		return socket;
	close(socket);
	return NONE;
}

/* Fill the server: how many of a crowd it takes. */
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
			tap_bail("a newcomer was taken after one was not");
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
	       "%d peers are taken, more are turned away", count);
	tap_ok(strstr(server_said(), "event=refuse"), "it says so");
	tap_ok(open_descriptors(server) <= LIMIT &&
	       open_descriptors(server) > LIMIT - vectors - 2,
	       "there was no room for more");
	tap_ok(sleeps(server), "it does not spin");
	close(peers[count - 1]);
	tap_ok(eventually(strstr(server_said(), "event=leave")),
	       "one leaves");
	again = join(scratch("socket"));
	tap_eq(introduction(again, vectors), count - 1, "one more may come");
	tap_eq(try_to_join(), NONE, "but not two");
	for (n = 0; n < count - 1; n++)
		close(peers[n]);
	close(again);
	tap_eq(stop_server(server, SIGTERM), 0, "the server ends well");
	server_nofile = 0;
}

static void test_on_their_way(void)
{
	int peers[5], n;
	pid_t server;

	tap_note("too many descriptors on their way");
	server_nofile = 200;
	server_limited = true;
	server = start_server("--memfd", "-n", "32", NULL);
	for (n = 0; n < 5; n++)
		peers[n] = join(scratch("socket"));
	tap_ok(eventually(strstr(server_said(), "event=pause")),
	       "the kernel takes no more of them");
	tap_ok(sleeps(server), "the server does not spin");
	for (n = 0; n < 5; n++) {
		tap_eq(introduction(peers[n], 32), n,
		       "peer %d reads and gets all", n);
		close(peers[n]);
	}
	tap_eq(stop_server(server, SIGTERM), 0, "the server ends well");
}

int main(void)
{
	test_full("1", 1);
	test_full("4", 4);
	test_full("17", 17);
	test_on_their_way();
	return tap_done();
}
