// SPDX-License-Identifier: GPL-2.0-only
/*
 * Channels whose other end writes nonsense: the own end stops with -EPROTO and
 * nothing else happens.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "common/channel.h"

#define CALLS		20000
#define CONTROL		512	/* where the words of the two ends begin */
#define HALF		384	/* bytes of one end's words of one ring */

static const struct ivshmem_channel_options options = { .size = 16 << 10 };

static struct ivshmem *a, *b;
static struct ivshmem_channel *victim, *other;
static unsigned char *memory;

static void begin(void)
{
	victim = must_create(a, &options);
	other = must_attach(b, &options);
	meet(victim, other);
}

static void finish(void)
{
	ivshmem_channel_close(victim);
	ivshmem_channel_close(other);
}

/* A word of what the other end says about ring 0 (from us) or 1 (to us). */
static volatile uint64_t *other_word(int ring, int offset)
{
	return (void *)(memory + CONTROL + (3 * ring + (ring ? 0 : 1)) * HALF +
			offset - (ring ? HALF : 0));
}

/* The first header in the ring that we receive by, in a fresh session. */
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
	       "%s: stops", what);
	tap_ok(ivshmem_channel_peek(victim, &message, &size, IVSHMEM_FOREVER) ==
	       -EPROTO && ivshmem_channel_recv(victim, NULL, 0, 0) == -EPROTO &&
	       ivshmem_channel_reserve(victim, 1, &room, 0) == -EPROTO &&
	       ivshmem_channel_send(victim, "", 1, 0, 0) == -EPROTO,
	       "%s: all calls", what);
	do
		got = ivshmem_channel_recv(other, bytes, sizeof(bytes),
					   ivshmem_after(PATIENCE));
	while (got >= 0);
	tap_eq(got, -EPIPE, "%s: the other end is told", what);
}

static void test_headers(void)
{
	static const struct {
		const char *what;
		uint64_t header;
	} bad[] = {
		{ "a message larger than the ring", 6144 - 16 + 2 },
		{ "one much larger", UINT64_C(1) << 40 },
		{ "one that wraps", UINT64_MAX - 8 },
		{ "almost a pad", UINT64_MAX - 1 },
		{ "a pad of the whole ring", UINT64_MAX },
	};
	size_t n;
	void *room;

	for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		victim = must_create(a, &options);
		other = must_attach(b, &options);
		tap_ok(eventually(ivshmem_channel_recv(victim, NULL, 0, 0) == -EAGAIN &&
				  !ivshmem_channel_reserve(other, 0, &room, 0)),
		       "%s: a fresh session", bad[n].what);
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
	tap_eq(say(victim, bytes), 0, "a small one still fits");
	tap_eq(ivshmem_channel_send(victim, bytes, sizeof(bytes), 0, 0), -EPROTO,
	       "a position that goes back");
	check_broken("a position that goes back");
	finish();
}

/* Whom to ring is the other end's to say, but not anything. */
static void test_ids(void)
{
	uint32_t *id = (uint32_t *)(other_word(0, 24));

	begin();
	id[0] = 65536;
	id[1] = 256;
	*other_word(0, 128) = 7;
	tap_eq(say(victim, "hello"), 0, "there is no such peer: no harm");
	id[0] = UINT32_MAX;
	id[1] = UINT32_MAX;
	*other_word(0, 128) = UINT64_C(8) << 32;
	tap_eq(say(victim, "hello"), 0, "nor such a vector");
	finish();
}

static _Atomic bool enough;

/* Write something somewhere: mostly where it matters, and what could be right. */
static void scribble(uint64_t *state)
{
	static const uint16_t places[] = { 128, 132, 136, 256, 256, 256 };
	volatile uint32_t *words = (void *)memory;
	uint64_t number = pattern_next(state), value = pattern_next(state);
	uint32_t place = CONTROL + number / 64 % 4 * HALF +
			 places[number / 256 % (sizeof(places) / sizeof(places[0]))];

	if (number % 64 == 0)
		place = number / 64 % CONTROL * 4;
	else if (number % 64 < 16)
		place = 4096 + number / 64 % ((options.size - 4096) / 8) * 8;
	if (value % 4)
		value = value / 4 % 8192 & ~UINT64_C(7);
	words[place / 4] = (uint32_t)value;
}

static void *scribble_all(void *argument)
{
	uint64_t state = 42;

	while (!enough) {
		scribble(&state);
		usleep(20);
	}
	return argument;
}

/* One of the calls; gives its error. */
static int call(uint64_t number)
{
	int64_t deadline = number % 3 ? 0 : ivshmem_after(20000);
	char bytes[16 << 10];
	const void *message;
	size_t size;
	void *room;
	int error;

	switch (number / 3 % 4) {
	case 0:
		return ivshmem_channel_send(victim, bytes, number / 12 % 6000,
					    number / 12 % 2, deadline);
	case 1:
		error = ivshmem_channel_recv(victim, bytes, sizeof(bytes), deadline);
		return error < 0 ? error : 0;
	case 2:
		size = number / 12 % 6000;
		error = ivshmem_channel_reserve(victim, size, &room, deadline);
		if (!error)
			memset(room, 1, size);
		return error ? error : ivshmem_channel_commit(victim, size, 0);
	default:
		error = ivshmem_channel_peek(victim, &message, &size, deadline);
		if (!error && size)
			memcpy(bytes, message, size);
		return error ? error : ivshmem_channel_release(victim);
	}
}

static void test_scribbler(void)
{
	int errors[200] = { 0 }, count, error, other_error;
	char bytes[16 << 10];
	uint64_t state = 1;
	pthread_t thread;

	victim = must_create(a, &options);
	other = must_attach(b, &options);
	pthread_create(&thread, NULL, scribble_all, NULL);
	for (count = 0; count < CALLS; count++) {
		if (count % 8 == 0)
			scribble(&state);
		error = call(pattern_next(&state) >> 8);
		errors[-error]++;
		other_error = say(other, "hello");
		if (!other_error)
			other_error = ivshmem_channel_recv(other, bytes,
							   sizeof(bytes), 0);
		if (error == -EPROTO || error == -ESTALE ||
		    other_error == -EPROTO || other_error == -ESTALE) {
			finish();
			victim = must_create(a, &options);
			other = must_attach(b, &options);
		}
	}
	enough = true;
	pthread_join(thread, NULL);
	for (error = 0; error < 200; error++)
		if (errors[error])
			tap_note("%5d times: %s", errors[error], strerror(error));
	tap_ok(errors[0] && errors[EPROTO],
	       "%d calls while all is overwritten", CALLS);
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
	test_back();
	test_ids();
	test_scribbler();
	ivshmem_unmap(a, memory, 1 << 20);
	ivshmem_close(a);
	ivshmem_close(b);
	return stop_server(server, SIGTERM) || tap_done();
}
