/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instances of tracefs: each has its own events, options and buffer, so other users of
 * tracing are not disturbed.
 */
#ifndef CTL_TRACEFS_H
#define CTL_TRACEFS_H

#include <limits.h>
#include <stdbool.h>

#include "ctl.h"

struct tracefs {
	char path[NAME_MAX];	/* its directory; empty: none */
	int pipe;		/* trace_pipe, non-blocking; -1: none */
};

/*
 * Create an instance that uses CLOCK_MONOTONIC. Complains on failure and leaves nothing
 * behind.
 */
enum exit_code tracefs_make(struct tracefs *instance, const char *suffix);
/* No tracer can be selected after this. Complains on failure. */
enum exit_code tracefs_open_pipe(struct tracefs *instance);

void tracefs_remove(struct tracefs *instance);

/* Returns 0 or a negative errno. */
int tracefs_write(const struct tracefs *instance, const char *file, const char *text);

/* Is @word one of the words in the first line of @file? */
bool tracefs_has(const struct tracefs *instance, const char *file, const char *word);

#endif /* CTL_TRACEFS_H */
