/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel prints in trace_pipe, taken apart.
 */
#ifndef CTL_TRACE_LINE_H
#define CTL_TRACE_LINE_H

#include <stdbool.h>
#include <stdint.h>

/* The strings lie in the text that was parsed. */
struct trace_line {
	int64_t time_ns;	/* by the clock of the trace */
	int cpu;
	int pid;
	char *task;
	char *flags;		/* such as "d.h1.", or empty */
	char *event;		/* NULL: a call of a function, in fields */
	char *fields;		/* device=0 vector=1; of a mark the text */
	char *duration;		/* of a call, such as "1.234 us", or empty */
};

/*
 * These cut @text, a line without its end, into pieces. They give false for what is
 * no event, such as headings.
 */
bool trace_parse_event(char *text, struct trace_line *line);
bool trace_parse_call(char *text, struct trace_line *line);

/* What ran there, in words: process, hard interrupt... */
const char *trace_context(const struct trace_line *line);
bool trace_interrupts_off(const struct trace_line *line);

#endif /* CTL_TRACE_LINE_H */
