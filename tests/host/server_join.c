// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peers that join, disconnect, stall and misbehave (tools/server/server.c, peer.c).
 */
#include <fcntl.h>
#include <ivshmem.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/harness.h"

#define CROWD		500
#define ROUNDS		20
#define GREETED		64
#define LAST_ID		65279	/* those behind it are of slots */
#define SET		200	/* vectors; the server sends one such set ahead, not two */

/* Does a signal to one descriptor make the other readable? */
static bool same_eventfd(int ours, int theirs)
{
	uint64_t value = 7;

	return write(theirs, &value, sizeof(value)) == sizeof(value) &&
	       read(ours, &value, sizeof(value)) == sizeof(value) &&
	       value == 7 && read(ours, &value, sizeof(value)) < 0 &&
	       errno == EAGAIN;
}

static int newcomer(const char *path, int vectors, int expected_id)
{
	int socket = join(path);
	int id = introduction(socket, vectors);

	if (id != expected_id)
		tap_bail("id %d instead of %d", id, expected_id);
	return socket;
}

static int check_head(int socket, int64_t id)
{
	expect_message(socket, 0, NONE);
	expect_message(socket, id, NONE);
	return expect_message(socket, -1, SOME);
}

/* The protocol, message by message. */
static void test_order(void)
{
	pid_t server = start_server("-n", "2", "-l", "1M", "--memfd", NULL);
	const char *path = scratch("socket");
	int a, b, memory, own[2], seen[2], vector;
	struct stat st;

	tap_note("order");
	a = join(path);
	memory = check_head(a, 0);
	tap_ok(fstat(memory, &st) == 0 && st.st_size == 1 << 20,
	       "the memory has the size asked for");
	tap_ok(ftruncate(memory, 4096) < 0 && ftruncate(memory, 2 << 20) < 0,
	       "a memfd cannot be resized by a peer");
	close(memory);
	for (vector = 0; vector < 2; vector++)
		own[vector] = expect_message(a, 0, SOME);
	tap_ok(!(fcntl(own[0], F_GETFL) & O_APPEND) && fcntl(own[1], F_GETFL) & O_APPEND,
	       "the last vector, and no other, is marked");

	b = join(path);
	close(check_head(b, 1));
	for (vector = 0; vector < 2; vector++)
		seen[vector] = expect_message(b, 0, SOME);
	for (vector = 0; vector < 2; vector++) {
		tap_ok(same_eventfd(own[vector], seen[vector]),
		       "vector %d of peer 0 is the same for both", vector);
		close(own[vector]);
		close(seen[vector]);
	}
	for (vector = 0; vector < 2; vector++)
		own[vector] = expect_message(b, 1, SOME);
	for (vector = 0; vector < 2; vector++) {
		seen[vector] = expect_message(a, 1, SOME);
		tap_ok(same_eventfd(own[vector], seen[vector]),
		       "vector %d of peer 1 is the same for both", vector);
		close(own[vector]);
		close(seen[vector]);
	}
	close(a);
	expect_message(b, 0, NONE);
	close(b);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

/* Take messages up to the one that reports the disconnect of a peer. */
static void until_disconnect(int socket, int id)
{
	struct message got;

	do {
		got = next_message(socket);
		if (got.fd != NONE)
			close(got.fd);
	} while (!got.end && (got.value != id || got.fd != NONE));
}

static void test_fresh_ids(void)
{
	pid_t server = start_server("--memfd", NULL);
	const char *path = scratch("socket");
	int peers[3], n;

	tap_note("fresh ids");
	for (n = 0; n < 3; n++)
		peers[n] = newcomer(path, 1, n);
	close(peers[1]);
	close(peers[2]);
	peers[1] = newcomer(path, 1, 3);
	close(peers[1]);
	peers[1] = newcomer(path, 1, 4);
	tap_ok(true, "no id is reused while there are fresh ones");
	close(peers[1]);
	until_disconnect(peers[0], 4);
	for (n = 5; n <= LAST_ID; n++) {
		close(newcomer(path, 1, n));
		until_disconnect(peers[0], n);
	}
	peers[1] = newcomer(path, 1, 1);
	tap_ok(true, "the lowest free id follows the last one");
	close(peers[0]);
	close(peers[1]);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

static void test_reused_ids(void)
{
	pid_t server = start_server("--memfd", "--reuse-ids", NULL);
	const char *path = scratch("socket");
	int peers[4], n;

	tap_note("reused ids");
	for (n = 0; n < 4; n++)
		peers[n] = newcomer(path, 1, n);
	for (n = 1; n < 4; n++)
		close(expect_message(peers[0], n, SOME));
	for (n = 1; n < 3; n++) {
		close(peers[n]);
		expect_message(peers[0], n, NONE);
	}
	for (n = 1; n < 3; n++)
		peers[n] = newcomer(path, 1, n);
	tap_ok(true, "with --reuse-ids each newcomer gets the lowest free id");
	close(peers[0]);
	expect_message(peers[1], 2, SOME);
	expect_message(peers[1], 0, NONE);
	peers[0] = newcomer(path, 1, 0);
	tap_ok(true, "id 0 is reused");
	for (n = 0; n < 4; n++)
		close(peers[n]);
	tap_eq(stop_server(server, SIGINT), 0, "on SIGINT the server exits with 0");
}

static void test_crowd(void)
{
	pid_t server = start_server("--memfd", NULL);
	const char *path = scratch("socket");
	static int peers[CROWD];
	struct message message;
	int n, wrong = 0;

	tap_note("crowd");
	for (n = 0; n < CROWD; n++)
		peers[n] = newcomer(path, 1, n);
	tap_ok(true, "%d peers have joined", CROWD);
	for (n = 1; n < CROWD; n++) {
		message = next_message(peers[0]);
		wrong += message.value != n || message.fd == NONE;
		close(message.fd);
	}
	tap_eq(wrong, 0, "every join is reported to the first peer, in order");
	for (n = 1; n < CROWD; n++)
		close(peers[n]);
	for (n = 1; n < CROWD; n++) {
		message = next_message(peers[0]);
		wrong += message.fd != NONE || message.end;
	}
	tap_eq(wrong, 0, "every disconnect is reported to the first peer");
	close(peers[0]);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

/* What a peer believes after a message. */
static void believe(int vectors_of[], struct message message)
{
	if (message.fd == NONE) {
		vectors_of[message.value] = 0;
		return;
	}
	vectors_of[message.value]++;
	close(message.fd);
}

/*
 * Peers that join and disconnect while one does not read are not announced to that one.
 * They cost the server nothing, and the peer gets a consistent state when it reads again.
 */
static void test_stuck(void)
{
	pid_t server = start_server("-n", "64", "--memfd", "--reuse-ids", NULL);
	const char *path = scratch("socket");
	static int vectors_of[65536];
	int stuck = join(path);
	int before, socket, guest, n;

	tap_note("stuck reader");
	tap_ok(eventually(strstr(server_said(), "event=join peer=0")),
	       "a peer that does not read has joined");
	before = open_descriptors(server);
	guest = newcomer(path, 64, 1);
	for (n = 0; n < 200; n++) {
		socket = newcomer(path, 64, 2);
		close(socket);
		/* Once the server reports it to the other peer, it has seen the disconnect. */
		do {
			struct message message = next_message(guest);

			if (message.fd == NONE)
				break;
			close(message.fd);
		} while (true);
	}
	tap_ok(true, "200 others join and disconnect meanwhile");
	tap_eq(open_descriptors(server), before + 65,
	       "the server holds nothing for disconnected peers");

	close(check_head(stuck, 0));
	for (n = 0; n < 64; n++)
		believe(vectors_of, next_message(stuck));
	tap_eq(vectors_of[0], 64, "when it reads again, the peer gets its own vectors");
	socket = newcomer(path, 64, 2);
	eventually((believe(vectors_of, next_message(stuck)),
		    vectors_of[2] == 64 && vectors_of[1] == 64));
	tap_ok(vectors_of[1] == 64 && vectors_of[2] == 64 && !vectors_of[3],
	       "the peer gets the vectors of all connected peers, and of no other");
	close(socket);
	close(guest);
	close(stuck);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

/* Check that these many vectors of that peer come next. */
static void expect_set(int socket, int64_t id, int vectors)
{
	int n;

	for (n = 0; n < vectors; n++) {
		struct message message = next_message(socket);

		if (message.value != id || message.fd == NONE)
			break;
		close(message.fd);
	}
	tap_eq(n, vectors, "next are %d vectors of peer %lld", vectors,
	       (long long)id);
}

/* Wait until the server stops as the socket is full; gives the number of messages sent. */
static int sent_ahead(int socket)
{
	int bytes = 0, before;

	do {
		before = bytes;
		usleep(100000);
		ioctl(socket, FIONREAD, &bytes);
	} while (bytes != before || !bytes);
	return bytes / 8;
}

/* Join three peers, and a fourth to which the server is announcing the first. */
static int begin_announcing(const char *what, pid_t *server, int peers[3], int *part)
{
	int socket, n;

	tap_note("%s", what);
	server_nofile = 4096;	/* bounds how far the server sends ahead */
	*server = start_server("-n", "200", "--memfd", "--reuse-ids", NULL);
	server_nofile = 0;
	for (n = 0; n < 3; n++)
		peers[n] = newcomer(scratch("socket"), SET, n);
	socket = join(scratch("socket"));
	*part = sent_ahead(socket) - 3;
	tap_ok(*part > 0 && *part < SET, "the server has sent %d vectors of peer 0", *part);
	return socket;
}

/* Replace a peer by another with the same id, and wait until the server has seen both. */
static void replace(int peers[3], int n)
{
	close(peers[n]);
	peers[n] = newcomer(scratch("socket"), SET, n);
}

static void end_telling(pid_t server, int peers[3], int socket)
{
	int n;

	for (n = 0; n < 3; n++)
		close(peers[n]);
	close(socket);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

/* A peer leaves while it is being announced, and another gets its id. */
static void test_subject_leaves(void)
{
	int peers[3], socket, part;
	pid_t server;

	socket = begin_announcing("one leaves while it is being announced", &server,
			       peers, &part);
	replace(peers, 0);
	close(check_head(socket, 3));
	expect_set(socket, 0, part);
	expect_message(socket, 0, NONE);
	expect_set(socket, 1, SET);
	expect_set(socket, 2, SET);
	expect_set(socket, 3, SET);
	expect_set(socket, 0, SET);
	end_telling(server, peers, socket);
}

/* Peers leave before and after they have been announced. */
static void test_others_leave(void)
{
	int peers[3], socket, part;
	pid_t server;

	socket = begin_announcing("others leave during an announcement",
			       &server, peers, &part);
	replace(peers, 1);
	close(check_head(socket, 3));
	expect_set(socket, 0, SET / 2);
	part = sent_ahead(socket) - SET / 2;
	tap_ok(part > 0 && part < SET, "the server has sent %d vectors of peer 2", part);
	replace(peers, 0);
	expect_set(socket, 0, SET / 2);
	expect_set(socket, 2, SET / 2);
	part = sent_ahead(socket) - SET / 2 - 1;
	tap_ok(part > 0 && part < SET, "the server has sent %d vectors of peer 3", part);
	replace(peers, 2);
	expect_set(socket, 2, SET / 2);
	expect_message(socket, 0, NONE);
	/* No message may come between a peer's own vectors: it would seem to end them. */
	expect_set(socket, 3, SET);
	expect_message(socket, 2, NONE);
	expect_set(socket, 1, SET);
	expect_set(socket, 0, SET);
	expect_set(socket, 2, SET);
	end_telling(server, peers, socket);
}

/* Read an introduction; a disconnect may follow only for a peer that was announced. */
static bool greeted(int socket, int64_t id)
{
	const int64_t head[] = { 0, id, -1 };
	struct message message;
	bool known = false;
	size_t n;

	for (n = 0; n < 3; n++) {
		message = next_message(socket);
		if (message.fd != NONE)
			close(message.fd);
		if (message.value != head[n])
			return false;
	}
	while ((message = next_message(socket)).value != id) {
		if (message.fd == NONE && !known)
			return false;
		known = message.fd != NONE;
		close(message.fd);
	}
	close(message.fd);
	return true;
}

/* A peer disconnects during the introduction of newcomers, before it is announced. */
static void test_unknown_leaves(void)
{
	pid_t server = start_server("-n", "1", "--memfd", NULL);
	struct pollfd sockets[GREETED] = { 0 };
	int round, n, id = 0, other, well = 0;

	tap_note("one leaves as others come");
	for (round = 0; round < ROUNDS; round++) {
		other = newcomer(scratch("socket"), 1, id++);
		/* The server introduces one after the other. */
		kill(server, SIGSTOP);
		for (n = 0; n < GREETED; n++)
			sockets[n] = (struct pollfd){
				join(scratch("socket")), POLLIN, 0
			};
		kill(server, SIGCONT);
		poll(sockets, 1, 5000);
		close(other);
		for (n = 0; n < GREETED; n++)
			well += greeted(sockets[n].fd, id++);
		for (n = 0; n < GREETED; n++)
			close(sockets[n].fd);
	}
	tap_eq(well, ROUNDS * GREETED, "each newcomer gets a correct introduction");
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

/* Peers that do not read disconnect while the server has messages for them. */
static void test_stuck_leaves(void)
{
	pid_t server = start_server("-n", "200", "--memfd", NULL);
	const char *path = scratch("socket");
	int stuck[3], other, n;

	tap_note("stuck readers that go");
	for (n = 0; n < 3; n++)
		stuck[n] = join(path);
	other = newcomer(path, 200, 3);
	close(stuck[1]);
	expect_message(other, 1, NONE);
	close(stuck[0]);
	expect_message(other, 0, NONE);
	close(stuck[2]);
	expect_message(other, 2, NONE);
	close(other);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

static void test_garbage(void)
{
	pid_t server = start_server("--memfd", NULL);
	const char *path = scratch("socket");
	int good = newcomer(path, 1, 0);
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { "x", 1 };
	struct msghdr header = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
	char noise[4096];
	int bad, before;

	tap_note("garbage");
	memset(noise, 0xa5, sizeof(noise));
	bad = newcomer(path, 1, 1);
	close(expect_message(good, 1, SOME));
	tap_ok(write(bad, noise, sizeof(noise)) > 0, "a peer sends garbage");
	expect_message(good, 1, NONE);
	tap_ok(next_message(bad).end, "the peer that sent garbage is disconnected");
	close(bad);

	before = open_descriptors(server);
	bad = newcomer(path, 1, 2);
	close(expect_message(good, 2, SOME));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &bad, sizeof(bad));
	tap_ok(sendmsg(bad, &header, 0) == 1, "a peer sends a descriptor");
	expect_message(good, 2, NONE);
	tap_eq(open_descriptors(server), before, "the server does not keep the descriptor");
	close(bad);

	bad = newcomer(path, 1, 3);
	close(expect_message(good, 3, SOME));
	shutdown(bad, SHUT_WR);
	expect_message(good, 3, NONE);
	close(bad);
	close(good);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

/* Does the next message announce a peer that joins? */
static bool seen_to_join(int socket)
{
	struct message message = next_message(socket);

	if (message.fd != NONE)
		close(message.fd);
	return message.fd != NONE;
}

/* Two peers die at the same moment, so reporting either to the other fails. */
static void test_two_die(void)
{
	pid_t server = start_server("-n", "4", "--memfd", NULL);
	const char *path = scratch("socket");
	int witness, round, n, alive, wrong = 0;
	int ready[2];
	pid_t pid;
	char byte;

	tap_note("two die at once");
	witness = newcomer(path, 4, 0);
	for (round = 0; round < 50; round++) {
		if (pipe(ready) < 0)
			tap_bail("no pipe: %m");
		pid = fork();
		if (!pid) {
			join(path);
			introduction(join(path), 4);
			(void)!write(ready[1], "", 1);
			pause();
		}
		(void)!read(ready[0], &byte, 1);
		/* A message that is missing by now never comes. */
		for (n = 0, alive = 0; n < 8; n++)
			alive += seen_to_join(witness);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(ready[0]);
		close(ready[1]);
		for (n = 0; n < 2; n++)
			alive -= 4 * !seen_to_join(witness);
		wrong += alive != 0;
	}
	tap_eq(wrong, 0, "50 times both deaths are reported to a third peer");
	close(witness);
	tap_eq(stop_server(server, SIGTERM), 0, "the server exits with 0");
}

int main(void)
{
	test_order();
	test_fresh_ids();
	test_reused_ids();
	test_crowd();
	test_stuck();
	test_stuck_leaves();
	test_subject_leaves();
	test_others_leave();
	test_unknown_leaves();
	test_garbage();
	test_two_die();
	return tap_done();
}
