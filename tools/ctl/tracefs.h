/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instances of the kernel's tracing: each has events, options and a buffer of its
 * own, so that nobody else's tracing is disturbed.
 */
#ifndef CTL_TRACEFS_H
#define CTL_TRACEFS_H

#include <limits.h>
#include <stdbool.h>

#include "ctl.h"

struct tracefs {
	char path[NAME_MAX];	/* its directory; empty: there is none */
	int pipe;		/* trace_pipe, does not wait; -1: there is none */
};

/*
 * Makes an instance whose clock is CLOCK_MONOTONIC. Says what is wrong, and leaves
 * nothing then.
 */
enum exit_code tracefs_make(struct tracefs *instance, const char *suffix);
/* No tracer can be chosen after this. Says what is wrong. */
enum exit_code tracefs_open_pipe(struct tracefs *instance);

void tracefs_remove(struct tracefs *instance);

/* 0 or a negative errno. */
int tracefs_write(const struct tracefs *instance, const char *file, const char *text);

/* Is @word one of those in the first line of @file? */
bool tracefs_has(const struct tracefs *instance, const char *file, const char *word);

#endif /* CTL_TRACEFS_H */
