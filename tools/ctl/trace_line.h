/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parsing the kernel's trace_pipe.
 */
#ifndef CTL_TRACE_LINE_H
#define CTL_TRACE_LINE_H

#include <stdbool.h>
#include <stdint.h>

/* The strings point into the parsed text. */
struct trace_line {
	int64_t time_ns;	/* of the trace clock */
	int cpu;
	int pid;
	char *task;
	char *flags;		/* such as "d.h1.", or empty */
	char *event;		/* NULL: a function call, in fields */
	char *fields;		/* "device=0 vector=1", or the text of a mark */
	char *duration;		/* of a call, such as "1.234 us", or empty */
};

/*
 * Parse and modify @text, a line without newline. Return false if it is not an event, such
 * as a heading.
 */
bool trace_parse_event(char *text, struct trace_line *line);
bool trace_parse_call(char *text, struct trace_line *line);

/* The context in words: process, hard interrupt, ... */
const char *trace_context(const struct trace_line *line);
bool trace_interrupts_off(const struct trace_line *line);

#endif /* CTL_TRACE_LINE_H */
