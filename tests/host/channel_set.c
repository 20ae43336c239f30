// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets of channels: one descriptor for a thousand of them. Each message hands out its own
 * channel and no other. The timer that would repair a loss is stopped, as in channel_events.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/timer.h"
#include "../guest/loop.h"
#include "../../lib/park.h"
#include "../../lib/set.h"

#define MANY		1000
#define SIZE		(4096 + 2 * 256)
#define MESSAGES	3000
#define PLACE		((uint64_t)SIZE * MANY)	/* of the set */

static struct ivshmem *a, *b;
static struct ivshmem_channel_set *set;

static struct ivshmem_channel_options range(int n)
{
	return (struct ivshmem_channel_options){ .offset = (uint64_t)SIZE * n, .size = SIZE };
}

static bool wakes(void)
{
	return loop_poll(ivshmem_channel_set_fd(set), 60000) == 1;
}

static struct ivshmem_channel *next(void)
{
	struct ivshmem_channel *channel;

	return ivshmem_channel_set_next(set, &channel) ? NULL : channel;
}

/* As a program does: all that is there of all channels that are handed out. */
static int receive_all(int *handed_out)
{
	struct ivshmem_channel *channel;
	int received = 0;

	while ((channel = next())) {
		++*handed_out;
		while (loop_recv(channel) >= 0)
			received++;
	}
	return received;
}

static void test_refused(void)
{
	struct ivshmem_channel_options options = range(0);
	struct ivshmem_channel_set *other;
	struct ivshmem_channel *channel;

	tap_eq(ivshmem_channel_set_open(a, 0, 0, 0, &other), -EINVAL, "a set without a range");
	tap_eq(ivshmem_channel_set_open(a, 64, 128, 0, &other), -EINVAL, "a misaligned offset");
	tap_eq(ivshmem_channel_set_open(a, 0, 100, 0, &other), -EINVAL, "a misaligned size");
	tap_eq(ivshmem_channel_set_open(a, 8 << 20, 128, 0, &other), -EINVAL, "a range beyond the end");
	tap_eq(ivshmem_channel_set_open(a, 0, 128, 300, &other), -EINVAL, "a vector there is not");
	options.set = set;
	tap_eq(ivshmem_channel_create(a, &options, &channel), -EINVAL, "the set of another handle");
	tap_eq(ivshmem_channel_create(b, &options, &channel), 0, "a channel in a set");
	tap_eq(ivshmem_channel_fd(channel), -EBUSY, "has no descriptor of its own");
	ivshmem_channel_close(channel);
}

static void test_many(struct ivshmem_channel **x, struct ivshmem_channel **y)
{
	int n, handed_out = 0, received = 0, sent = 0, wrong = 0;
	struct ivshmem_channel *channel;
	uint64_t random = 1;

	for (n = 0; n < MANY; n++) {
		struct ivshmem_channel_options options = range(n);

		x[n] = must_create(a, &options);
		options.set = set;
		y[n] = must_attach(b, &options);
		handshake(x[n], y[n]);
	}
	receive_all(&handed_out);
	stop_timer(&set->listener);
	for (n = 0; n < MESSAGES; n++) {
		int which = pattern_next(&random) % MANY;

		loop_send(x[which]);
		wrong += !wakes();
		channel = next();
		wrong += channel != y[which] || loop_recv(channel) != 32 ||
			 loop_recv(channel) != -EAGAIN || next();
	}
	tap_eq(wrong, 0, "one message to one of %d channels hands out that one", MANY);
	for (n = 0; n < MESSAGES; n++)
		sent += !loop_send(x[pattern_next(&random) % MANY]);
	handed_out = 0;
	while (received < sent && wakes())
		received += receive_all(&handed_out);
	tap_eq(received, sent, "messages to any: all are received");
	tap_ok(handed_out <= MANY, "each of the %d channels was handed out once at most (%d)", MANY,
	       handed_out);
}

static void *send_to_many(void *argument)
{
	struct ivshmem_channel **x = argument;
	char bytes[32] = "";
	intptr_t sent = 0;
	uint64_t random = 7;

	while (sent < 10 * MESSAGES &&
	       !ivshmem_channel_send(x[pattern_next(&random) % MANY], bytes, 32, 0,
				     ivshmem_after(PATIENCE)))
		sent++;
	return (void *)sent;
}

static void test_busy(struct ivshmem_channel **x)
{
	int received = 0, handed_out = 0;
	pthread_t thread;
	void *sent;

	pthread_create(&thread, NULL, send_to_many, x);
	while (received < 10 * MESSAGES && wakes())
		received += receive_all(&handed_out);
	pthread_join(thread, &sent);
	tap_ok(received == 10 * MESSAGES && (intptr_t)sent == received,
	       "another thread sends without a pause: all %d messages are received", received);
}

/* Room is told as messages are; the program asks in both directions. */
static void test_room(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	struct ivshmem_channel *channel;
	int handed_out = 0, asked = 0, error = -EAGAIN;

	while (!loop_send(y))
		;
	receive_all(&handed_out);
	loop_recv(x);
	while (error == -EAGAIN && wakes())
		while ((channel = next()) && asked++ < 1000)
			error = channel == y ? loop_send(y) : error;
	tap_eq(error, 0, "a channel that waits for room is handed out when there is some");
	while (!loop_send(y))
		;
	while (loop_recv(x) >= 0)
		;
	/* It does not want to send any more. */
	for (asked = 0; asked < 1000 && next(); asked++)
		loop_recv(y);
	tap_ok(asked < 100, "a program that gives up sending gets it %d times", asked);
}

static void test_ends(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	struct ivshmem_channel_options options = range(MANY + 1);
	struct ivshmem_channel *channel, *there;
	int told = 0, handed_out = 0;
	pid_t pid;

	receive_all(&handed_out);
	ivshmem_channel_close(x);
	while (!told && wakes())
		while ((channel = next()))
			told += channel == y && loop_recv(channel) == -EPIPE;
	tap_eq(told, 1, "a channel whose other end closes is handed out");
	options.offset = PLACE + 4096;
	options.set = set;
	there = must_create(b, &options);
	options.set = NULL;
	pid = fork();
	if (!pid) {
		must_attach(must_open(0), &options);
		pause();
	}
	while (loop_send(there) == -EAGAIN && wakes())
		receive_all(&handed_out);
	loop_recv(there);
	receive_all(&handed_out);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (told = 0; !told && wakes();)
		while ((channel = next()))
			told += loop_recv(channel) == -EPIPE && channel == there;
	tap_eq(told, 1, "one whose other end is killed as well");
	ivshmem_channel_close(there);
}

/* What the other end says about the bit is not to be trusted. */
static void test_hostile(void)
{
	struct ivshmem_channel_options options = range(0);
	struct ivshmem_channel *x = must_create(a, &options), *y = must_attach(b, &options);
	static const uint64_t addresses[] = { 1, 63, 64, UINT64_MAX, UINT64_C(8) << 23,
					      (UINT64_C(8) << 23) - 1, UINT64_C(1) << 63 };
	size_t n, arrived = 0;

	handshake(x, y);
	for (n = 0; n < sizeof(addresses) / sizeof(*addresses); n++) {
		loop_recv(y);
		y->directions[IN].mine->ready = addresses[n];
		y->directions[IN].mine->asleep++;
		arrived += !loop_send(x) && loop_recv(y) == 32;
	}
	tap_eq(arrived, n, "addresses beyond the region are not written to");
	ivshmem_channel_close(x);
	ivshmem_channel_close(y);
}

static void *attach(void *options)
{
	return must_attach(b, options);
}

/* One thread attaches, the other asks the set: what is not attached yet is no channel. */
static void test_early(void)
{
	struct ivshmem_channel_options options = { .offset = PLACE + (64 << 10), .size = SIZE };
	struct ivshmem_channel *x, *y;
	struct ivshmem_channel_options in_set = options;
	int handed_out = 0, early = 0;
	int64_t end = ivshmem_after(SECOND / 5);
	pthread_t thread;
	void *attached;

	in_set.set = set;
	pthread_create(&thread, NULL, attach, &in_set);
	while (ivshmem_now() < end)
		if (loop_poll(ivshmem_channel_set_fd(set), 10) == 1)
			receive_all(&early);
	tap_eq(early, 0, "a channel that waits for its creator is not handed out");
	x = must_create(a, &options);
	pthread_join(thread, &attached);
	y = attached;
	while (loop_send(x) == -EAGAIN && wakes())
		receive_all(&handed_out);
	while (!receive_all(&handed_out) && wakes())
		;
	tap_ok(handed_out > 0, "it is as soon as it is attached");
	ivshmem_channel_close(y);
	ivshmem_channel_close(x);
}

/* Others cannot have all members looked at again and again by saying that they do not ring. */
static void test_unrung(void)
{
	enum { MEMBERS = 20 };
	struct ivshmem_channel *x[MEMBERS], *y[MEMBERS], *channel;
	int64_t end;
	int n, rung = 0, unrung = 0;

	for (n = 0; n < MEMBERS; n++) {
		struct ivshmem_channel_options options = range(n);

		x[n] = must_create(a, &options);
		if (!n) {
			x[n]->directions[OUT].mine->id = CHANNEL_NO_ID;
			x[n]->directions[IN].mine->id = CHANNEL_NO_ID;
		}
		options.set = set;
		y[n] = must_attach(b, &options);
		handshake(x[n], y[n]);
	}
	for (end = ivshmem_after(SECOND / 2); ivshmem_now() < end;) {
		loop_poll(ivshmem_channel_set_fd(set), 10);
		while ((channel = next())) {
			*(channel == y[0] ? &unrung : &rung) += 1;
			loop_recv(channel);
		}
	}
	tap_ok(rung < 10 * MEMBERS && unrung > 1,
	       "in a while one that is not rung is handed out %d times, %d that are rung %d times",
	       unrung, MEMBERS - 1, rung);
	for (n = 0; n < MEMBERS; n++) {
		ivshmem_channel_close(x[n]);
		ivshmem_channel_close(y[n]);
	}
}

int main(void)
{
	struct ivshmem_channel *x[MANY], *y[MANY];
	pid_t server = start_server("--memfd", "-l", "8M", "-n", "2", NULL);
	int n, before, full = 0;

	a = must_open(0);
	b = must_open(0);
	ivshmem_peers(a, NULL, 0);
	before = open_descriptors(0);
	if (ivshmem_channel_set_open(b, PLACE, IVSHMEM_CHANNEL_SET_SIZE, 1, &set))
		tap_bail("no set");
	test_refused();
	test_early();
	test_unrung();
	test_many(x, y);
	test_busy(x);
	test_room(x[5], y[5]);
	test_ends(x[7], y[7]);
	x[7] = NULL;
	for (n = 0; n < MANY; n++)
		ivshmem_channel_close(x[n]);
	for (n = MANY; n < 1100 && !full; n++) {
		struct ivshmem_channel_options options = range(0);
		struct ivshmem_channel *more;

		options.set = set;
		full = ivshmem_channel_create(b, &options, &more);
		if (!full)
			x[n - MANY] = more;
	}
	tap_ok(full == -ENOSPC && n == 1024, "a set of 128 bytes takes 1023 channels");
	for (n -= MANY + 1; n--;)
		ivshmem_channel_close(x[n]);
	ivshmem_channel_set_close(set);
	for (n = 0; n < MANY; n++)
		ivshmem_channel_close(y[n]);
	tap_ok(true, "a set may be closed before its channels");
	test_hostile();
	ivshmem_peers(a, NULL, 0);
	ivshmem_peers(b, NULL, 0);
	tap_eq(open_descriptors(0), before, "no descriptor is lost");
	ivshmem_close(a);
	ivshmem_close(b);
	return stop_server(server, SIGTERM) || tap_done();
}
