/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What each tracepoint of the driver is: where in src/ the step happens that it
 * tells of, and what is held there.
 */
#ifndef CTL_TRACE_STEP_H
#define CTL_TRACE_STEP_H

#include <stddef.h>

struct trace_step {
	const char *event;
	const char *with;	/* in the event's fields, or NULL for the others */
	const char *file;
	const char *function;
	const char *held;
	const char *meaning;
};

extern const struct trace_step trace_steps[];
extern const size_t trace_nr_steps;

/* NULL: that is none of the driver's events. */
const struct trace_step *trace_step_of(const char *event, const char *fields);

#endif /* CTL_TRACE_STEP_H */
