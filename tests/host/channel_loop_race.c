// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event loops under the thread sanitizer. One thread sends and one receives, each by polling the
 * channel's descriptor; another asks a set; peers attach to a member of that and leave; and the
 * program shuts the channel down in the midst of it, twice at once.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "common/channel.h"
#include "../guest/loop.h"

#define ROUNDS	15
#define SIZE	(16 << 10)
#define SET	(8 * SIZE)

static const struct ivshmem_channel_options options = { .size = SIZE };

static struct ivshmem *a, *b;
static struct ivshmem_channel_set *set;
static _Atomic bool over;

static void wait_for(struct ivshmem_channel *channel)
{
	loop_poll(ivshmem_channel_fd(channel), 100);
}

/* Until the channel has been shut down. Sessions may end before that. */
static void *use(struct ivshmem_channel *channel, int (*call)(struct ivshmem_channel *channel))
{
	intptr_t done = 0;
	int result;

	while ((result = call(channel)) != -ESHUTDOWN) {
		done += result >= 0;
		if (result == -EAGAIN)
			wait_for(channel);
	}
	return (void *)done;
}

static void *send_all(void *channel)
{
	return use(channel, loop_send);
}

static void *receive_all(void *channel)
{
	return use(channel, loop_recv);
}

/* The other end, which sends and receives in one thread. */
static void *echo(void *channel)
{
	while (!over) {
		int received = loop_recv(channel);

		loop_send(channel);
		if (received == -EAGAIN)
			wait_for(channel);
	}
	return NULL;
}

static void *ask_set(void *argument)
{
	struct ivshmem_channel *channel;

	while (!over) {
		while (!ivshmem_channel_set_next(set, &channel))
			while (loop_recv(channel) >= 0)
				;
		loop_poll(ivshmem_channel_set_fd(set), 10);
	}
	return argument;
}

static void *come_and_go(void *argument)
{
	struct ivshmem_channel_options range = { .offset = SIZE, .size = SIZE };

	while (!over) {
		struct ivshmem *handle = must_open(0);
		struct ivshmem_channel *channel = must_attach(handle, &range);

		ivshmem_channel_send(channel, "hello", 5, 0, ivshmem_after(SECOND / 100));
		ivshmem_channel_close(channel);
		ivshmem_close(handle);
		ivshmem_peers(b, NULL, 0);
	}
	return argument;
}

static void *shut_down(void *channel)
{
	ivshmem_channel_shutdown(channel);
	return NULL;
}

enum { SENDER, RECEIVER, ECHO, SET_OWNER, PEER, ENDER, THREADS };

/* How many messages went both ways. */
static intptr_t run(int round)
{
	struct ivshmem_channel *x = must_create(a, &options), *y = must_attach(b, &options);
	pthread_t threads[THREADS];
	void *sent, *received;

	handshake(x, y);
	if (ivshmem_channel_fd(x) < 0 || ivshmem_channel_fd(y) < 0)
		tap_bail("no descriptor to poll");
	over = false;
	pthread_create(&threads[SENDER], NULL, send_all, x);
	pthread_create(&threads[RECEIVER], NULL, receive_all, x);
	pthread_create(&threads[ECHO], NULL, echo, y);
	pthread_create(&threads[SET_OWNER], NULL, ask_set, NULL);
	pthread_create(&threads[PEER], NULL, come_and_go, NULL);
	usleep(10000 * (round + 1));
	pthread_create(&threads[ENDER], NULL, shut_down, x);
	ivshmem_channel_shutdown(x);
	pthread_join(threads[ENDER], NULL);
	pthread_join(threads[SENDER], &sent);
	pthread_join(threads[RECEIVER], &received);
	over = true;
	pthread_join(threads[ECHO], NULL);
	pthread_join(threads[SET_OWNER], NULL);
	pthread_join(threads[PEER], NULL);
	ivshmem_channel_close(x);
	ivshmem_channel_close(y);
	return (intptr_t)sent < (intptr_t)received ? (intptr_t)sent : (intptr_t)received;
}

int main(void)
{
	struct ivshmem_channel_options range = { .offset = SIZE, .size = SIZE };
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "1", NULL);
	struct ivshmem_channel *member;
	intptr_t messages = 0;
	int round;

	a = must_open(0);
	b = must_open(0);
	if (ivshmem_channel_set_open(b, SET, IVSHMEM_CHANNEL_SET_SIZE, 0, &set))
		tap_bail("no set");
	range.set = set;
	member = must_create(b, &range);
	for (round = 0; round < ROUNDS; round++)
		messages += run(round);
	tap_ok(messages > 0, "event loops of two threads, until a shutdown: %d messages",
	       (int)messages);
	ivshmem_channel_close(member);
	ivshmem_channel_set_close(set);
	ivshmem_close(a);
	ivshmem_close(b);
	return stop_server(server, SIGTERM) || tap_done();
}
