// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event loops: programs that never wait in a call but only in poll(), without a timeout.
 * Each loop of this file hung at some time, or burned the processor. The timer that would
 * repair a lost wake-up after a while is stopped here, so that a loss is a hang.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/timer.h"
#include "../guest/loop.h"
#include "../../lib/session.h"

#define MESSAGES	20000
#define MANY		20

static const struct ivshmem_channel_options options = { .size = 4096 + 2 * 256 };

static void stop_timer_of(struct ivshmem_channel *channel)
{
	ivshmem_channel_fd(channel);
	stop_timer(&channel->listener);
}

/* One thread of two for an end: only sends, or only receives. */
static void *send_all(void *channel)
{
	intptr_t sent = 0;
	int error = 0;

	while (sent < MESSAGES && (!error || (error == -EAGAIN && loop_wakes(channel))))
		sent += !(error = loop_send(channel));
	return (void *)sent;
}

static void *send_all_waiting(void *channel)
{
	intptr_t sent = 0;
	char bytes[32] = "";

	while (sent < MESSAGES && !ivshmem_channel_send(channel, bytes, sizeof(bytes), 0,
							 ivshmem_after(PATIENCE)))
		sent++;
	return (void *)sent;
}

static void *receive_all(void *channel)
{
	intptr_t received = 0;
	int size = 0;

	while (received < MESSAGES && (size >= 0 || (size == -EAGAIN && loop_wakes(channel))))
		received += (size = loop_recv(channel)) >= 0;
	return (void *)received;
}

struct pair {
	struct ivshmem *a, *b;
	struct ivshmem_channel *x, *y;
};

static void begin(struct pair *pair)
{
	pair->x = must_create(pair->a, &options);
	pair->y = must_attach(pair->b, &options);
	handshake(pair->x, pair->y);
}

static void finish(struct pair *pair)
{
	ivshmem_channel_close(pair->x);
	ivshmem_channel_close(pair->y);
}

static void *exchange(void *channel)
{
	return (void *)(intptr_t)loop_exchange(channel, MESSAGES);
}

static void test_both_ways(struct pair *pair)
{
	pthread_t thread;
	void *there;

	begin(pair);
	stop_timer_of(pair->x);
	stop_timer_of(pair->y);
	pthread_create(&thread, NULL, exchange, pair->x);
	tap_eq(loop_exchange(pair->y, MESSAGES), MESSAGES,
	       "two ends poll and send both ways: all arrives (once they hung)");
	pthread_join(thread, &there);
	tap_eq((intptr_t)there, MESSAGES, "at the other end as well");
	finish(pair);
}

/* Both threads of an end; the sender polls, or waits in its calls. */
static void test_two_threads(struct pair *pair, void *(*send)(void *), const char *how)
{
	pthread_t threads[4];
	void *results[4];
	int n, right = 0;

	begin(pair);
	if (send == send_all_waiting) {
		stop_timer_of(pair->x);
		stop_timer_of(pair->y);
	}
	pthread_create(&threads[0], NULL, send, pair->x);
	pthread_create(&threads[1], NULL, send, pair->y);
	pthread_create(&threads[2], NULL, receive_all, pair->x);
	pthread_create(&threads[3], NULL, receive_all, pair->y);
	for (n = 0; n < 4; n++) {
		pthread_join(threads[n], &results[n]);
		right += (intptr_t)results[n] == MESSAGES;
	}
	tap_eq(right, 4, "one thread of each end polls for messages, another %s", how);
	finish(pair);
}

/* Channels that share a vector: none takes the doorbell of another. */
static void test_shared_vector(struct pair *pair)
{
	struct ivshmem_channel *x[MANY], *y[MANY];
	int n, round, silent = 0, loud = 0;

	for (n = 0; n < MANY; n++) {
		struct ivshmem_channel_options range = options;

		range.offset = 8192 * n;
		x[n] = must_create(pair->a, &range);
		y[n] = must_attach(pair->b, &range);
		handshake(x[n], y[n]);
		stop_timer_of(y[n]);
	}
	for (round = 0; round < 50; round++) {
		for (n = 0; n < MANY; n++)
			while (loop_recv(y[n]) != -EAGAIN)
				;
		for (n = 0; n < MANY; n++)
			loop_send(x[(n * 7 + round) % MANY]);
		for (n = 0; n < MANY; n++) {
			silent += !loop_wakes(y[n]);
			loud += loop_recv(y[n]) != 32;
		}
	}
	tap_eq(silent + loud, 0, "%d channels on one vector: each hears of each message", MANY);
	for (n = 0; n < MANY; n++) {
		ivshmem_channel_close(x[n]);
		ivshmem_channel_close(y[n]);
	}
}

/* A program that drops what it cannot send, and polls for what it receives. */
static void test_dropped(struct pair *pair)
{
	int fd, round, wakeups = 0;

	begin(pair);
	fd = ivshmem_channel_fd(pair->y);
	stop_timer_of(pair->y);
	while (!loop_send(pair->y))
		;
	while (loop_recv(pair->x) != -EAGAIN)
		;
	for (round = 0; round < 100; round++) {
		wakeups += loop_poll(fd, 1);
		loop_recv(pair->y);
	}
	tap_ok(wakeups && wakeups < 50, "a program that gives up sending is woken %d times",
	       wakeups);
	finish(pair);
}

/* It finds no room before the other end is there, and then always some. */
static void test_served(struct pair *pair)
{
	struct ivshmem_channel *x = must_create(pair->a, &options), *y;

	ivshmem_channel_fd(x);
	tap_eq(loop_send(x), -EAGAIN, "there is no other end");
	y = must_attach(pair->b, &options);
	while (loop_recv(y) == -EAGAIN && loop_recv(x) == -EAGAIN && !x->directions[OUT].peer)
		;
	tap_eq(loop_send(x), 0, "now there is");
	while (loop_recv(x) != -EAGAIN)
		;
	tap_ok(!x->directions[OUT].armed, "its descriptor does not go on telling of room");
	ivshmem_channel_close(x);
	ivshmem_channel_close(y);
}

/* A process that attaches, sends a word and lives until it is killed. */
static pid_t start_other(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	struct ivshmem_channel *channel = must_attach(must_open(0), &options);

	ivshmem_channel_send(channel, "hello", 5, 0, ivshmem_after(PATIENCE));
	for (;;)
		pause();
}

static void end_other(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Call until it is anything but @expected; whether that comes. */
static int until(int (*call)(struct ivshmem_channel *), struct ivshmem_channel *channel,
		 bool polls, int expected)
{
	int result;

	for (int n = 0; n < 100000; n++) {
		result = call(channel);
		if (result != expected)
			return result;
		if (polls && !loop_wakes(channel))
			return -ETIME;
		if (!polls)
			usleep(100);
	}
	return expected;
}

static void test_death(struct ivshmem *a, int (*call)(struct ivshmem_channel *), bool polls,
		       const char *what)
{
	struct ivshmem_channel *x = must_create(a, &options);
	pid_t pid = start_other();

	hear(x, "hello", ivshmem_after(PATIENCE));
	if (polls)
		stop_timer_of(x);
	while (call == loop_send && loop_send(x) == 0)
		;
	tap_eq(call(x), -EAGAIN, "%s: nothing to be done", what);
	end_other(pid);
	tap_eq(until(call, x, polls, -EAGAIN), -EPIPE, "%s: hears that the other end was killed",
	       what);
	ivshmem_channel_close(x);
}

static void *receive_once(void *channel)
{
	return (void *)(intptr_t)ivshmem_channel_recv(channel, NULL, 0, IVSHMEM_FOREVER);
}

static void test_shutdown(struct pair *pair)
{
	int round, wrong = 0;
	pthread_t thread;
	void *result;

	for (round = 0; round < 100; round++) {
		begin(pair);
		pthread_create(&thread, NULL, receive_once, pair->x);
		if (round % 2)
			usleep(round * 20);
		ivshmem_channel_shutdown(pair->x);
		pthread_join(thread, &result);
		wrong += (intptr_t)result != -ESHUTDOWN;
		wrong += loop_send(pair->x) != -ESHUTDOWN;
		wrong += loop_recv(pair->y) != -EPIPE;
		finish(pair);
	}
	tap_eq(wrong, 0, "shutdown ends a recv() without a deadline, and the other end hears it");
	begin(pair);
	stop_timer_of(pair->x);
	loop_recv(pair->x);
	ivshmem_channel_shutdown(pair->x);
	tap_ok(loop_wakes(pair->x), "shutdown wakes a poll()");
	tap_eq(loop_recv(pair->x), -ESHUTDOWN, "then recv() says so");
	finish(pair);
}

/* How often the thread still went to sleep, when it was told while it looked at the word. */
static uint64_t sleeps_after_shutdown(struct pair *pair)
{
	struct ivshmem_channel_properties properties;
	pthread_t thread;

	begin(pair);
	pair->x->spin_ns = IVSHMEM_MAX_SPIN_NS;
	handshake(pair->x, pair->y);
	pthread_create(&thread, NULL, receive_once, pair->x);
	usleep(50000);
	ivshmem_channel_shutdown(pair->x);
	pthread_join(thread, NULL);
	ivshmem_channel_get_properties(pair->x, &properties);
	finish(pair);
	return properties.sleeps;
}

/* On a busy machine the thread may have been asleep already: try again. */
static void test_shutdown_of_spinner(struct pair *pair)
{
	uint64_t sleeps = 1;
	int round;

	for (round = 0; round < 5 && sleeps; round++)
		sleeps = sleeps_after_shutdown(pair);
	tap_eq(sleeps, 0, "shutdown ends a recv() that has not gone to sleep yet");
}

/* The last test: the server dies. */
static void test_server_end(struct pair *pair, pid_t server)
{
	begin(pair);
	stop_timer_of(pair->x);
	while (loop_recv(pair->x) != -EAGAIN || loop_recv(pair->y) != -EAGAIN)
		;
	end_other(server);
	tap_eq(until(loop_recv, pair->x, true, -EAGAIN), -ENODEV, "poll: hears of the server's end");
	tap_ok(loop_wakes(pair->x), "the descriptor stays readable");
	tap_eq(until(loop_recv, pair->y, false, -EAGAIN), -ENODEV,
	       "recv() without waiting: hears of the server's end");
	tap_eq(loop_send(pair->y), 0, "messages still go through the memory");
	tap_eq(loop_recv(pair->x), 32, "and arrive");
	finish(pair);
}

int main(void)
{
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	struct pair pair = { .a = must_open(0), .b = must_open(0) };
	int before;

	ivshmem_peers(pair.a, NULL, 0);		/* has the descriptors of the other now */
	before = open_descriptors(0);
	test_both_ways(&pair);
	test_two_threads(&pair, send_all, "polls for room");
	test_two_threads(&pair, send_all_waiting, "waits for room (once it took the events)");
	test_shared_vector(&pair);
	test_dropped(&pair);
	test_served(&pair);
	test_death(pair.a, loop_recv, true, "poll and recv");
	test_death(pair.a, loop_recv, false, "recv again and again");
	test_death(pair.a, loop_send, true, "poll and send");
	test_death(pair.a, loop_send, false, "send again and again");
	test_shutdown(&pair);
	test_shutdown_of_spinner(&pair);
	/* Those of the dead, too, once we hear of it. */
	ivshmem_peers(pair.b, NULL, 0);
	tap_eq(open_descriptors(0), before, "no descriptor is lost");
	test_server_end(&pair, server);
	ivshmem_close(pair.a);
	ivshmem_close(pair.b);
	return tap_done();
}
