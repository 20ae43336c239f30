// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library with broken and malicious servers: each time a clean error, and no file
 * descriptor is leaked.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../guest/pattern.h"
#include "common/fake_server.h"
#include "ivshmem.h"

#define MAX_FLOOD	FAKE_COPIES
#define NONSENSE	1000

/* One end of a pipe whose other end is closed: writing there raises SIGPIPE. */
static int broken_pipe(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		tap_bail("no pipe: %m");
	close(ends[0]);
	return ends[1];
}

static void hangs_up(int client)
{
	(void)client;
}

static void wrong_version(int client)
{
	put(client, 1, NONE);
}

static void version_with_descriptor(int client)
{
	put(client, 0, doorbell());
}

static void half_a_message(int client)
{
	put_part(client, 0, 0, 3, NONE, 0);
}

static void half_a_message_with_descriptor(int client)
{
	int fd = memory(4096);

	put(client, 0, NONE);
	put(client, 3, NONE);
	put_part(client, -1, 0, 3, fd, 1);
	close(fd);
}

static void negative_id(int client)
{
	put(client, 0, NONE);
	put(client, -2, NONE);
}

static void id_too_large(int client)
{
	put(client, 0, NONE);
	put(client, 65536, NONE);
}

static void no_memory(int client)
{
	put(client, 0, NONE);
	put(client, 3, NONE);
	put(client, -1, NONE);
}

static void vectors_before_memory(int client)
{
	put(client, 0, NONE);
	put(client, 3, NONE);
	put(client, 3, doorbell());
}

static void empty_memory(int client)
{
	put(client, 0, NONE);
	put(client, 3, NONE);
	put(client, -1, memory(0));
}

static void memory_is_no_file(int client)
{
	put(client, 0, NONE);
	put(client, 3, NONE);
	put(client, -1, broken_pipe());
}

static void flood(int client, int copies)
{
	int fd = memory(4096);

	put(client, 0, NONE);
	put(client, 3, NONE);
	put_part(client, -1, 0, 8, fd, copies);
	close(fd);
	linger(client);
}

static void two_descriptors(int client)
{
	flood(client, 2);
}

static void many_descriptors(int client)
{
	flood(client, MAX_FLOOD);
}

static void descriptors_in_pieces(int client)
{
	int fd = memory(4096);

	put(client, 0, NONE);
	put(client, 3, NONE);
	put_part(client, -1, 0, 4, fd, 1);
	put_part(client, -1, 4, 4, fd, 1);
	close(fd);
	linger(client);
}

static void second_memory(int client)
{
	begin(client);
	put(client, -1, memory(4096));
	linger(client);
}

static void doorbell_is_a_pipe(int client)
{
	begin(client);
	put(client, 3, broken_pipe());
	linger(client);
}

static void doorbell_is_a_file(int client)
{
	begin(client);
	put(client, 2, memory(4096));
	linger(client);
}

static void peer_too_large(int client)
{
	begin(client);
	put(client, 70000, doorbell());
	linger(client);
}

static void negative_peer(int client)
{
	begin(client);
	put(client, INT64_MIN, NONE);
	linger(client);
}

static void we_left(int client)
{
	begin(client);
	put(client, 3, NONE);
	linger(client);
}

static void too_many_vectors(int client)
{
	int n;

	begin(client);
	for (n = 0; n < 257; n++)
		put(client, 2, doorbell());
	linger(client);
}

static void own_id_twice(int client)
{
	put(client, 0, NONE);
	put(client, 3, NONE);
	put(client, 3, NONE);
	linger(client);
}

static void id_after_memory(int client)
{
	put(client, 0, NONE);
	put(client, -1, memory(4096));
	put(client, 3, NONE);
	linger(client);
}

static void says_nothing(int client)
{
	linger(client);
}

static void falls_silent(int client)
{
	put(client, 0, NONE);
	linger(client);
}

/* A service manager that listens and starts the server on the first connection. */
static void starts_late(int client)
{
	struct pollfd gone = { .fd = client };

	if (poll(&gone, 1, 7000) == 0)
		begin(client);
	linger(client);
}

static void never_ends(int client)
{
	struct pollfd gone = { .fd = client };
	int n;

	begin(client);
	while (poll(&gone, 1, 0) == 0)
		for (n = 0; n < 1000; n++)
			put(client, 2, n % 2 ? NONE : doorbell());
}

static void check(const char *what, fake_script script, int expected)
{
	int before = open_descriptors(0);
	pthread_t thread = fake_run(script);
	struct ivshmem *handle = NULL;

	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), expected, "%s",
	       what);
	if (handle)
		ivshmem_close(handle);
	pthread_join(thread, NULL);
	tap_eq(open_descriptors(0), before, "%s: no file descriptor is leaked", what);
}

#define CHECK(script, expected) check(#script, script, expected)

static void test_introductions(void)
{
	CHECK(hangs_up, -ECONNRESET);
	CHECK(wrong_version, -EPROTO);
	CHECK(version_with_descriptor, -EPROTO);
	CHECK(half_a_message, -ECONNRESET);
	CHECK(half_a_message_with_descriptor, -ECONNRESET);
	CHECK(negative_id, -EPROTO);
	CHECK(id_too_large, -EPROTO);
	CHECK(no_memory, -EPROTO);
	CHECK(vectors_before_memory, -EPROTO);
	CHECK(empty_memory, -EPROTO);
	CHECK(memory_is_no_file, -EPROTO);
	CHECK(two_descriptors, -EPROTO);
	CHECK(many_descriptors, -EPROTO);
	CHECK(descriptors_in_pieces, -EPROTO);
	CHECK(second_memory, -EPROTO);
	CHECK(doorbell_is_a_pipe, -EPROTO);
	CHECK(doorbell_is_a_file, -EPROTO);
	CHECK(peer_too_large, -EPROTO);
	CHECK(negative_peer, -EPROTO);
	CHECK(we_left, -EPROTO);
	CHECK(too_many_vectors, -EPROTO);
	CHECK(own_id_twice, -EPROTO);
	CHECK(id_after_memory, -EPROTO);
	CHECK(says_nothing, -ETIMEDOUT);
	CHECK(falls_silent, -ETIMEDOUT);
	CHECK(starts_late, 0);
	CHECK(never_ends, -ETIMEDOUT);
}

/*
 * The whole introduction, cut at one byte: two vectors of the client, two of a peer, and
 * the disconnect of another. Nothing after the client's last vector matters.
 */
static int cut;

static void put_until_cut(int client, int *sent, int64_t value, int fd)
{
	int bytes = cut - *sent < 8 ? cut - *sent : 8;

	if (bytes > 0)
		put_part(client, value, 0, bytes, fd, fd != NONE);
	*sent += 8;
	if (fd != NONE)
		close(fd);
}

static void ends_anywhere(int client)
{
	int sent = 0;

	put_until_cut(client, &sent, 0, NONE);
	put_until_cut(client, &sent, 3, NONE);
	put_until_cut(client, &sent, -1, memory(4096));
	put_until_cut(client, &sent, 2, doorbell());
	put_until_cut(client, &sent, 2, doorbell());
	put_until_cut(client, &sent, 1, NONE);
	put_until_cut(client, &sent, 3, doorbell());
	put_until_cut(client, &sent, 3, doorbell());
}

static void test_ends(void)
{
	char what[64];

	for (cut = 0; cut < 64; cut++) {
		snprintf(what, sizeof(what), "ends after %d bytes", cut);
		check(what, ends_anywhere, -ECONNRESET);
	}
}

/* A valid introduction, but in small pieces and with a disconnect of an unknown peer. */
static void dribbles(int client)
{
	int fd = memory(8192);
	int piece;

	for (piece = 0; piece < 8; piece++) {
		put_part(client, 0, piece, 1, NONE, 0);
		usleep(1000);
	}
	put_part(client, 3, 0, 5, NONE, 0);
	usleep(1000);
	put_part(client, 3, 5, 3, NONE, 0);
	put_part(client, -1, 0, 1, fd, 1);
	usleep(1000);
	put_part(client, -1, 1, 7, NONE, 0);
	close(fd);
	put(client, 9, NONE);
	put(client, 2, doorbell());
	put(client, 2, doorbell());
	put(client, 3, doorbell());
	put(client, 3, doorbell());
	linger(client);
}

static void test_dribble(void)
{
	pthread_t thread = fake_run(dribbles);
	struct ivshmem_properties properties = { 0 };
	struct ivshmem *handle;
	uint32_t peer = 0;

	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), 0,
	       "messages in pieces are understood");
	ivshmem_get_properties(handle, &properties);
	tap_ok(properties.id == 3 && properties.vectors == 2 &&
	       properties.size == 8192, "messages in pieces: id, vectors and size are right");
	tap_ok(ivshmem_peers(handle, &peer, 1) == 1 && peer == 2,
	       "the disconnect of an unknown peer does not affect others");
	ivshmem_close(handle);
	pthread_join(thread, NULL);
}

/* Vectors of several peers interleaved, the highest id first; a peer leaves twice. */
static void out_of_order(int client)
{
	static const int64_t ids[] = { 9, 3, 2, 9, 2, 3, 7 };
	size_t n;

	begin(client);
	for (n = 0; n < sizeof(ids) / sizeof(ids[0]); n++)
		put(client, ids[n], doorbell());
	put(client, 9, NONE);
	put(client, 9, NONE);
	put(client, 9, doorbell());
	linger(client);
}

static void test_out_of_order(void)
{
	pthread_t thread = fake_run(out_of_order);
	uint32_t peers[4] = { 0 };
	struct ivshmem *handle;

	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), 0,
	       "ids and vectors in any order are understood");
	tap_ok(eventually(ivshmem_ring(handle, 9, 1) == -ENXIO),
	       "a peer that left twice and joined again has one vector");
	tap_ok(eventually(ivshmem_peers(handle, peers, 4) == 3 && peers[0] == 2 &&
			  peers[1] == 7 && peers[2] == 9),
	       "all peers are known, sorted by id");
	tap_eq(ivshmem_ring(handle, 9, 0), 0, "the peer that joined again can be rung");
	tap_eq(ivshmem_ring(handle, 7, 1), -ENXIO, "a vector that a peer does not have");
	ivshmem_close(handle);
	pthread_join(thread, NULL);
}

/* Send random messages, then disconnect. */
static uint64_t noise;

static void talks_nonsense(int client)
{
	static const int64_t likely[] = { 0, 3, -1, 3, 3, 2, 2, 65535, -2 };
	uint64_t state = pattern_seed(noise), number;
	int n, fd, place;

	for (n = 0; n < 40; n++) {
		number = pattern_next(&state) >> 8;
		/* Mostly begin correctly, so that the client goes on. */
		place = n < 3 && number % 8 ? n : (int)(number / 8 % 9);
		fd = likely[place] < 0 ? memory(4096) : doorbell();
		put_part(client, number % 64 ? likely[place] : (int64_t)number, 0,
			 number / 128 % 32 ? 8 : 5, fd,
			 place < 2 ? 0 : number / 4096 % 16 ? 1 :
			 number / 65536 % 3);
		close(fd);
	}
}

static void test_nonsense(void)
{
	struct ivshmem_wait_options options = { .timeout_ns = 0 };
	int before = open_descriptors(0), opened = 0, lost = 0;
	struct ivshmem *handle;
	pthread_t thread;

	for (noise = 0; noise < NONSENSE; noise++) {
		thread = fake_run(talks_nonsense);
		if (!ivshmem_open(&handle, scratch("socket"), 0)) {
			opened++;
			ivshmem_wait(handle, &options, NULL);
			ivshmem_ring(handle, 2, 0);
			ivshmem_peers(handle, NULL, 0);
			ivshmem_close(handle);
		}
		pthread_join(thread, NULL);
		lost += open_descriptors(0) - before;
	}
	tap_eq(lost, 0, "%d servers talk nonsense, %d could be joined: no descriptor is leaked",
	       NONSENSE, opened);
}

static void no_doorbells(int client)
{
	begin(client);
	linger(client);
}

static void test_no_doorbells(void)
{
	struct ivshmem_wait_options options = { .timeout_ns = 0 };
	pthread_t thread = fake_run(no_doorbells);
	struct ivshmem *handle;

	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), 0,
	       "a server that gives no vectors can be joined");
	tap_eq(ivshmem_wait(handle, &options, NULL), -EOPNOTSUPP, "wait without vectors");
	tap_eq(ivshmem_eventfd(handle, 0), -EOPNOTSUPP, "eventfd without vectors");
	ivshmem_close(handle);
	pthread_join(thread, NULL);
}

/* A server rings, then violates the protocol. */
static void rings_then_breaks(int client)
{
	uint64_t one = 1;
	int own = doorbell();

	begin(client);
	put_part(client, 3, 0, 8, own, 1);
	put(client, 2, doorbell());
	(void)!write(own, &one, sizeof(one));
	close(own);
	put(client, 1 << 20, NONE);
	linger(client);
}

static void test_later(void)
{
	struct ivshmem_wait_options options = { .timeout_ns = 10000000000 };
	pthread_t thread = fake_run(rings_then_breaks);
	struct ivshmem_wait_result result;
	struct ivshmem *handle;

	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), 0, "a server begins correctly");
	tap_eq(ivshmem_wait(handle, &options, &result), 0, "wait: a doorbell");
	tap_eq(ivshmem_wait(handle, &options, &result), -EPROTO,
	       "wait: the server violates the protocol");
	tap_eq(ivshmem_wait(handle, &options, &result), -EPROTO, "wait: the error stays");
	tap_eq(ivshmem_ring(handle, 2, 0), -EPROTO, "after the violation: ring a known peer");
	tap_eq(ivshmem_ring(handle, 1, 0), -EPROTO, "after the violation: ring an unknown peer");
	tap_eq(ivshmem_peers(handle, NULL, 0), -EPROTO, "after the violation: count peers");
	ivshmem_close(handle);
	pthread_join(thread, NULL);
}

static pthread_barrier_t vector_sent;

/* The client's second vector comes after the introduction seemed complete with one. */
static void late_vector(int client)
{
	begin(client);
	put(client, 3, doorbell());
	pthread_barrier_wait(&vector_sent);
	put(client, 3, doorbell());
	pthread_barrier_wait(&vector_sent);
	linger(client);
}

static void test_late_vector(void)
{
	struct ivshmem_wait_options options = { .vector = 1, .timeout_ns = 10000000000 };
	struct ivshmem *handle;
	pthread_t thread;

	pthread_barrier_init(&vector_sent, NULL, 2);
	thread = fake_run(late_vector);
	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), 0, "join with one vector");
	tap_eq(ivshmem_ring_wait(handle, 3, 1, &options, NULL), -EINVAL,
	       "the second vector has not come yet");
	pthread_barrier_wait(&vector_sent);
	pthread_barrier_wait(&vector_sent);
	tap_eq(ivshmem_ring_wait(handle, 3, 1, &options, NULL), 0,
	       "the second vector works once it has come");
	ivshmem_close(handle);
	pthread_join(thread, NULL);
}

static void many_peers(int client)
{
	int n;

	begin(client);
	for (n = 4; n < 104; n++)
		put(client, n, doorbell());
	put(client, 3, doorbell());
	linger(client);
}

static void test_out_of_descriptors(void)
{
	struct rlimit old, limit;

	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	limit.rlim_cur = 64;
	setrlimit(RLIMIT_NOFILE, &limit);
	CHECK(many_peers, -EMFILE);
	setrlimit(RLIMIT_NOFILE, &old);
	CHECK(many_peers, 0);
}

/* The queue of a listening socket is full: connect() would wait for ever. */
static void test_no_accept(void)
{
	struct ivshmem *handle;
	int waiting[2];

	waiting[0] = join(scratch("socket"));
	waiting[1] = join(scratch("socket"));
	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), -ETIMEDOUT,
	       "a server that does not accept");
	close(waiting[0]);
	close(waiting[1]);
}

int main(void)
{
	fake_listen();
	test_introductions();
	test_ends();
	test_dribble();
	test_out_of_order();
	test_nonsense();
	test_no_doorbells();
	test_later();
	test_late_vector();
	test_out_of_descriptors();
	test_no_accept();
	return tap_done();
}
