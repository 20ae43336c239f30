// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels whose other end writes invalid values: this end stops with -EPROTO, and nothing
 * else happens.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "../guest/hostile.h"
#include "common/channel.h"

#define CALLS		20000

static const struct ivshmem_channel_options options = { .size = HOSTILE_SIZE };

static struct ivshmem *a, *b;
static struct ivshmem_channel *victim, *other;
static unsigned char *memory;

static void begin(void)
{
	victim = must_create(a, &options);
	other = must_attach(b, &options);
	handshake(victim, other);
}

static void finish(void)
{
	ivshmem_channel_close(victim);
	ivshmem_channel_close(other);
}

/* A control word of the other end, for the direction to it (0) or from it (1). */
static volatile uint64_t *other_word(int ring, int offset)
{
	return (void *)(memory + HOSTILE_CONTROL + offset +
			(ring ? 2 : 1) * HOSTILE_HALF);
}

/* The first message header in the ring buffer to this end, in a new session. */
static volatile uint64_t *first_header(void)
{
	return (void *)(memory + 4096 + (16384 - 4096) / 2);
}

static void check_broken(const char *what)
{
	const void *message;
	char bytes[6144];
	int64_t got;
	size_t size;
	void *room;

	tap_eq(ivshmem_channel_peek(victim, &message, &size, 0), -EPROTO,
	       "%s: peek gives -EPROTO", what);
	tap_ok(ivshmem_channel_peek(victim, &message, &size, IVSHMEM_FOREVER) ==
	       -EPROTO && ivshmem_channel_recv(victim, NULL, 0, 0) == -EPROTO &&
	       ivshmem_channel_reserve(victim, 1, &room, 0) == -EPROTO &&
	       ivshmem_channel_send(victim, "", 1, 0, 0) == -EPROTO,
	       "%s: so do all further calls", what);
	do
		got = ivshmem_channel_recv(other, bytes, sizeof(bytes),
					   ivshmem_after(PATIENCE));
	while (got >= 0);
	tap_eq(got, -EPIPE, "%s: the other end gets -EPIPE", what);
}

static void test_headers(void)
{
	static const struct {
		const char *what;
		uint64_t header;
	} bad[] = {
		{ "a message larger than the ring buffer", 6144 - 16 + 2 },
		{ "a message much larger than that", UINT64_C(1) << 40 },
		{ "a length that overflows", UINT64_MAX - 8 },
		{ "a length next to that of a pad", UINT64_MAX - 1 },
		{ "a pad as large as the ring buffer", UINT64_MAX },
	};
	size_t n;
	void *room;

	for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		victim = must_create(a, &options);
		other = must_attach(b, &options);
		tap_ok(eventually(ivshmem_channel_recv(victim, NULL, 0, 0) == -EAGAIN &&
				  !ivshmem_channel_reserve(other, 0, &room, 0)),
		       "%s: a new session begins", bad[n].what);
		first_header()[0] = bad[n].header;
		check_broken(bad[n].what);
		finish();
	}
}

static void test_positions(void)
{
	static const uint64_t bad[] = { 1 << 20, UINT64_MAX, UINT64_C(1) << 63 };
	char bytes[1000] = { 0 };
	size_t n;

	for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		begin();
		*other_word(0, 256) = bad[n];
		while (!ivshmem_channel_send(victim, bytes, sizeof(bytes), 0, 0))
			;
		check_broken("a position beyond what was sent");
		finish();
	}
}

static void *receive_once(void *result)
{
	*(int64_t *)result = ivshmem_channel_recv(victim, NULL, 0, IVSHMEM_FOREVER);
	return NULL;
}

/* One thread sleeps, another one detects the error: only that one can wake the first. */
static void test_threads(void)
{
	struct timespec limit;
	char bytes[1000] = { 0 };
	int64_t result = 0;
	pthread_t thread;
	int late;

	begin();
	pthread_create(&thread, NULL, receive_once, &result);
	/* Poll intervals double from 20 ms: now the one from 5.1 s to 10.2 s has begun. */
	usleep(5300000);
	*other_word(0, 256) = 1 << 20;
	while (!ivshmem_channel_send(victim, bytes, sizeof(bytes), 0, 0))
		;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 4;
	late = pthread_timedjoin_np(thread, NULL, &limit);
	tap_ok(!late && result == -EPROTO,
	       "a thread that detects an error wakes the thread that sleeps");
	if (late)
		pthread_join(thread, NULL);
	finish();
}

static void test_back(void)
{
	char bytes[1000] = { 0 };

	begin();
	while (!ivshmem_channel_send(victim, bytes, sizeof(bytes), 0, 0))
		;
	while (ivshmem_channel_recv(other, bytes, sizeof(bytes), 0) >= 0)
		;
	while (!ivshmem_channel_send(victim, bytes, sizeof(bytes), 0, 0))
		;
	*other_word(0, 256) = 0;
	tap_eq(say(victim, bytes), 0, "a small message still fits");
	tap_eq(ivshmem_channel_send(victim, bytes, sizeof(bytes), 0, 0), -EPROTO,
	       "a read position that goes back: send gives -EPROTO");
	check_broken("a read position that goes back");
	finish();
}

/* The other end says which peer and vector to ring; invalid ones must do no harm. */
static void test_ids(void)
{
	uint32_t *id = (uint32_t *)(other_word(0, 24));

	begin();
	id[0] = 65536;
	id[1] = 256;
	*other_word(0, 128) = 7;
	tap_eq(say(victim, "hello"), 0, "the other end names a peer that does not exist: no harm");
	id[0] = UINT32_MAX;
	id[1] = UINT32_MAX;
	*other_word(0, 128) = UINT64_C(8) << 32;
	tap_eq(say(victim, "hello"), 0, "it names a vector that does not exist: no harm");
	finish();
}

static _Atomic bool enough;

static void *scribble_all(void *argument)
{
	uint64_t state = 42;

	while (!enough) {
		hostile_write((void *)memory, &state);
		usleep(20);
	}
	return argument;
}

/* What is written meanwhile may be what the channel is recognised by. */
static void begin_anew(void)
{
	victim = must_create(a, &options);
	while (ivshmem_channel_attach(b, &options, 0, &other)) {
		ivshmem_channel_close(victim);
		victim = must_create(a, &options);
	}
}

static void test_scribbler(void)
{
	int errors[200] = { 0 }, count, error, other_error;
	char bytes[16 << 10];
	uint64_t state = 1;
	pthread_t thread;

	begin_anew();
	pthread_create(&thread, NULL, scribble_all, NULL);
	for (count = 0; count < CALLS; count++) {
		if (count % 8 == 0)
			hostile_write((void *)memory, &state);
		error = hostile_call(victim, pattern_next(&state) >> 8);
		errors[-error]++;
		other_error = say(other, "hello");
		if (!other_error)
			other_error = ivshmem_channel_recv(other, bytes,
							   sizeof(bytes), 0);
		if (error == -EPROTO || error == -ESTALE ||
		    other_error == -EPROTO || other_error == -ESTALE) {
			finish();
			begin_anew();
		}
	}
	enough = true;
	pthread_join(thread, NULL);
	for (error = 0; error < 200; error++)
		if (errors[error])
			tap_note("%5d times: %s", errors[error], strerror(error));
	tap_ok(errors[0] && errors[EPROTO] && !errors[EFAULT],
	       "%d calls while the channel is overwritten: errors only", CALLS);
	finish();
}

int main(void)
{
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);

	a = must_open(0);
	b = must_open(0);
	ivshmem_map(a, 0, 0, (void **)&memory);
	test_headers();
	test_positions();
	test_threads();
	test_back();
	test_ids();
	test_scribbler();
	ivshmem_unmap(a, memory, 1 << 20);
	ivshmem_close(a);
	ivshmem_close(b);
	return stop_server(server, SIGTERM) || tap_done();
}
