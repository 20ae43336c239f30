// SPDX-License-Identifier: GPL-2.0-only
/* Accesses that may raise a signal: see guarded.h. */
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../guarded.h"

static __thread sigjmp_buf escape;
static __thread volatile bool armed;

/* Run a statement; gives the signal that ended it, or 0. */
#define guarded(statement) ({ \
	int signal_; \
	armed = true; \
	signal_ = sigsetjmp(escape, 0); \
	if (!signal_) \
		statement; \
	armed = false; \
	signal_; \
})

/* A fault anywhere else is a bug of the test: end the process with a status that says so. */
static void on_fault(int signal)
{
	if (!armed)
		_exit(signal);
	siglongjmp(escape, signal);
}

void guard(void)
{
	struct sigaction fault = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
}

int touch(volatile char *p, bool write)
{
	if (write)
		return guarded(*p = 1);
	return guarded((void)*p);
}

bool put_word(volatile uint32_t *to, uint32_t value)
{
	return !guarded(*to = value);
}

bool put(void *to, const void *from, size_t length)
{
	return !guarded(memcpy(to, from, length));
}
