// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library gets all of its vectors from a server that is slow: ivshmem-server marks
 * the last one, other servers let it count those of another peer (lib/backend_server.c).
 */
#include <unistd.h>

#include "common/fake_server.h"
#include "ivshmem.h"

#define VECTORS		3

static unsigned int pause_us;

static void put_late(int client, int64_t value, int fd)
{
	usleep(pause_us);
	put(client, value, fd);
}

static void put_vectors(int client, int64_t id, bool marked)
{
	int n;

	for (n = 1; n < VECTORS; n++)
		put_late(client, id, doorbell());
	put_late(client, id, marked ? last_doorbell() : doorbell());
}

static void marks_alone(int client)
{
	begin(client);
	put_vectors(client, 3, true);
	linger(client);
}

static void marks_for_many(int client)
{
	begin(client);
	put_vectors(client, 1, true);
	put_vectors(client, 3, true);
	linger(client);
}

static void unmarked_alone(int client)
{
	begin(client);
	put_vectors(client, 3, false);
	linger(client);
}

static void unmarked_with_many(int client)
{
	begin(client);
	put_vectors(client, 1, false);
	put_late(client, 2, NONE);
	put_vectors(client, 3, false);
	linger(client);
}

/* The peer that was there before has left: its vectors say nothing. */
static void unmarked_left_alone(int client)
{
	begin(client);
	put_vectors(client, 1, false);
	put_late(client, 1, NONE);
	put_vectors(client, 3, false);
	linger(client);
}

/* Another joins while the client is introduced, and has a mark as well. */
static void marks_and_a_newcomer(int client)
{
	begin(client);
	put_vectors(client, 3, true);
	put_vectors(client, 4, true);
	linger(client);
}

/* The client would be mute and deaf among others. */
static void none_for_us(int client)
{
	begin(client);
	put_vectors(client, 1, false);
	linger(client);
}

static void check(const char *what, fake_script script, int guessed)
{
	pthread_t thread = fake_run(script);
	struct ivshmem_properties properties = { 0 };
	struct ivshmem *handle = NULL;

	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), 0, "%s, pauses of %u ms: join", what,
	       pause_us / 1000);
	if (handle)
		ivshmem_get_properties(handle, &properties);
	tap_eq(properties.vectors, VECTORS, "%s: all vectors are there", what);
	tap_eq(properties.vectors_guessed, guessed, "%s: the number is %s", what,
	       guessed ? "a guess" : "known");
	ivshmem_close(handle);
	pthread_join(thread, NULL);
}

#define CHECK(script, guessed) check(#script, script, guessed)

int main(void)
{
	static const unsigned int pauses[] = { 0, 300000, 1000000 };
	struct ivshmem *handle;
	pthread_t thread;
	size_t n;

	fake_listen();
	for (n = 0; n < sizeof(pauses) / sizeof(pauses[0]); n++) {
		pause_us = pauses[n];
		CHECK(marks_alone, 0);
		CHECK(unmarked_alone, 1);
		CHECK(marks_and_a_newcomer, 0);
		if (pause_us == 1000000)
			pause_us = 600000;	/* all within five seconds */
		CHECK(marks_for_many, 0);
		CHECK(unmarked_with_many, 0);
		CHECK(unmarked_left_alone, 1);
	}
	pause_us = 0;
	thread = fake_run(none_for_us);
	tap_eq(ivshmem_open(&handle, scratch("socket"), 0), -ETIMEDOUT,
	       "others have vectors, but none come for the client");
	pthread_join(thread, NULL);
	return tap_done();
}
