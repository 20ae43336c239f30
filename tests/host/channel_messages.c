// SPDX-License-Identifier: GPL-2.0-only
/*
 * Correct use of channels: every call, messages of all sizes, both directions, with and
 * without waiting.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/channel.h"

#define REGION		(4 << 20)
#define RANDOM_MESSAGES	20000
#define STREAM_MESSAGES	200000

static const struct ivshmem_channel_options options = {
	.offset = 128,
	.size = 64 << 10,
};

static void test_options(struct ivshmem *a)
{
	static const struct {
		const char *what;
		struct ivshmem_channel_options options;
	} bad[] = {
		{ "no size", { .size = 0 } },
		{ "too small", { .size = 4096 + 256 } },
		{ "unaligned size", { .size = 65536 + 64 } },
		{ "unaligned offset", { .offset = 64, .size = 65536 } },
		{ "beyond the end", { .offset = REGION - 4096, .size = 65536 } },
		{ "offset beyond the end", { .offset = REGION, .size = 65536 } },
		{ "offset far beyond", { .offset = -128ULL, .size = 65536 } },
		{ "larger than the region", { .size = REGION + 128 } },
		{ "far larger", { .size = -128ULL } },
		{ "unaligned send_size", { .size = 65536, .send_size = 1000 } },
		{ "send_size too small", { .size = 65536, .send_size = 128 } },
		{ "too little left to receive", { .size = 65536,
					    .send_size = 65536 - 4096 - 128 } },
		{ "send_size as large as the channel", { .size = 65536, .send_size = 65536 } },
		{ "send_size far larger", { .size = 65536, .send_size = -128ULL } },
		{ "no such vector", { .size = 65536, .vector = 4 } },
		{ "spinning too long", { .size = 65536, .spin_ns = SECOND + 1 } },
		{ "reserved", { .size = 65536, .reserved = 1 } },
	};
	struct ivshmem *reader = must_open(IVSHMEM_READ_ONLY);
	struct ivshmem_channel *channel = (void *)a;
	size_t n;

	for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		tap_eq(ivshmem_channel_create(a, &bad[n].options, &channel),
		       -EINVAL, "create: %s", bad[n].what);
	tap_ok(!channel, "create: a refusal gives no channel");
	tap_eq(ivshmem_channel_create(reader, &options, &channel), -EACCES,
	       "create: read-only");
	tap_eq(ivshmem_channel_attach(reader, &options, 0, &channel), -EACCES,
	       "attach: read-only");
	tap_eq(ivshmem_channel_attach(a, &bad[6].options, 0, &channel), -EINVAL,
	       "attach: beyond the end");
	tap_eq(ivshmem_channel_attach(a, &options, 0, &channel), -ENOENT,
	       "attach: no channel is there");
	tap_eq(ivshmem_channel_attach(a, &options, ivshmem_after(SECOND / 20),
				      &channel), -ENOENT, "attach: none until the deadline");
	tap_ok(!channel, "attach: a refusal gives no channel");
	ivshmem_channel_close(NULL);
	ivshmem_close(reader);
}

/* Options of programs that are older or younger than the library. */
static void test_sizes(struct ivshmem *a)
{
	struct { struct ivshmem_channel_options known; uint64_t more; } future = {
		.known = options,
	};
	const size_t old = offsetof(struct ivshmem_channel_options, vector);
	struct ivshmem_channel *channel;

	tap_eq(ivshmem_channel_create_sized(a, &future.known, sizeof(future), &channel), 0,
	       "create: unknown options that are 0 are accepted");
	ivshmem_channel_close(channel);
	future.more = 1;
	tap_eq(ivshmem_channel_create_sized(a, &future.known, sizeof(future), &channel), -E2BIG,
	       "create: unknown options are refused");
	tap_eq(ivshmem_channel_attach_sized(a, &future.known, sizeof(future), 0, &channel), -E2BIG,
	       "attach: unknown options are refused");
	memset((char *)&future + old, 0xff, sizeof(future) - old);
	tap_eq(ivshmem_channel_create_sized(a, &future.known, old, &channel), 0,
	       "create: missing options are 0");
	ivshmem_channel_close(channel);
}

static void test_geometry(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_channel_options uneven = options, wrong = options;
	struct ivshmem_channel_options any = { .offset = options.offset };
	struct ivshmem_channel_properties left, right;
	struct ivshmem_channel *x, *y;

	uneven.send_size = 4096;
	wrong.size -= 128;
	x = must_create(a, &uneven);
	tap_eq(ivshmem_channel_attach(b, &wrong, 0, &y), -EMSGSIZE,
	       "attach: another size");
	y = must_attach(b, &any);
	ivshmem_channel_get_properties(x, &left);
	ivshmem_channel_get_properties(y, &right);
	tap_eq(left.size, options.size, "properties: the size asked for");
	tap_eq(right.size, options.size, "properties: an end that attaches need not give the size");
	tap_eq(left.send_max, 4096 - 16, "properties: send_max follows from send_size");
	tap_eq(left.receive_max, options.size - 4096 - 4096 - 16,
	       "properties: the rest is for the other direction");
	tap_ok(left.send_max == right.receive_max && left.receive_max == right.send_max,
	       "properties: the other end has send_max and receive_max exchanged");
	ivshmem_channel_close(y);
	ivshmem_channel_close(x);
}

static void test_calls(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	struct ivshmem_channel_properties properties;
	const void *message;
	char small[4];
	void *room;
	size_t size;

	ivshmem_channel_get_properties(x, &properties);
	tap_eq(ivshmem_channel_peek(y, &message, &size, 0), -EAGAIN, "peek: no message");
	tap_eq(ivshmem_channel_release(y), -EINVAL, "release: no message");
	tap_eq(ivshmem_channel_commit(x, 0, 0), -EINVAL, "commit: nothing is reserved");
	tap_eq(ivshmem_channel_reserve(x, properties.send_max + 1, &room, 0),
	       -EMSGSIZE, "reserve: a byte too much");
	tap_eq(ivshmem_channel_reserve(x, SIZE_MAX, &room, 0), -EMSGSIZE,
	       "reserve: SIZE_MAX");
	tap_eq(ivshmem_channel_send(x, small, properties.send_max + 1, 0, 0),
	       -EMSGSIZE, "send: a byte too much");
	tap_eq(ivshmem_channel_send(x, small, 1, 2, 0), -EINVAL,
	       "send: unknown flag");
	tap_eq(ivshmem_channel_reserve(x, 100, &room, 0), 0, "reserve 100 bytes");
	tap_eq((uintptr_t)room % 8, 0, "reserve: the room is aligned");
	tap_eq(ivshmem_channel_commit(x, 101, 0), -EINVAL, "commit: more than reserved");
	tap_eq(ivshmem_channel_commit(x, 5, 2), -EINVAL, "commit: unknown flag");
	memcpy(room, "hello", 5);
	tap_eq(ivshmem_channel_peek(y, &message, &size, 0), -EAGAIN,
	       "peek: a reserved message is not visible");
	tap_eq(ivshmem_channel_commit(x, 5, 0), 0, "commit: less than reserved");
	tap_eq(ivshmem_channel_commit(x, 5, 0), -EINVAL, "commit: a second time");
	tap_eq(ivshmem_channel_peek(y, &message, &size, 0), 0, "peek: a committed message");
	tap_ok(size == 5 && !memcmp(message, "hello", 5), "peek: it has its size and contents");
	tap_eq(ivshmem_channel_recv(y, small, 4, 0), -EMSGSIZE, "recv: the buffer is too small");
	tap_ok(hear(y, "hello", 0), "recv: the message was kept");
	tap_eq(ivshmem_channel_release(y), -EINVAL, "release: the message was received already");
	tap_eq(ivshmem_channel_send(x, NULL, 0, 0, 0), 0, "send an empty message");
	tap_eq(ivshmem_channel_recv(y, NULL, 0, 0), 0, "receive the empty message");
	tap_eq(ivshmem_channel_recv(y, NULL, 0, 0), -EAGAIN, "the empty message comes only once");
}

static void test_batch(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	ivshmem_channel_flush(x);
	tap_eq(ivshmem_channel_send(x, "one", 3, IVSHMEM_MORE, 0), 0, "send with IVSHMEM_MORE");
	tap_eq(ivshmem_channel_send(x, "two", 3, IVSHMEM_MORE, 0), 0,
	       "send another one with IVSHMEM_MORE");
	tap_eq(ivshmem_channel_recv(y, NULL, 0, 0), -EAGAIN, "both are held back");
	tap_eq(say(x, "three"), 0, "send without IVSHMEM_MORE");
	tap_ok(hear(y, "one", 0) && hear(y, "two", 0) && hear(y, "three", 0),
	       "all three arrive in order");
	ivshmem_channel_send(x, "four", 4, IVSHMEM_MORE, 0);
	ivshmem_channel_flush(x);
	tap_ok(hear(y, "four", 0), "flush publishes a message that was held back");
}

/* Fill a ring buffer, then empty it. */
static void test_full(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	char bytes[1000] = { 0 };
	int sent = 0, received = 0;

	while (!ivshmem_channel_send(x, bytes, sizeof(bytes), IVSHMEM_MORE, 0))
		sent++;
	tap_ok(sent >= 29 && sent <= 30, "a full ring buffer holds %d messages (29 or 30)", sent);
	tap_eq(ivshmem_channel_send(x, bytes, sizeof(bytes), 0,
				    ivshmem_after(SECOND / 100)), -ETIMEDOUT,
	       "send to a full ring buffer times out");
	while (ivshmem_channel_recv(y, bytes, sizeof(bytes), 0) >= 0)
		received++;
	tap_eq(received, sent, "waiting for room has published the messages held back");
	tap_eq(ivshmem_channel_recv(y, bytes, sizeof(bytes),
				    ivshmem_after(SECOND / 100)), -ETIMEDOUT,
	       "recv from an empty ring buffer times out");
}

/* Send the largest message from many positions in the ring buffer. */
static void test_largest(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	static char bytes[64 << 10];
	struct ivshmem_channel_properties properties;
	int round, failures = 0;

	ivshmem_channel_get_properties(x, &properties);
	for (round = 0; round < 200; round++) {
		size_t size = properties.send_max - round % 3;
		int error;

		ivshmem_channel_send(x, bytes, 8 * round, 0, 0);
		ivshmem_channel_recv(y, bytes, sizeof(bytes), 0);
		pattern_write(bytes, size, round);
		error = ivshmem_channel_send(x, bytes, size, 0, 0);
		/* The receiver may have to skip the pad before it first. */
		if (error == -EAGAIN &&
		    ivshmem_channel_recv(y, bytes, sizeof(bytes), 0) == -EAGAIN) {
			pattern_write(bytes, size, round);
			error = ivshmem_channel_send(x, bytes, size, 0, 0);
		}
		memset(bytes, 0, sizeof(bytes));
		if (error || ivshmem_channel_recv(y, bytes, sizeof(bytes), 0) !=
				     (int64_t)size ||
		    !pattern_matches(bytes, size, round))
			failures++;
	}
	tap_eq(failures, 0, "the largest message arrives from many positions");
}

struct worker {
	struct ivshmem_channel *channel;
	uint64_t messages;
	size_t most;
	uint64_t failures;
};

static void *send_all(void *argument)
{
	struct worker *worker = argument;
	uint64_t n;
	void *room;

	for (n = 0; n < worker->messages; n++) {
		size_t size = pattern_size(n, worker->most);

		if (ivshmem_channel_reserve(worker->channel, size, &room,
					    ivshmem_after(PATIENCE))) {
			worker->failures++;
			break;
		}
		pattern_write(room, size, n);
		ivshmem_channel_commit(worker->channel, size,
				       n % 5 == 1 ? IVSHMEM_MORE : 0);
	}
	ivshmem_channel_flush(worker->channel);
	return NULL;
}

static void *receive_all(void *argument)
{
	struct worker *worker = argument;
	const void *message;
	uint64_t n;
	size_t size;

	for (n = 0; n < worker->messages; n++) {
		if (ivshmem_channel_peek(worker->channel, &message, &size,
					 ivshmem_after(PATIENCE))) {
			worker->failures++;
			break;
		}
		if (size != pattern_size(n, worker->most) ||
		    !pattern_matches(message, size, n))
			worker->failures++;
		ivshmem_channel_release(worker->channel);
	}
	return NULL;
}

/* Each end sends in one thread and receives in another. */
static void test_both_ways(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	struct ivshmem_channel_properties properties;
	void *(*const work[4])(void *) = { send_all, receive_all, send_all,
					   receive_all };
	struct worker workers[4];
	pthread_t threads[4];
	uint64_t failures = 0;
	int n;

	ivshmem_channel_get_properties(x, &properties);
	for (n = 0; n < 4; n++) {
		workers[n] = (struct worker){
			.channel = n < 2 ? x : y,
			.messages = RANDOM_MESSAGES,
			.most = properties.send_max,
		};
		pthread_create(&threads[n], NULL, work[n], &workers[n]);
	}
	for (n = 0; n < 4; n++) {
		pthread_join(threads[n], NULL);
		failures += workers[n].failures;
	}
	tap_eq(failures, 0, "%d messages arrive in both directions at once", RANDOM_MESSAGES);
}

/* The other end is a process, which spins or does not; it must get every message. */
static void test_process(struct ivshmem *a, int64_t spin_ns, const char *how)
{
	struct ivshmem_channel_options here = options;
	struct ivshmem_channel_properties before, after;
	struct worker worker = { .messages = STREAM_MESSAGES, .most = 64 };
	int status = 1;
	pid_t pid;

	here.spin_ns = spin_ns;
	worker.channel = must_create(a, &here);
	pid = fork();
	if (!pid) {
		struct ivshmem *handle = must_open(0);

		worker.channel = must_attach(handle, &here);
		receive_all(&worker);
		worker.failures += !!ivshmem_channel_send(worker.channel, "", 0,
							  0, IVSHMEM_FOREVER);
		ivshmem_channel_close(worker.channel);
		ivshmem_close(handle);
		_exit(worker.failures != 0);
	}
	ivshmem_channel_get_properties(worker.channel, &before);
	send_all(&worker);
	tap_eq(ivshmem_channel_recv(worker.channel, NULL, 0,
				    ivshmem_after(PATIENCE)), 0, "%s: the process answers", how);
	ivshmem_channel_get_properties(worker.channel, &after);
	waitpid(pid, &status, 0);
	tap_ok(!status && !worker.failures, "%s: %d messages arrive at a process", how,
	       STREAM_MESSAGES);
	if (spin_ns >= 0)
		tap_ok(after.rings - before.rings < STREAM_MESSAGES / 50,
		       "%s: fewer than 2 %% of them ring", how);
	ivshmem_channel_close(worker.channel);
}

static int64_t processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* A long wait sleeps instead of spinning. */
static void test_idle(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	char byte;
	int64_t start;

	handshake(x, y);
	start = processor_time();
	tap_eq(ivshmem_channel_recv(y, &byte, 1, ivshmem_after(SECOND)),
	       -ETIMEDOUT, "wait a second in vain");
	tap_ok(processor_time() - start < SECOND / 20,
	       "a wait of a second takes less than 50 ms of processor time");
}

static void test_fd(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	struct pollfd ready = { .fd = ivshmem_channel_fd(y), .events = POLLIN };
	char bytes[1000] = { 0 };
	int round, failures = 0;

	tap_ok(ready.fd >= 0, "ivshmem_channel_fd() gives a descriptor");
	tap_eq(ivshmem_channel_fd(y), ready.fd, "a second call gives the same descriptor");
	for (round = 0; round < 100; round++) {
		while (ivshmem_channel_recv(y, bytes, sizeof(bytes), 0) >= 0)
			;
		failures += poll(&ready, 1, 0) != 0;
		failures += say(x, "ping") != 0;
		failures += poll(&ready, 1, 20000) != 1;
		failures += !hear(y, "ping", 0);
	}
	tap_eq(failures, 0, "the descriptor is readable only while there is a message");
	while (ivshmem_channel_send(y, bytes, sizeof(bytes), 0, 0) == 0)
		;
	poll(&ready, 1, 0);
	while (ivshmem_channel_send(y, bytes, sizeof(bytes), 0, 0) == 0)
		;
	tap_eq(poll(&ready, 1, 0), 0, "the descriptor is not readable: the ring buffer is full");
	while (ivshmem_channel_recv(x, bytes, sizeof(bytes), 0) >= 0)
		;
	tap_eq(poll(&ready, 1, 20000), 1, "the descriptor becomes readable: there is room");
	tap_eq(ivshmem_channel_send(y, bytes, sizeof(bytes), 0, 0), 0, "a message fits then");
	ivshmem_channel_recv(x, bytes, sizeof(bytes), 0);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void test_signal(struct ivshmem_channel *y)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval twice = { .it_value.tv_usec = 20000,
				   .it_interval.tv_usec = 20000 };
	struct itimerval never = { 0 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &twice, NULL);
	tap_eq(ivshmem_channel_recv(y, NULL, 0, IVSHMEM_FOREVER), -EINTR,
	       "a signal interrupts recv");
	setitimer(ITIMER_REAL, &never, NULL);
}

int main(void)
{
	int before = open_descriptors(0);
	pid_t server = start_server("--memfd", "-l", "4M", "-n", "4", NULL);
	struct ivshmem *a = must_open(0), *b = must_open(0);
	struct ivshmem_channel *x, *y;

	test_options(a);
	test_sizes(a);
	test_geometry(a, b);
	x = must_create(a, &options);
	y = must_attach(b, &options);
	handshake(x, y);
	test_calls(x, y);
	test_batch(x, y);
	test_full(x, y);
	test_largest(x, y);
	test_largest(y, x);
	test_both_ways(x, y);
	test_idle(x, y);
	test_fd(x, y);
	test_signal(y);
	ivshmem_channel_close(x);
	ivshmem_channel_close(y);
	test_process(a, 0, "looking");
	test_process(a, -1, "sleeping");
	ivshmem_close(a);
	ivshmem_close(b);
	tap_eq(open_descriptors(0), before, "no descriptor is lost");
	return stop_server(server, SIGTERM) || tap_done();
}
