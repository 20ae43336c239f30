/* SPDX-License-Identifier: GPL-2.0-only */
/* Repeat an operation and let each of its allocations fail once. */
#ifndef FAILURES_H
#define FAILURES_H

#include "dev.h"

#define FAIL_NTH "/proc/self/fail-nth"

/*
 * If run() gives 0, check() must find its result and undo() reverts it; both may be
 * missing. After each failure the operation is repeated without one, or, if it is @slow,
 * after each 16th. Where the kernel makes many allocations before it reaches the driver,
 * as for loading a module, only the @last fail.
 */
struct operation {
	const char *name;
	int (*run)(void);
	bool (*check)(void);
	void (*undo)(void);
	bool slow;
	unsigned int last;	/* 0: all fail */
	int also;		/* an errno that is right beside ENOMEM */
};

/* Prepare this process. */
void failures_begin(void);

/* One point for each operation. */
void fail_all(const struct operation *ops, size_t count);

#define FAIL_ALL(ops) fail_all(ops, sizeof(ops) / sizeof(*(ops)))

#endif
