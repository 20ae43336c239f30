/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lines of several traces, in the order in which things happened: each is held
 * back until nothing older can come.
 */
#ifndef CTL_TRACE_QUEUE_H
#define CTL_TRACE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include "trace_line.h"

/* What is left of a line whose end has not been read yet. */
struct trace_source {
	int fd;
	bool (*parse)(char *text, struct trace_line *line);
	char text[8192];
	size_t length;
};

struct trace_entry {
	struct trace_line line;
	char *text;
	size_t number;		/* so that equal times stay in order */
};

struct trace_queue {
	struct trace_entry *entries;
	size_t count, room, taken;
};

/*
 * Reads all that there is. Gives how many processors have lost events, as the
 * kernel says in between, or a negative errno.
 */
int trace_read(struct trace_source *source, struct trace_queue *queue);

/* Gives what happened until @time_ns to @show, oldest first. */
void trace_take(struct trace_queue *queue, int64_t time_ns,
		void (*show)(const struct trace_line *line));

void trace_queue_free(struct trace_queue *queue);

#endif /* CTL_TRACE_QUEUE_H */
