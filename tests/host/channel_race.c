// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring buffer and the sessions under the thread sanitizer: messages of random sizes
 * at random times, so that either side is ahead, behind and asleep by turns.
 *
 * The sanitizer knows memory by its address. So the buffer itself is tried in
 * plain memory, which both threads see in the same place; whole channels have a
 * mapping for each end, and are tried for what the threads of one end share.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "../../lib/ring_buffer.h"

#define CAPACITY	2048
#define MESSAGES	100000
#define SESSIONS	40

/* One ring buffer, used as in a channel but without sessions. */
static _Alignas(CHANNEL_ALIGN) unsigned char data[CAPACITY];
static struct buffer_half consumer_half;
static uint64_t failures;

static void *produce(void *argument)
{
	struct buffer_producer buffer;
	uint64_t n, state = 1;
	void *room;

	buffer_producer_start(&buffer, data, CAPACITY);
	for (n = 0; n < MESSAGES; n++) {
		size_t size = pattern_size(n, CAPACITY - BUFFER_OVERHEAD);

		while (!(room = buffer_reserve(&buffer, size))) {
			if (buffer.held)
				buffer_show(&buffer);
			if (!buffer_freed(&buffer, atomic_load(&consumer_half.position)))
				failures++;
			if (!buffer_pad(&buffer, size))
				sched_yield();
		}
		pattern_write(room, size, n);
		buffer_add(&buffer, size + 1, buffer_record(size),
			   pattern_next(&state) % 4 == 0);
		if (pattern_next(&state) % 4096 == 0)
			usleep(100);
	}
	if (buffer.held)
		buffer_show(&buffer);
	return argument;
}

static void *consume(void *argument)
{
	struct buffer_consumer buffer = *(struct buffer_consumer *)argument;
	uint64_t n = 0, state = 2;

	while (n < MESSAGES) {
		switch (buffer_look(&buffer)) {
		case BUFFER_NONSENSE:
			failures++;
			return NULL;
		case BUFFER_MESSAGE:
			if (buffer.size != pattern_size(n, CAPACITY - BUFFER_OVERHEAD) ||
			    !pattern_matches(buffer_message(&buffer), buffer.size, n))
				failures++;
			buffer_skip(&buffer, buffer.record);
			n++;
			break;
		default:
			sched_yield();
			break;
		}
		atomic_store_explicit(&consumer_half.position,
				      buffer_position(&buffer), memory_order_release);
		if (pattern_next(&state) % 4096 == 0)
			usleep(100);
	}
	return argument;
}

static void test_buffer(void)
{
	struct buffer_consumer buffer;
	pthread_t threads[2];

	buffer_consumer_start(&buffer, data, CAPACITY);
	pthread_create(&threads[0], NULL, produce, NULL);
	pthread_create(&threads[1], NULL, consume, &buffer);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	tap_eq(failures, 0, "%d messages pass a ring buffer unchanged", MESSAGES);
}

/* One end of a channel, used by a thread that sends and one that receives. */
static const struct ivshmem_channel_options options = {
	.size = 16 << 10,
	.spin_ns = 20000,
};

static uint64_t end_seed;

static void *send_some(void *channel)
{
	char bytes[2000];
	uint64_t n, state = pattern_seed(end_seed);
	int error = 0;

	for (n = 0; n < 2000 && !error; n++) {
		size_t size = pattern_size(n, sizeof(bytes));

		pattern_write(bytes, size, n);
		error = ivshmem_channel_send(channel, bytes, size,
					     pattern_next(&state) % 8 == 0,
					     ivshmem_after(PATIENCE));
		if (pattern_next(&state) % 512 == 0)
			usleep(200);
	}
	ivshmem_channel_flush(channel);
	return (void *)(intptr_t)error;
}

/* Receive until the other end has closed. */
static void *receive_some(void *channel)
{
	const void *message;
	uint64_t n = 0, state = pattern_seed(end_seed + 1);
	int error;
	size_t size;

	while (!(error = ivshmem_channel_peek(channel, &message, &size,
					      ivshmem_after(PATIENCE)))) {
		if (size != pattern_size(n, 2000) ||
		    !pattern_matches(message, size, n))
			return (void *)(intptr_t)-EBADMSG;
		n++;
		ivshmem_channel_release(channel);
		if (n == 2000)
			return NULL;
		if (pattern_next(&state) % 512 == 0)
			usleep(200);
	}
	return (void *)(intptr_t)error;
}

static int use_end(struct ivshmem_channel *channel)
{
	void *sent, *received;
	pthread_t thread;

	pthread_create(&thread, NULL, send_some, channel);
	received = receive_some(channel);
	pthread_join(thread, &sent);
	return (int)((intptr_t)sent ? (intptr_t)sent : (intptr_t)received);
}

static void *use_other_end(void *channel)
{
	return (void *)(intptr_t)use_end(channel);
}

static void test_threads(void)
{
	struct ivshmem *a = must_open(0), *b = must_open(0);
	struct ivshmem_channel *x, *y;
	int round, wrong = 0;
	pthread_t thread;
	void *result;

	for (round = 0; round < SESSIONS; round++) {
		end_seed = round;
		x = must_create(a, &options);
		y = must_attach(b, &options);
		pthread_create(&thread, NULL, use_other_end, y);
		wrong += use_end(x) != 0;
		pthread_join(thread, &result);
		wrong += result != NULL;
		ivshmem_channel_close(x);
		ivshmem_channel_close(y);
	}
	tap_eq(wrong, 0, "%d sessions of two ends with two threads each", SESSIONS);
	ivshmem_close(b);
	ivshmem_close(a);
}

static void test_processes(void)
{
	struct ivshmem *a = must_open(0);
	struct ivshmem_channel *channel;
	int status = 1, wrong = 0, round;
	pid_t pid;

	for (round = 0; round < 5; round++) {
		channel = must_create(a, &options);
		pid = fork();
		if (!pid) {
			struct ivshmem *handle = must_open(0);

			channel = must_attach(handle, &options);
			status = use_end(channel) != 0;
			ivshmem_channel_close(channel);
			ivshmem_close(handle);
			_exit(status);
		}
		wrong += use_end(channel) != 0;
		waitpid(pid, &status, 0);
		wrong += status != 0;
		ivshmem_channel_close(channel);
	}
	tap_eq(wrong, 0, "sessions of two processes with two threads each");
	ivshmem_close(a);
}

int main(void)
{
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);

	test_buffer();
	test_threads();
	test_processes();
	return stop_server(server, SIGTERM) || tap_done();
}
