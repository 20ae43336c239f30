// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends of channels that attach, close, die and come back: what is reported to the other
 * end, which messages it still receives, and that sessions do not mix.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/ring_buffer.h"
#include "common/channel.h"

static const struct ivshmem_channel_options options = {
	.offset = 4096,
	.size = 64 << 10,
};

struct ends {
	struct ivshmem *a, *b;		/* handles */
	struct ivshmem_channel *x, *y;	/* the creator's end, the other end */
};

static void begin(struct ends *ends)
{
	ends->x = must_create(ends->a, &options);
	ends->y = must_attach(ends->b, &options);
	handshake(ends->x, ends->y);
}

static void finish(struct ends *ends)
{
	ivshmem_channel_close(ends->x);
	ivshmem_channel_close(ends->y);
}

/* Receive without waiting; gives the error. */
static int try_recv(struct ivshmem_channel *channel)
{
	char byte;

	return (int)ivshmem_channel_recv(channel, &byte, 1, 0);
}

/* Some may still succeed where there is room; gives the first error. */
static int send_on(struct ivshmem_channel *channel)
{
	int error;

	while (!(error = say(channel, "anybody?")))
		;
	return error;
}

static void test_close(struct ends *ends)
{
	begin(ends);
	say(ends->x, "last words");
	ivshmem_channel_send(ends->x, "held", 4, IVSHMEM_MORE, 0);
	ivshmem_channel_close(ends->x);
	tap_ok(hear(ends->y, "last words", 0), "after a close earlier messages are received");
	tap_ok(hear(ends->y, "held", 0), "and one that was held back");
	tap_eq(try_recv(ends->y), -EPIPE, "recv reports the close");
	tap_eq(try_recv(ends->y), -EAGAIN, "recv reports the close once");
	tap_eq(say(ends->y, "anybody?"), -EAGAIN, "send does not report the same close again");
	ends->x = must_create(ends->a, &options);
	handshake(ends->x, ends->y);
	tap_ok(true, "the next creator shakes hands with the end that stayed attached");
	ivshmem_channel_close(ends->y);
	tap_eq(send_on(ends->x), -EPIPE, "send reports the close");
	tap_eq(try_recv(ends->x), -EAGAIN, "recv does not report the same close again");
	ends->y = must_attach(ends->b, &options);
	tap_eq(try_recv(ends->y), -EAGAIN, "the new session has no message of the old one");
	handshake(ends->y, ends->x);
	finish(ends);
}

/* One end is closed and opened again before the other looks. */
static void test_quick_return(struct ends *ends)
{
	begin(ends);
	say(ends->y, "old");
	say(ends->x, "old too");
	ivshmem_channel_close(ends->y);
	ends->y = must_attach(ends->b, &options);
	tap_eq(say(ends->y, "new"), -EAGAIN, "the new end cannot send before the handshake");
	tap_ok(hear(ends->x, "old", 0), "the old end's message is received first");
	tap_eq(try_recv(ends->x), -EPIPE, "then the old end's close is reported");
	tap_ok(pass(ends->y, ends->x), "then the new end's message is received");
	tap_eq(try_recv(ends->y), -EAGAIN, "the new end receives no message to the old one");
	tap_ok(pass(ends->x, ends->y), "the new end receives messages of its own session");
	finish(ends);
}

/* If a send reports the close, messages that were not received are there all the same. */
static void test_left(struct ends *ends)
{
	begin(ends);
	say(ends->y, "old");
	ivshmem_channel_close(ends->y);
	tap_eq(send_on(ends->x), -EPIPE, "send reports the close");
	tap_ok(hear(ends->x, "old", 0), "what was not received yet is received then");
	tap_eq(try_recv(ends->x), -EPIPE, "recv reports the close behind it");
	tap_eq(try_recv(ends->x), -EAGAIN, "and once");
	tap_eq(say(ends->x, "new"), -EAGAIN, "send does not report it again");
	ends->y = must_attach(ends->b, &options);
	handshake(ends->x, ends->y);
	finish(ends);
}

/* What is drawn next, if it is not random. */
static uint64_t drawn;

ssize_t getrandom(void *buffer, size_t size, unsigned int flags)
{
	if (!drawn)
		return syscall(SYS_getrandom, buffer, size, flags);
	memcpy(buffer, &drawn, size);
	drawn += UINT64_C(1) << 32;
	return size;
}

/* As by a machine that is set back to a snapshot. */
static void test_drawn_again(struct ends *ends)
{
	struct channel_area *area;
	_Atomic uint64_t *hello;
	uint64_t former;
	void *memory;

	ivshmem_map(ends->a, 0, 0, &memory);
	area = (void *)((char *)memory + options.offset);
	hello = &area->halves[0][BUFFER_PRODUCER].hello;
	drawn = UINT64_C(1) << 40;
	ends->x = must_create(ends->a, &options);
	former = *hello;
	tap_eq(former >> 40, 1, "an end takes the number that was drawn");
	ivshmem_channel_close(ends->x);
	drawn = UINT64_C(1) << 40;
	ends->x = must_create(ends->a, &options);
	tap_ok(*hello && *hello != former, "one that draws it again takes another");
	drawn = 0;
	ivshmem_channel_close(ends->x);
	ivshmem_unmap(ends->a, memory, 4 << 20);
}

static void test_taken(struct ends *ends)
{
	struct ivshmem_channel *thief;

	begin(ends);
	tap_eq(ivshmem_channel_send(ends->y, "held", 4, IVSHMEM_MORE, 0), 0, "hold a message back");
	thief = must_attach(ends->b, &options);
	tap_eq(try_recv(ends->y), -ESTALE, "recv reports that another handle took this end");
	tap_eq(try_recv(ends->y), -ESTALE, "recv reports that each time");
	tap_eq(say(ends->y, "mine!"), -ESTALE, "send reports that as well");
	tap_eq(try_recv(ends->x), -ECONNRESET, "the other end gets -ECONNRESET");
	handshake(ends->x, thief);
	ivshmem_channel_close(ends->y);
	tap_ok(!say(ends->x, "go on") && hear(thief, "go on", 0),
	       "closing the old end does not harm the new one");
	tap_eq(try_recv(ends->x), -EAGAIN,
	       "closing the old end does not publish the message it held back");
	ends->y = thief;
	finish(ends);
}

static void test_new_geometry(struct ends *ends)
{
	struct ivshmem_channel_options other = options;

	begin(ends);
	ivshmem_channel_close(ends->x);
	other.send_size = 1024;
	ends->x = must_create(ends->a, &other);
	tap_eq(try_recv(ends->y), -EPIPE, "the channel is created again: the old one's close");
	tap_eq(try_recv(ends->y), -ESTALE, "then -ESTALE, as the new channel is another");
	ivshmem_channel_close(ends->y);
	ends->y = must_attach(ends->b, &options);
	handshake(ends->x, ends->y);
	tap_ok(true, "attaching again gives the new channel");
	finish(ends);
}

/* What earlier programs left in memory is not taken for an end or a message. */
static void test_stale(struct ends *ends)
{
	static unsigned char old[64 << 10];
	unsigned char *memory;
	uint64_t state = 1;
	size_t n;
	int round;

	ivshmem_map(ends->a, 0, 0, (void **)&memory);
	memory += options.offset;
	begin(ends);
	say(ends->x, "old");
	say(ends->y, "old");
	memcpy(old, memory, sizeof(old));
	finish(ends);
	memcpy(memory, old, sizeof(old));
	ends->x = must_create(ends->a, &options);
	tap_eq(try_recv(ends->x), -EAGAIN, "recv does not take an old end for a live one");
	tap_eq(say(ends->x, "hello?"), -EAGAIN, "nor does send");
	ends->y = must_attach(ends->b, &options);
	tap_eq(try_recv(ends->y), -EAGAIN, "an old message is not received");
	handshake(ends->x, ends->y);
	finish(ends);
	for (round = 0; round < 100; round++) {
		for (n = 0; n < sizeof(old); n++)
			memory[n] = (unsigned char)pattern_next(&state);
		begin(ends);
		finish(ends);
	}
	tap_ok(true, "a channel can be created over random bytes");
	memset(memory, 0xff, sizeof(old));
	begin(ends);
	finish(ends);
	tap_ok(true, "a channel can be created over all-ones");
	ivshmem_unmap(ends->a, memory - options.offset, 4 << 20);
}

static void test_recognition(struct ends *ends)
{
	uint64_t *memory, saved;
	struct ivshmem_channel *channel;

	ivshmem_map(ends->a, 0, 0, (void **)&memory);
	ivshmem_channel_close(must_create(ends->a, &options));
	memory += options.offset / 8;
	saved = memory[0];
	memory[0] = __builtin_bswap64(saved);
	tap_eq(ivshmem_channel_attach(ends->b, &options, 0, &channel),
	       -EPROTONOSUPPORT, "attach: another byte order");
	memory[0] = ~saved;
	tap_eq(ivshmem_channel_attach(ends->b, &options, 0, &channel), -ENOENT,
	       "attach: another magic number");
	memory[0] = saved;
	memory[1]++;
	tap_eq(ivshmem_channel_attach(ends->b, &options, 0, &channel),
	       -EPROTONOSUPPORT, "attach: another version");
	memory[1]--;
	memory[3] += 128;
	tap_eq(ivshmem_channel_attach(ends->b, &options, 0, &channel), -EBADMSG,
	       "attach: an invalid geometry");
	memory[3] = -128ULL;
	tap_eq(ivshmem_channel_attach(ends->b, &options, 0, &channel), -EBADMSG,
	       "attach: another invalid geometry");
	ivshmem_unmap(ends->a, memory - options.offset / 8, 4 << 20);
}

/* The moment at which a process is killed. */
enum death {
	AFTER_COMMIT,	/* a message is sent but not received */
	MID_MESSAGE,	/* a message is reserved and half written */
	HELD,		/* a message is held back by IVSHMEM_MORE */
	PEEKING,	/* a message is peeked at but not released */
	DEATHS,
};

static const char *const death_names[] = {
	"after a send", "in a message", "in a batch", "while reading",
};

static void live_and_die(enum death death, bool creator)
{
	struct ivshmem *handle = must_open(0);
	struct ivshmem_channel *channel = creator ?
		must_create(handle, &options) : must_attach(handle, &options);
	int64_t deadline = ivshmem_after(PATIENCE);
	const void *message;
	size_t size;
	void *room;

	ivshmem_channel_send(channel, "first", 5, 0, deadline);
	if (death == PEEKING) {
		ivshmem_channel_peek(channel, &message, &size, deadline);
	} else if (death == MID_MESSAGE) {
		ivshmem_channel_reserve(channel, 20000, &room, deadline);
		memset(room, 0xff, 10000);
	} else if (death == HELD) {
		ivshmem_channel_send(channel, "lost", 4, IVSHMEM_MORE, deadline);
	}
	kill(getpid(), SIGKILL);
}

/* Have the two ends shake hands, but receive nothing; then wait for its end. */
static void await_death(struct ivshmem_channel *here, pid_t pid)
{
	void *room;

	ivshmem_channel_reserve(here, 0, &room, ivshmem_after(PATIENCE));
	waitpid(pid, NULL, 0);
}

static void test_death(struct ends *ends, enum death death, bool creator)
{
	struct ivshmem_channel *here = creator ?
		ends->y : must_create(ends->a, &options);
	const char *end = creator ? "creator" : "other end";
	const char *how = death_names[death];
	int round, failures = 0;
	pid_t pid;

	for (round = 0; round < 3; round++) {
		pid = fork();
		if (!pid)
			live_and_die(death, creator);
		if (creator && !round)
			here = must_attach(ends->b, &options);
		failures += death == PEEKING &&
			    ivshmem_channel_send(here, "read me", 7, 0,
						 ivshmem_after(PATIENCE));
		await_death(here, pid);
		failures += !hear(here, "first", ivshmem_after(PATIENCE));
		/* The server notifies this peer that the process has disconnected. */
		failures += ivshmem_channel_recv(here, NULL, 0,
						 ivshmem_after(PATIENCE)) != -EPIPE;
	}
	tap_eq(failures, 0, "the %s dies %s, then its successors: each death is reported",
	       end, how);
	ivshmem_channel_close(here);
}

/* The successor attaches before the death is noticed. */
static void test_replaced(struct ends *ends, enum death death)
{
	struct ivshmem_channel *successor;
	int64_t deadline;
	pid_t pid;
	int result;

	ends->x = must_create(ends->a, &options);
	pid = fork();
	if (!pid)
		live_and_die(death, false);
	tap_ok(hear(ends->x, "first", ivshmem_after(PATIENCE)), "a process attaches and sends");
	if (death == PEEKING)
		say(ends->x, "read me");
	waitpid(pid, NULL, 0);
	successor = must_attach(ends->b, &options);
	result = try_recv(ends->x);
	tap_ok(result == -ECONNRESET || result == -EPIPE, "it dies %s: that is reported",
	       death_names[death]);
	handshake(successor, ends->x);
	tap_ok(true, "its successor shakes hands");
	deadline = ivshmem_after(SECOND / 50);
	tap_eq(ivshmem_channel_recv(successor, NULL, 0, deadline), -ETIMEDOUT,
	       "its successor receives no message to the dead process");
	ivshmem_channel_close(successor);
	ivshmem_channel_close(ends->x);
}

static void *receive(void *channel)
{
	return (void *)(intptr_t)ivshmem_channel_recv(channel, NULL, 0,
						      ivshmem_after(PATIENCE));
}

/* The end of a session wakes a sleeper, in whichever way it ends. */
static void test_sleepers(struct ends *ends)
{
	struct ivshmem_properties properties;
	pthread_t thread;
	void *result;

	begin(ends);
	pthread_create(&thread, NULL, receive, ends->x);
	usleep(50000);
	ivshmem_channel_close(ends->y);
	pthread_join(thread, &result);
	tap_eq((intptr_t)result, -EPIPE, "a close wakes a sleeper");
	ends->y = must_attach(ends->b, &options);
	handshake(ends->x, ends->y);
	pthread_create(&thread, NULL, receive, ends->x);
	usleep(50000);
	ivshmem_get_properties(ends->b, &properties);
	tap_eq(ivshmem_peer_gone(ends->a, properties.id), 0, "ivshmem_peer_gone() succeeds");
	pthread_join(thread, &result);
	tap_eq((intptr_t)result, -EPIPE, "ivshmem_peer_gone() wakes a sleeper");
	tap_eq(send_on(ends->y), -ECONNRESET,
	       "a peer that is alive after all gets -ECONNRESET");
	handshake(ends->y, ends->x);
	tap_ok(true, "a new handshake follows");
	tap_eq(ivshmem_peer_gone(ends->a, 65536), -EINVAL, "ivshmem_peer_gone() refuses id 65536");
	finish(ends);
}

/* Both ends send before they receive, and each receives the other's message. */
static void *send_first(void *channel)
{
	int64_t deadline = ivshmem_after(PATIENCE);

	if (ivshmem_channel_send(channel, "mine", 4, 0, deadline))
		return NULL;
	return hear(channel, "mine", deadline) ? channel : NULL;
}

static void test_both_first(struct ends *ends)
{
	pthread_t thread;
	void *result;
	int round, failures = 0;

	for (round = 0; round < 50; round++) {
		ends->x = must_create(ends->a, &options);
		ends->y = must_attach(ends->b, &options);
		pthread_create(&thread, NULL, send_first, ends->x);
		failures += !send_first(ends->y);
		pthread_join(thread, &result);
		failures += !result;
		finish(ends);
	}
	tap_eq(failures, 0, "both ends may send before they receive");
}

int main(void)
{
	int before = open_descriptors(0), death;
	pid_t server = start_server("--memfd", "-l", "4M", "-n", "2", NULL);
	struct ends ends = { .a = must_open(0), .b = must_open(0) };

	test_stale(&ends);
	test_recognition(&ends);
	test_close(&ends);
	test_quick_return(&ends);
	test_left(&ends);
	test_drawn_again(&ends);
	test_taken(&ends);
	test_new_geometry(&ends);
	for (death = 0; death < DEATHS; death++) {
		test_death(&ends, death, false);
		test_death(&ends, death, true);
		test_replaced(&ends, death);
	}
	test_sleepers(&ends);
	test_both_first(&ends);
	ivshmem_close(ends.a);
	ivshmem_close(ends.b);
	tap_eq(open_descriptors(0), before, "no descriptor is lost");
	return stop_server(server, SIGTERM) || tap_done();
}
