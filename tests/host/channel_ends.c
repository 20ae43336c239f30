// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that only send, without waiting, and always find room: they hear of the other
 * end's death as well. And children after fork(), which are no end of their parent's
 * channels (lib/process.c, session.c).
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"

#define FEW	128		/* messages that a busy sender may lose: see ivshmem_channel.h */

static const struct ivshmem_channel_options options = { .size = 4 << 20 };

static struct ivshmem *handle;
static struct ivshmem_channel *channel;

static int status_of(pid_t pid)
{
	int status = -1;

	waitpid(pid, &status, 0);
	return status;
}

/* The other end: greets, hears an answer, so that it is awake, and dies. */
static int live(void)
{
	struct ivshmem_channel *other = must_attach(must_open(0), &options);

	if (ivshmem_channel_send(other, "hello", 5, 0, ivshmem_after(PATIENCE)) ||
	    !hear(other, "hello", ivshmem_after(PATIENCE)) || say(other, "bye"))
		return 1;
	for (;;)
		pause();
}

static pid_t begin(void)
{
	pid_t pid;

	channel = must_create(handle, &options);
	pid = fork();
	if (!pid)
		_exit(live());
	if (ivshmem_channel_send(channel, "hello", 5, 0, ivshmem_after(PATIENCE)) ||
	    !hear(channel, "hello", ivshmem_after(PATIENCE)) ||
	    !hear(channel, "bye", ivshmem_after(PATIENCE)))
		tap_bail("no other end");
	/* It has one vector: that is all the news there is. */
	if (!eventually(ivshmem_peers(handle, NULL, 0) == 1))
		tap_bail("the other end has not joined");
	return pid;
}

/*
 * Kill it, and wait until the server has reported that, but do not listen. Then wait for
 * another time to ask.
 */
static void end(pid_t pid)
{
	struct pollfd news = { ivshmem_fd(handle), POLLIN, 0 };

	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (poll(&news, 1, (int)(PATIENCE / 1000000)) != 1)
		tap_bail("the death is not reported");
	usleep(2000);
}

static void finish(void)
{
	ivshmem_channel_close(channel);
	ivshmem_peers(handle, NULL, 0);
}

/* How many can still be sent. */
static int sent_until(int expected)
{
	int error, sent = 0;

	while (!(error = say(channel, "anybody?")))
		sent++;
	tap_eq(error, expected, "send(0) with room in the buffer tells of the death");
	return sent;
}

static void test_busy(void)
{
	pid_t pid = begin();
	int n, sent;

	for (n = 0; n < 1000; n++)
		say(channel, "busy");
	end(pid);
	sent = sent_until(-EPIPE);
	tap_ok(sent <= FEW, "after %d messages, %d at most (once it filled the buffer)", sent, FEW);
	finish();
}

static void test_slow(void)
{
	pid_t pid = begin();
	int n;

	for (n = 0; n < 2 * FEW; n++) {
		say(channel, "slow");
		usleep(2000);
	}
	end(pid);
	tap_eq(sent_until(-EPIPE), 0, "at the next call, as there are few");
	finish();
}

/* A few at once, now and then, are not many either. */
static void test_bursts(void)
{
	pid_t pid = begin();
	int n, sent;

	for (n = 0; n < FEW / 2; n++) {
		say(channel, "one");
		say(channel, "two");
		say(channel, "three");
		usleep(2000);
	}
	end(pid);
	sent = sent_until(-EPIPE);
	tap_ok(sent <= 4, "after %d messages, 4 at most, as there are three at once", sent);
	finish();
}

/* Another call of the program has heard of it, or the program tells. */
static void test_known(bool reported)
{
	pid_t pid = begin();
	uint32_t peer = 0;
	int n;

	ivshmem_peers(handle, &peer, 1);
	for (n = 0; n < 1000; n++)
		say(channel, "busy");
	if (reported) {
		ivshmem_peer_gone(handle, peer);
	} else {
		end(pid);
		ivshmem_peers(handle, NULL, 0);
	}
	tap_eq(sent_until(-EPIPE), 0, "at the next call, after %s",
	       reported ? "ivshmem_peer_gone()" : "another call has heard of it");
	if (reported)
		end(pid);
	finish();
}

/* What the peer has sent before it died comes first, and then its end. */
static void test_received(void)
{
	char text[8];
	pid_t pid;

	channel = must_create(handle, &options);
	pid = fork();
	if (!pid) {
		struct ivshmem_channel *other = must_attach(must_open(0), &options);
		int n;

		for (n = 0; n < 1000; n++)
			ivshmem_channel_send(other, "message", 7, 0, ivshmem_after(PATIENCE));
		_exit(0);
	}
	if (!hear(channel, "message", ivshmem_after(PATIENCE)))
		tap_bail("no other end");
	waitpid(pid, NULL, 0);
	if (!eventually(ivshmem_peers(handle, NULL, 0) == 0))
		tap_bail("the death is not reported");
	int received = 1, size;

	while ((size = ivshmem_channel_recv(channel, text, sizeof(text), 0)) == 7)
		received++;
	tap_eq(received, 1000, "all that it had sent is received after its death is known");
	tap_eq(size, -EPIPE, "then its end is told");
	finish();
}

/* It attaches, which accepts us, and dies before our first call. */
static void test_dead_at_first(void)
{
	struct pollfd news = { ivshmem_fd(handle), POLLIN, 0 };
	pid_t pid;
	int n;

	channel = must_create(handle, &options);
	for (n = 1; n <= 3; n++) {
		pid = fork();
		if (!pid) {
			must_attach(must_open(0), &options);
			_exit(0);
		}
		status_of(pid);
		if (!eventually(poll(&news, 1, 0) == 1 && !ivshmem_peers(handle, NULL, 0)))
			tap_bail("the death is not reported");
		tap_eq(say(channel, "anybody?"), -EAGAIN,
		       "nothing is sent to an end that was dead before (%d)", n);
	}
	pid = fork();
	if (!pid)
		_exit(!hear(must_attach(must_open(0), &options), "hello", ivshmem_after(PATIENCE)));
	tap_eq(ivshmem_channel_send(channel, "hello", 5, 0, ivshmem_after(PATIENCE)), 0,
	       "its successor is waited for");
	tap_eq(status_of(pid), 0, "and gets the message");
	finish();
}

/* Its last words are there for a program that hears of its end when it sends. */
static void test_last_words(void)
{
	struct ivshmem *others = must_open(0);
	struct ivshmem_channel *other;
	const void *message;
	size_t size;

	channel = must_create(handle, &options);
	other = must_attach(others, &options);
	handshake(channel, other);
	say(other, "first");
	say(other, "second");
	say(other, "third");
	ivshmem_channel_close(other);
	sent_until(-EPIPE);
	tap_ok(hear(channel, "first", 0), "a message from before an end that a send has told of");
	tap_ok(!ivshmem_channel_peek(channel, &message, &size, 0) && size == 6 &&
	       !memcmp(message, "second", 6) && !ivshmem_channel_release(channel),
	       "the second one, in place");
	tap_ok(hear(channel, "third", IVSHMEM_FOREVER), "the third one, by a call that waits");
	tap_eq(ivshmem_channel_recv(channel, NULL, 0, 0), -EPIPE, "then its end");
	tap_eq(ivshmem_channel_recv(channel, NULL, 0, 0), -EAGAIN, "which is told once");
	other = must_attach(others, &options);
	handshake(channel, other);
	tap_ok(pass(channel, other) && pass(other, channel), "and then the successor is there");
	ivshmem_channel_close(other);
	ivshmem_close(others);
	finish();
}

/* Children */

struct all {
	struct ivshmem *handle;
	struct ivshmem_channel *x, *member;
	struct ivshmem_channel_set *set;
};

static int wrong(int line, int64_t result)
{
	if (result == -EPERM)
		return 0;
	fprintf(stderr, "line %d: %d instead of -EPERM\n", line, (int)result);
	return 1;
}

#define REFUSED(call)	wrong(__LINE__, call)

/* All that a child may do with what it has from its parent. */
static int use_all(const struct all *all)
{
	struct ivshmem_wait_options wait = { .timeout_ns = 0 };
	struct ivshmem_properties properties;
	struct ivshmem_channel *other;
	const void *message;
	void *memory;
	size_t size;
	int failures;

	failures = REFUSED(ivshmem_get_properties(all->handle, &properties)) +
		   REFUSED(ivshmem_map(all->handle, 0, 0, &memory)) +
		   REFUSED(ivshmem_ring(all->handle, 0, 0)) +
		   REFUSED(ivshmem_wait(all->handle, &wait, NULL)) +
		   REFUSED(ivshmem_ring_wait(all->handle, 0, 0, &wait, NULL)) +
		   REFUSED(ivshmem_eventfd(all->handle, 0)) +
		   REFUSED(ivshmem_fd(all->handle)) +
		   REFUSED(ivshmem_peers(all->handle, NULL, 0)) +
		   REFUSED(ivshmem_peer_gone(all->handle, 0)) +
		   REFUSED(ivshmem_channel_create(all->handle, &options, &other)) +
		   REFUSED(ivshmem_channel_attach(all->handle, &options, 0, &other)) +
		   REFUSED(ivshmem_channel_send(all->x, "child", 5, 0, 0)) +
		   REFUSED(ivshmem_channel_send(all->x, "child", 5, 0, IVSHMEM_FOREVER)) +
		   REFUSED(ivshmem_channel_reserve(all->x, 5, &memory, 0)) +
		   REFUSED(ivshmem_channel_commit(all->x, 5, 0)) +
		   REFUSED(ivshmem_channel_recv(all->x, NULL, 0, IVSHMEM_FOREVER)) +
		   REFUSED(ivshmem_channel_peek(all->x, &message, &size, 0)) +
		   REFUSED(ivshmem_channel_release(all->x)) +
		   REFUSED(ivshmem_channel_fd(all->x)) +
		   REFUSED(ivshmem_channel_set_fd(all->set)) +
		   REFUSED(ivshmem_channel_set_next(all->set, &other));
	ivshmem_channel_flush(all->x);
	ivshmem_channel_shutdown(all->x);
	ivshmem_channel_close(all->x);
	ivshmem_channel_close(all->member);
	ivshmem_channel_set_close(all->set);
	ivshmem_close(all->handle);
	return failures;
}

static void test_child(void)
{
	struct ivshmem_channel_options range = { .offset = 8 << 20, .size = 64 << 10 };
	struct all all = { .handle = must_open(0) };
	struct ivshmem_channel *y, *other;
	pid_t pid;

	ivshmem_channel_set_open(all.handle, 10 << 20, IVSHMEM_CHANNEL_SET_SIZE, 0, &all.set);
	all.x = must_create(all.handle, &options);
	y = must_attach(handle, &options);
	range.set = all.set;
	all.member = must_create(all.handle, &range);
	range.set = NULL;
	other = must_attach(handle, &range);
	handshake(all.x, y);
	ivshmem_channel_fd(all.x);
	ivshmem_fd(all.handle);
	ivshmem_channel_send(all.x, "held", 4, IVSHMEM_MORE, 0);
	pid = fork();
	if (!pid)
		_exit(use_all(&all));
	tap_eq(status_of(pid), 0, "a child's calls on what its parent has opened give -EPERM");
	tap_eq(ivshmem_channel_recv(y, NULL, 0, 0), -EAGAIN,
	       "a child sends nothing of its parent's");
	ivshmem_channel_flush(all.x);
	tap_ok(hear(y, "held", 0) && pass(all.x, y) && pass(y, all.x) && pass(all.member, other),
	       "the parent goes on (once a child's close ended its channels)");
	ivshmem_channel_close(all.x);
	ivshmem_channel_close(y);
	ivshmem_channel_close(all.member);
	ivshmem_channel_close(other);
	ivshmem_channel_set_close(all.set);
	ivshmem_close(all.handle);
}

/* Peers come and go, so that handles always change. */
static void *come_and_go(void *stop)
{
	struct ivshmem_channel_options range = { .offset = 8 << 20, .size = 64 << 10 };

	while (!*(_Atomic bool *)stop) {
		struct ivshmem *own = must_open(0);
		struct ivshmem_channel *x = must_create(own, &range);

		ivshmem_peers(handle, NULL, 0);
		ivshmem_channel_fd(x);
		ivshmem_channel_close(x);
		ivshmem_close(own);
	}
	return NULL;
}

/* What other threads were changing at the fork stays half changed in the child. */
static void test_children_of_threads(void)
{
	struct ivshmem *other = must_open(0);
	struct ivshmem_channel *y;
	_Atomic bool stop = false;
	pthread_t thread;
	int round, failures = 0;

	channel = must_create(handle, &options);
	y = must_attach(other, &options);
	handshake(channel, y);
	pthread_create(&thread, NULL, come_and_go, &stop);
	for (round = 0; round < 100; round++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(PATIENCE / SECOND);
			ivshmem_channel_close(channel);
			ivshmem_channel_close(y);
			ivshmem_close(other);
			ivshmem_close(handle);
			_exit(0);
		}
		failures += !!status_of(pid);
	}
	stop = true;
	pthread_join(thread, NULL);
	tap_eq(failures, 0, "children of a busy program close what they have from it");
	tap_ok(pass(channel, y) && pass(y, channel), "which does not mind");
	ivshmem_channel_close(y);
	ivshmem_close(other);
	finish();
}

/* Dies, while a child of it lives on. */
static void die_before_child(int pipe)
{
	struct ivshmem *own = must_open(0);
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	(void)!write(pipe, &pid, sizeof(pid));
	(void)own;
	_exit(0);
}

static void test_orphan(void)
{
	pid_t pid, child;
	int ends[2];

	if (!eventually(ivshmem_peers(handle, NULL, 0) == 0) || pipe(ends))
		tap_bail("peers of earlier tests are still there");
	pid = fork();
	if (!pid)
		die_before_child(ends[1]);
	if (read(ends[0], &child, sizeof(child)) != sizeof(child))
		tap_bail("no child");
	tap_eq(status_of(pid), 0, "a peer dies whose child lives on");
	tap_ok(eventually(ivshmem_peers(handle, NULL, 0) == 0),
	       "the server notices (once the child held the connection)");
	kill(child, SIGKILL);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	pid_t server = start_server("--memfd", "-l", "16M", "-n", "1", NULL);

	handle = must_open(0);
	test_busy();
	test_slow();
	test_bursts();
	test_known(false);
	test_known(true);
	test_received();
	test_dead_at_first();
	test_last_words();
	test_child();
	test_children_of_threads();
	test_orphan();
	ivshmem_close(handle);
	return stop_server(server, SIGTERM) || tap_done();
}
