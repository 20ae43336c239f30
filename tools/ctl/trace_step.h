/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's tracepoints: where in src/ each stands and which locks are held there.
 */
#ifndef CTL_TRACE_STEP_H
#define CTL_TRACE_STEP_H

#include <stddef.h>

struct trace_step {
	const char *event;
	const char *with;	/* substring of the fields, or NULL for any */
	const char *file;
	const char *function;
	const char *held;
	const char *meaning;
};

extern const struct trace_step trace_steps[];
extern const size_t trace_nr_steps;

/* Returns NULL if it is not an event of the driver. */
const struct trace_step *trace_step_of(const char *event, const char *fields);

#endif /* CTL_TRACE_STEP_H */
