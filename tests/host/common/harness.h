/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What host tests share: a scratch directory, the server's program, and a
 * client that shows each message as it comes.
 */
#ifndef HARNESS_H
#define HARNESS_H

#include <errno.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../guest/tap.h"

#define NONE	(-1)		/* as a descriptor: a message without one */
#define SOME	0		/* there must be one, whichever */

/*
 * A path in this test's own directory, which goes when the test ends. The same
 * name gives the same string.
 */
const char *scratch(const char *name);

/* How many descriptors a process (0: this one) has open. */
int open_descriptors(pid_t pid);

/* What is started: the program with the sanitizers, or other words and NULL. */
extern const char *const *server_command;

/* The limit of descriptors for servers started from now on; 0: leave it. */
extern unsigned int server_nofile;

/* Whether these leave_root(). */
extern bool server_limited;

/*
 * Lose root's right to exceed limits, and become a user that nobody else is: the kernel
 * counts descriptors in flight for each user, and other tests have some. An ordinary user
 * stays what it is.
 */
void leave_root(void);

/*
 * Start the server in the foreground on scratch("socket"), with these options
 * and NULL; returns when it listens.
 */
pid_t start_server(const char *option, ...) __attribute__((sentinel));

/* Run the server with just these options; its exit status, or -signal. */
int run_server(const char *option, ...) __attribute__((sentinel));

/* What the server last started or run said on stderr. */
const char *server_said(void);

/* Ask it to stop; its exit status, or -signal. */
int stop_server(pid_t pid, int signal);

/* Wait until the condition holds, but not for ever; whether it does. */
#define eventually(condition) ({ \
	int tries_ = 2000; \
	bool held_; \
	while (!(held_ = (condition)) && tries_--) \
		usleep(5000); \
	held_; \
})

/* A connection without the library. */
int join(const char *path);

struct message {
	int64_t value;
	int fd;
	bool end;		/* the server hung up */
};

/* The next message; ends the test if none comes. */
struct message next_message(int socket);

/*
 * Check that the next message is this one, and has a descriptor or not (NONE).
 * Gives the descriptor that came. Here and not in harness.c as each file counts
 * its own points.
 */
static inline int expect_message(int socket, int64_t value, int descriptor)
{
	struct message got = next_message(socket);
	bool right = !got.end && got.value == value &&
		     (got.fd == NONE) == (descriptor == NONE);

	if (!right)
		tap_note("got %s%lld %s descriptor", got.end ? "end, " : "",
			 (long long)got.value,
			 got.fd == NONE ? "without" : "with");
	tap_ok(right, "next is %lld %s descriptor", (long long)value,
	       descriptor == NONE ? "without" : "with");
	return got.fd;
}

/* Skip messages up to the own last vector; gives the own id. */
int introduction(int socket, int vectors);

#endif /* HARNESS_H */
