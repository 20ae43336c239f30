// SPDX-License-Identifier: GPL-2.0-only
/* Touches of memory that may not be there: see guarded.h. */
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../guarded.h"

static __thread sigjmp_buf escape;
static __thread volatile bool armed;

static void on_fault(int signal)
{
	if (!armed)
		_exit(signal);
	siglongjmp(escape, 1);
}

void guard(void)
{
	struct sigaction fault = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &fault, NULL);
	sigaction(SIGBUS, &fault, NULL);
}

bool put(void *to, const void *from, size_t length)
{
	bool done = false;

	armed = true;
	if (!sigsetjmp(escape, 0)) {
		memcpy(to, from, length);
		done = true;
	}
	armed = false;
	return done;
}
