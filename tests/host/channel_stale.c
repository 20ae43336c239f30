// SPDX-License-Identifier: GPL-2.0-only
/*
 * An end that is stopped in a call, replaced, and continued: its successor does not notice.
 * A debugger stops it after so many instructions of the call, at places all over it. And one that
 * is stopped while the other end says its last words and closes: it hears them.
 *
 * Calls that write a message or free one are not here: docs/library.md says why.
 */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "../../lib/park.h"
#include "../../lib/session.h"

#define MESSAGES	5	/* of 48 bytes with their headers, unread at the same time */
#define LAST_WORDS	"last words"
#define LOOKS		60	/* places in the call that hears them */

static const struct ivshmem_channel_options options = {
	.size = IVSHMEM_CHANNEL_CONTROL + 2 * 1024,
	.spin_ns = -1,
};

static struct ivshmem *a, *b;

/* What the end that is replaced does. */

static int64_t received;

static void receive(struct ivshmem_channel *channel)
{
	char text[64];

	received = ivshmem_channel_recv(channel, text, sizeof(text), 0);
}

static void send(struct ivshmem_channel *channel)
{
	char text[40] = "";

	ivshmem_channel_send(channel, text, sizeof(text), 0, 0);
}

struct row {
	const char *name;
	void (*call)(struct ivshmem_channel *channel);
	bool closed;		/* the other end has closed, and come back */
	int places;
};

static const struct row rows[] = {
	{ "recv() that finds nothing", receive, false, 15 },
	{ "recv() after the other end has closed", receive, true, 60 },
	{ "send() after the other end has closed", send, true, 60 },
	{ "shutdown()", ivshmem_channel_shutdown, false, 15 },
	{ "close()", ivshmem_channel_close, false, 15 },
};

/* In the call, or in those after it. */
static bool hears_last_words(struct ivshmem_channel *channel)
{
	while (received == -EAGAIN)
		receive(channel);
	return received == strlen(LAST_WORDS);
}

static void live(const struct row *row)
{
	struct ivshmem_channel *channel = must_attach(must_open(0), &options);

	if (ivshmem_channel_send(channel, "hi", 2, 0, ivshmem_after(PATIENCE)) ||
	    !hear(channel, "hi", ivshmem_after(PATIENCE)) ||
	    ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(1);
	raise(SIGSTOP);
	row->call(channel);
	raise(SIGSTOP);
	_exit(!hears_last_words(channel));
}

static pid_t start(const struct row *row, struct ivshmem_channel **x)
{
	pid_t pid;
	int status;

	*x = must_create(a, &options);
	pid = fork();
	if (!pid)
		live(row);
	if (!hear(*x, "hi", ivshmem_after(PATIENCE)) ||
	    ivshmem_channel_send(*x, "hi", 2, 0, ivshmem_after(PATIENCE)))
		tap_bail("no end to be replaced");
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		tap_bail("it does not stop");
	if (row->closed) {
		ivshmem_channel_close(*x);
		*x = must_create(a, &options);
	}
	return pid;
}

/* Go on for so many instructions at most; gives how many there were before it stopped. */
static int run(pid_t pid, int instructions)
{
	int n, status;

	for (n = 0; n < instructions; n++) {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid)
			tap_bail("cannot be stepped");
		if (!WIFSTOPPED(status) || WSTOPSIG(status) == SIGSTOP)
			break;
	}
	return n;
}

static void finish(pid_t pid, struct ivshmem_channel *x)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ivshmem_channel_close(x);
}

/* How many instructions the call takes. */
static int length(const struct row *row)
{
	struct ivshmem_channel *x;
	pid_t pid = start(row, &x);
	int n = run(pid, INT32_MAX);

	finish(pid, x);
	return n;
}

/* Until both ends see each other, and what is told of the replaced one has been told. */
static void meet(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	char text[64];

	while (ivshmem_channel_recv(x, text, sizeof(text), 0) != -EAGAIN)
		;
	handshake(x, y);
	while (ivshmem_channel_recv(x, text, sizeof(text), 0) != -EAGAIN ||
	       ivshmem_channel_recv(y, text, sizeof(text), 0) != -EAGAIN)
		;
}

static int number(struct ivshmem_channel *channel, uint64_t number)
{
	uint64_t text[5] = { number, number, number, number, number };

	return ivshmem_channel_send(channel, text, sizeof(text), 0, ivshmem_after(SECOND));
}

static bool is_number(struct ivshmem_channel *channel, uint64_t number)
{
	uint64_t text[5];

	return ivshmem_channel_recv(channel, text, sizeof(text), ivshmem_after(SECOND)) ==
		       sizeof(text) && text[0] == number && text[4] == number;
}

/* Whether the healthy pair talks as if nothing had happened. */
static bool is_unnoticed(const struct row *row, int instructions)
{
	struct ivshmem_channel *x, *y;
	pid_t pid = start(row, &x);
	uint64_t sent = 0, received = 0;
	bool right = true;

	run(pid, instructions);
	y = must_attach(b, &options);
	meet(x, y);
	for (; sent < MESSAGES; sent++)
		right &= !number(x, sent) && !number(y, ~sent);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	waitpid(pid, NULL, 0);
	for (; right && received < 10 * MESSAGES; received++, sent++)
		right &= is_number(y, received) && is_number(x, ~received) &&
			 !number(x, sent) && !number(y, ~sent);
	ivshmem_channel_close(y);
	finish(pid, x);
	return right;
}

static bool is_heard(const struct row *row, int instructions)
{
	struct ivshmem_channel *x;
	pid_t pid = start(row, &x);
	int status = 0;

	run(pid, instructions);
	say(x, LAST_WORDS);
	ivshmem_channel_close(x);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void test_last_words(void)
{
	const struct row *row = &rows[0];
	int all = length(row), place, unheard = 0;

	for (place = 1; place <= LOOKS; place++)
		unheard += !is_heard(row, all / (LOOKS + 1) * place);
	tap_note("%s: %d instructions, stopped at %d", row->name, all, LOOKS);
	tap_eq(unheard, 0, "the other end sends and closes meanwhile: what it sent comes first");
}

/* Echoes until another has taken its end. */
static int echo(struct ivshmem_channel *channel)
{
	int64_t size = 0;
	char text[64];

	while (size != -ESTALE) {
		size = ivshmem_channel_recv(channel, text, sizeof(text), ivshmem_after(PATIENCE));
		if (size >= 0)
			size = ivshmem_channel_send(channel, text, size, 0, ivshmem_after(PATIENCE));
	}
	return 0;
}

static void take_again(struct ivshmem_channel *channel)
{
	if (ivshmem_session_begin(channel))
		_exit(1);
}

static void take_and_echo(struct ivshmem_channel *channel)
{
	take_again(channel);
	raise(SIGSTOP);
	_exit(echo(channel));
}

/* Whether an answer comes, by whichever of the two that have taken the other end. */
static bool is_answered(struct ivshmem_channel *x, struct ivshmem_channel *y)
{
	int64_t end = ivshmem_after(PATIENCE), sent = -EAGAIN, got = -EAGAIN;
	bool stale = false;
	char text[8];

	while (got != 5 && ivshmem_now() < end) {
		got = ivshmem_channel_recv(x, text, 8, 0);
		/* What was sent is lost when a session ends. */
		if (got == -EPIPE || got == -ECONNRESET || sent == -EPIPE || sent == -ECONNRESET)
			sent = -EAGAIN;
		if (sent < 0)
			sent = say(x, "hello");
		if (!stale && ivshmem_channel_recv(y, text, 8, 0) == 5)
			say(y, "hello");
		stale = ivshmem_channel_recv(y, text, 0, 0) == -ESTALE;
	}
	return got == 5;
}

/* Two take the other end at once: one is stopped while it does, and then goes on. */
static bool has_one_owner(int instructions)
{
	static const struct row row = { .call = take_and_echo };
	struct ivshmem_channel *x, *y;
	pid_t pid = start(&row, &x);
	bool right, stale;
	int status;
	char text[8];

	run(pid, instructions);
	y = must_attach(b, &options);
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	waitpid(pid, &status, 0);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	right = is_answered(x, y);
	stale = ivshmem_channel_recv(y, text, 8, 0) == -ESTALE;
	/* Then the other one has it, and is ours to take. */
	if (stale)
		ivshmem_channel_close(must_attach(b, &options));
	waitpid(pid, &status, 0);
	right &= WIFEXITED(status) && !WEXITSTATUS(status);
	ivshmem_channel_close(y);
	ivshmem_channel_close(x);
	return right;
}

static void test_two_owners(void)
{
	static const struct row row = { .call = take_again };
	int all = length(&row), place, wrong = 0;

	for (place = 1; place <= LOOKS; place++)
		wrong += !has_one_owner(all / (LOOKS + 1) * place);
	tap_note("taking an end: %d instructions, stopped at %d", all, LOOKS);
	tap_eq(wrong, 0, "two take one end at once: one of them has it, and the other hears so");
}

int main(void)
{
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "1", NULL);
	size_t n;

	a = must_open(0);
	b = must_open(0);
	for (n = 0; n < sizeof(rows) / sizeof(*rows); n++) {
		int all = length(&rows[n]), place, noticed = 0;

		for (place = 1; place <= rows[n].places; place++)
			noticed += !is_unnoticed(&rows[n], all / (rows[n].places + 1) * place);
		tap_note("%s: %d instructions, stopped at %d", rows[n].name, all,
			 rows[n].places);
		tap_eq(noticed, 0, "an end is replaced in %s: nobody notices", rows[n].name);
	}
	test_last_words();
	test_two_owners();
	ivshmem_close(a);
	ivshmem_close(b);
	return stop_server(server, SIGTERM) || tap_done();
}
