/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Merging the lines of several traces in chronological order: a line is held back until
 * no older one can arrive.
 */
#ifndef CTL_TRACE_QUEUE_H
#define CTL_TRACE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "trace_line.h"

struct trace_source {
	int fd;
	bool (*parse)(char *text, struct trace_line *line);
	char text[8192];	/* an incomplete line */
	size_t length;
	int64_t last_ns;	/* time of the last line that was read */
	bool behind;		/* there may be more, which are later than that */
};

struct trace_entry {
	struct trace_line line;
	char *text;
	size_t number;		/* keeps the order of equal times */
};

struct trace_queue {
	struct trace_entry *entries;
	size_t count, room, taken;
};

/*
 * Read the lines that are there, but not for ever if they come as fast. Returns the number of
 * reports of lost events or a negative errno.
 */
int trace_read(struct trace_source *source, struct trace_queue *queue);

/* Pass all lines up to @time_ns to @show, oldest first. */
void trace_take(struct trace_queue *queue, int64_t time_ns,
		void (*show)(const struct trace_line *line));

void trace_queue_free(struct trace_queue *queue);

#endif /* CTL_TRACE_QUEUE_H */
