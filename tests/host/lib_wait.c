// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells on the host: ring, wait and eventfd. No doorbell is lost between threads or
 * processes (lib/backend_server.c, waiting.c).
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/open.h"

#define HANDOVERS	100000
#define SECOND		1000000000LL
#define WAITERS		4

static _Atomic uint32_t *must_map(struct ivshmem *handle)
{
	void *address;

	if (ivshmem_map(handle, 0, 4096, &address))
		tap_bail("cannot map");
	return address;
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* A disconnect wakes waiters, and the server may report it late. */
static void settle(struct ivshmem *handle)
{
	if (!eventually(ivshmem_peers(handle, NULL, 0) == 1))
		tap_bail("another peer is still connected");
}

static void test_ring_errors(struct ivshmem *a)
{
	struct ivshmem *reader = must_open(IVSHMEM_READ_ONLY);
	struct ivshmem_wait_options look = { .timeout_ns = 0 };

	tap_eq(ivshmem_ring(a, 65536, 0), -EINVAL, "ring: peer too large");
	tap_eq(ivshmem_ring(a, 1, 256), -EINVAL, "ring: vector too large");
	tap_eq(ivshmem_ring(a, 1, 70), -ENXIO, "ring: no such vector");
	tap_eq(ivshmem_ring(a, 9, 0), -ENXIO, "ring: no such peer");
	tap_eq(ivshmem_ring(reader, 1, 0), -EACCES, "ring: read-only");
	tap_eq(ivshmem_ring_wait(reader, 1, 0, &look, NULL), -EACCES,
	       "ring_wait: read-only");
	tap_eq(ivshmem_ring_wait(a, 65536, 0, &look, NULL), -EINVAL,
	       "ring_wait: peer too large");
	tap_eq(ivshmem_ring_wait(a, 9, 0, &look, NULL), -ENXIO,
	       "ring_wait: no such peer");
	ivshmem_close(reader);
}

static void test_wait_errors(struct ivshmem *a)
{
	static const struct {
		const char *what;
		struct ivshmem_wait_options options;
	} bad[] = {
		{ "unknown flag", { .flags = 8 } },
		{ "no such vector", { .vector = 70 } },
		{ "empty set", { .flags = IVSHMEM_WAIT_SET } },
		{ "set beyond the vectors",
		  { .flags = IVSHMEM_WAIT_SET, .set = { 1, 1 << 6 } } },
		{ "set far beyond", { .flags = IVSHMEM_WAIT_SET,
				      .set = { 1, 0, 0, 1ULL << 63 } } },
		{ "misaligned word", { .flags = IVSHMEM_WAIT_WORD,
				       .offset = 2 } },
		{ "word beyond the end", { .flags = IVSHMEM_WAIT_WORD,
					   .offset = 4 << 20 } },
		{ "spinning too long", { .spin_ns = SECOND + 1 } },
		{ "spinning for ever", { .spin_ns = INT64_MAX } },
	};
	struct ivshmem_wait_options look = { .timeout_ns = 0 };
	size_t n;

	for (n = 0; n < sizeof(bad) / sizeof(bad[0]); n++)
		tap_eq(ivshmem_wait(a, &bad[n].options, NULL), -EINVAL,
		       "wait: %s", bad[n].what);
	look.vector = 70;
	tap_eq(ivshmem_ring_wait(a, 1, 0, &look, NULL), -EINVAL,
	       "ring_wait: no such vector");
	tap_eq(ivshmem_eventfd(a, 70), -EINVAL, "eventfd: no such vector");
	tap_eq(ivshmem_eventfd(a, UINT32_MAX), -EINVAL, "eventfd: far beyond");
}

static void test_ring_and_wait(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_wait_options options = { .timeout_ns = 0 };
	struct ivshmem_wait_result result;

	tap_eq(ivshmem_wait(b, &options, &result), -ETIMEDOUT, "wait: nothing rang");
	ivshmem_ring(a, 1, 0);
	ivshmem_ring(a, 1, 0);
	ivshmem_ring(a, 1, 69);
	tap_eq(ivshmem_wait(b, &options, &result), 0, "wait: vector 0 rang");
	tap_ok(result.vector == 0 && result.count == 2 && result.set[0] == 1 &&
	       !result.set[1] && !result.changed, "the result: vector 0 alone, rung twice");
	tap_eq(ivshmem_wait(b, &options, &result), -ETIMEDOUT,
	       "wait: a doorbell is reported once");
	ivshmem_ring(a, 1, 3);
	options.flags = IVSHMEM_WAIT_SET;
	options.set[0] = 0xf0;
	options.set[1] = 0x3f;
	tap_eq(ivshmem_wait(b, &options, &result), 0, "wait for a set: one vector rang");
	tap_ok(result.vector == 69 && result.count == 1 && !result.set[0] &&
	       result.set[1] == 1 << 5, "the result: vector 69 alone");
	ivshmem_ring(a, 1, 4);
	ivshmem_ring(a, 1, 64);
	options.set[0] = UINT64_MAX;
	tap_eq(ivshmem_wait(b, &options, &result), 0, "wait for a set: several vectors rang");
	tap_ok(result.vector == 3 && result.set[0] == 0x18 &&
	       result.set[1] == 1, "the result: all of them, the lowest as the vector");
	tap_eq(ivshmem_ring(b, 1, 0), 0, "a peer rings itself");
	options = (struct ivshmem_wait_options){ .timeout_ns = -1 };
	tap_eq(ivshmem_wait(b, &options, NULL), 0, "wait: its own doorbell");
	tap_eq(ivshmem_ring_wait(b, 1, 0, &options, &result), 0,
	       "ring_wait: a peer rings itself");
	tap_ok(result.count == 1, "ring_wait: the result counts one doorbell");
}

static void test_timeouts(struct ivshmem *b)
{
	struct ivshmem_wait_options options = { .timeout_ns = SECOND / 50 };
	int64_t start = now();

	tap_eq(ivshmem_wait(b, &options, NULL), -ETIMEDOUT, "a relative timeout expires");
	tap_ok(now() - start >= SECOND / 50, "a relative timeout is not too early");
	options.spin_ns = SECOND;
	start = now();
	tap_eq(ivshmem_wait(b, &options, NULL), -ETIMEDOUT,
	       "a timeout within the spin budget expires");
	tap_ok(now() - start >= SECOND / 50, "a timeout within the spin budget is not too early");
	options.spin_ns = 1000;
	options.flags = IVSHMEM_WAIT_ABSTIME;
	options.timeout_ns = now() + SECOND / 50;
	tap_eq(ivshmem_wait(b, &options, NULL), -ETIMEDOUT, "an absolute timeout expires");
	tap_ok(now() >= options.timeout_ns, "an absolute timeout is not too early");
	options.timeout_ns = 1;
	tap_eq(ivshmem_wait(b, &options, NULL), -ETIMEDOUT, "an absolute time in the past");
	options.timeout_ns = 0;
	tap_eq(ivshmem_wait(b, &options, NULL), -ETIMEDOUT, "the absolute time 0");
}

static void test_word(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD,
		.offset = 64,
		.expected = 5,
		.timeout_ns = IVSHMEM_FOREVER,
	};
	_Atomic uint32_t *word = must_map(a) + 16;
	struct ivshmem_wait_result result;

	*word = 6;
	tap_eq(ivshmem_wait(b, &options, &result), 0, "a changed word ends the wait");
	tap_ok(result.changed && !result.count, "the result: only the word changed");
	*word = 5;
	ivshmem_ring(a, 1, 0);
	tap_eq(ivshmem_wait(b, &options, &result), 0, "a doorbell ends the wait for a word");
	tap_ok(!result.changed && result.count == 1, "the result: only the doorbell");
	*word = 7;
	ivshmem_ring(a, 1, 0);
	tap_eq(ivshmem_wait(b, &options, &result), 0, "a changed word and a doorbell end the wait");
	tap_ok(result.changed && result.count == 1, "the result: both");
	*word = 5;
	options.timeout_ns = 0;
	tap_eq(ivshmem_wait(b, &options, &result), -ETIMEDOUT, "with neither the wait times out");
	tap_ok(!result.changed && !result.count, "the result: neither");
	options.offset = (4 << 20) - 4;
	options.expected = 0;
	tap_eq(ivshmem_wait(b, &options, &result), -ETIMEDOUT,
	       "the wait may be for the last word of the region");
	ivshmem_unmap(a, (char *)word - 64, 4096);
}

static void test_eventfd(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_wait_options options = { .vector = 2 };
	int fd = ivshmem_eventfd(b, 2);
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	uint64_t count = 0;

	tap_ok(fd >= 0, "ivshmem_eventfd() gives a descriptor");
	tap_eq(poll(&ready, 1, 0), 0, "the eventfd is not readable while nothing rings");
	ivshmem_ring(a, 1, 2);
	tap_ok(poll(&ready, 1, 1000) == 1 &&
	       read(fd, &count, sizeof(count)) == sizeof(count) && count == 1,
	       "the eventfd becomes readable when the vector rings");
	tap_ok(read(fd, &count, sizeof(count)) < 0 && errno == EAGAIN,
	       "the eventfd is non-blocking");
	ivshmem_ring(a, 1, 2);
	tap_eq(ivshmem_wait(b, &options, NULL), 0, "wait takes a doorbell from the eventfd");
	tap_eq(poll(&ready, 1, 0), 0, "then the eventfd is not readable");
	close(fd);
	ivshmem_ring(a, 1, 2);
	tap_eq(ivshmem_wait(b, &options, NULL), 0, "wait works after the eventfd is closed");
}

static int64_t processor_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/*
 * A peer disconnects and the vector rings, both before the wait begins. Once the only
 * waiter then spun for ever and ignored signals.
 */
static void test_ring_and_disconnect(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_wait_options options = { .timeout_ns = SECOND };
	int64_t start;
	int result;

	ivshmem_close(must_open(0));
	settle(a);
	ivshmem_ring(a, 1, 0);
	tap_eq(ivshmem_wait(b, &options, NULL), 0, "a doorbell and a disconnect at once");
	start = processor_time();
	result = ivshmem_wait(b, &options, NULL);
	/* The server may report the disconnect to this peer a little later. */
	if (!result)
		result = ivshmem_wait(b, &options, NULL);
	tap_eq(result, -ETIMEDOUT, "the next wait times out");
	tap_ok(processor_time() - start < SECOND / 2, "the waiter sleeps (once spun)");
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void test_signal(struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_wait_options look = { .vector = 5 };
	struct ivshmem_wait_result result;
	struct ivshmem_wait_options options = { .timeout_ns = -1 };
	struct sigaction action = { .sa_handler = on_alarm,
				    .sa_flags = SA_RESTART };
	struct itimerval twice = { .it_value.tv_usec = 20000,
				   .it_interval.tv_usec = 20000 };
	struct itimerval never = { 0 };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &twice, NULL);
	tap_eq(ivshmem_wait(b, &options, NULL), -EINTR, "a signal interrupts a wait");
	tap_eq(ivshmem_ring_wait(b, 0, 5, &options, NULL), -EINTR, "a signal interrupts ring_wait");
	tap_eq(ivshmem_wait(b, &options, NULL), -EINTR, "it continues by wait");
	tap_ok(!ivshmem_wait(a, &look, &result) && result.count == 1, "which rings once");
	setitimer(ITIMER_REAL, &never, NULL);
}

/* Take turns on a word: each side waits for what the other one writes. */
struct turns {
	struct ivshmem *handle;
	uint32_t peer;
	uint32_t vector;
	uint32_t side;
	int failures;
};

static void *take_turns(void *argument)
{
	struct turns *turns = argument;
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD,
		.vector = turns->vector,
		.timeout_ns = IVSHMEM_FOREVER,
	};
	_Atomic uint32_t *word = must_map(turns->handle);
	uint32_t turn;

	for (turn = turns->side; turn < HANDOVERS; turn += 2) {
		while (*word != turn) {
			options.expected = turn - 1;
			if (ivshmem_wait(turns->handle, &options, NULL))
				turns->failures++;
		}
		*word = turn + 1;
		if (ivshmem_ring(turns->handle, turns->peer, turns->vector))
			turns->failures++;
	}
	ivshmem_unmap(turns->handle, (void *)word, 4096);
	return turns;
}

/* Take doorbells that earlier tests have left: they would cause spurious wake-ups. */
static void reset(struct ivshmem *handle)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_SET,
		.set = { UINT64_MAX, 0x3f },
	};
	_Atomic uint32_t *word = must_map(handle);

	ivshmem_wait(handle, &options, NULL);
	*word = 0;
	ivshmem_unmap(handle, (void *)word, 4096);
}

static void test_two_handles(struct ivshmem *a, struct ivshmem *b)
{
	struct turns left = { .handle = a, .peer = 1, .side = 0 };
	struct turns right = { .handle = b, .peer = 0, .side = 1 };
	pthread_t thread;

	reset(a);
	reset(b);
	pthread_create(&thread, NULL, take_turns, &right);
	take_turns(&left);
	pthread_join(thread, NULL);
	tap_eq(left.failures + right.failures, 0,
	       "%d hand-overs between two handles", HANDOVERS);
}

/* Two threads wait for the same vector of one handle and take each other's doorbells. */
static void test_one_handle(struct ivshmem *b)
{
	struct turns left = { .handle = b, .peer = 1, .side = 0 };
	struct turns right = { .handle = b, .peer = 1, .side = 1 };
	pthread_t thread;

	reset(b);
	pthread_create(&thread, NULL, take_turns, &right);
	take_turns(&left);
	pthread_join(thread, NULL);
	tap_eq(left.failures + right.failures, 0,
	       "%d hand-overs between threads that share a handle", HANDOVERS);
}

static void *wait_for_word(void *argument)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_WORD,
		.offset = 128,
		.timeout_ns = IVSHMEM_FOREVER,
	};
	struct ivshmem_wait_result result = { 0 };

	while (!result.changed)
		ivshmem_wait(argument, &options, &result);
	return argument;
}

/* One doorbell wakes many sleepers, each of which must see the changed word. */
static void test_many_waiters(struct ivshmem *a, struct ivshmem *b)
{
	_Atomic uint32_t *word = must_map(a) + 32;
	pthread_t threads[WAITERS];
	int round, n;

	for (round = 0; round < 200; round++) {
		*word = 0;
		for (n = 0; n < WAITERS; n++)
			pthread_create(&threads[n], NULL, wait_for_word, b);
		usleep(round % 4 * 500);
		*word = 1;
		ivshmem_ring(a, 1, 0);
		for (n = 0; n < WAITERS; n++)
			pthread_join(threads[n], NULL);
	}
	tap_ok(true, "%d waiters see the change after one doorbell", WAITERS);
	ivshmem_unmap(a, (char *)word - 128, 4096);
}

static void test_two_processes(struct ivshmem *a)
{
	struct turns left = { .handle = a, .peer = 2, .vector = 1 };
	struct turns right = { .peer = 0, .vector = 1, .side = 1 };
	struct ivshmem_properties properties;
	int status = 1;
	pid_t pid;

	reset(a);
	pid = fork();
	if (!pid) {
		right.handle = must_open(0);
		ivshmem_get_properties(right.handle, &properties);
		take_turns(&right);
		ivshmem_close(right.handle);
		_exit(properties.id != 2 || right.failures);
	}
	tap_ok(eventually(ivshmem_peers(a, NULL, 0) == 2), "another process has joined");
	take_turns(&left);
	waitpid(pid, &status, 0);
	tap_ok(!left.failures && !status, "%d hand-overs between two processes",
	       HANDOVERS);
}

static void *stop(void *argument)
{
	usleep(50000);
	stop_server(*(pid_t *)argument, SIGKILL);
	return NULL;
}

static void test_server_dies(pid_t server, struct ivshmem *a, struct ivshmem *b)
{
	struct ivshmem_wait_options options = { .timeout_ns = -1 };
	pthread_t thread;

	pthread_create(&thread, NULL, stop, &server);
	tap_eq(ivshmem_wait(b, &options, NULL), -ENODEV,
	       "the death of the server wakes a sleeper");
	pthread_join(thread, NULL);
	tap_eq(ivshmem_wait(b, &options, NULL), -ENODEV, "without a server: wait");
	tap_eq(ivshmem_peers(b, NULL, 0), -ENODEV, "without a server: count peers");
	tap_eq(ivshmem_ring(b, 9, 0), -ENODEV, "without a server: ring an unknown peer");
	tap_eq(ivshmem_ring(a, 1, 0), -ENODEV, "without a server: ring a known peer");
	tap_eq(ivshmem_wait(b, &options, NULL), 0, "without a server: that peer gets the doorbell");
}

int main(void)
{
	int before = open_descriptors(0);
	pid_t server = start_server("--memfd", "--reuse-ids", "-n", "70", NULL);
	struct ivshmem *a = must_open(0), *b = must_open(0);

	test_ring_errors(a);
	settle(b);
	test_wait_errors(a);
	test_ring_and_wait(a, b);
	test_timeouts(b);
	test_word(a, b);
	test_eventfd(a, b);
	test_ring_and_disconnect(a, b);
	test_signal(a, b);
	test_two_handles(a, b);
	test_one_handle(b);
	test_many_waiters(a, b);
	test_two_processes(a);
	settle(b);
	test_server_dies(server, a, b);
	ivshmem_close(a);
	ivshmem_close(b);
	tap_eq(open_descriptors(0), before, "no file descriptor is leaked");
	return tap_done();
}
