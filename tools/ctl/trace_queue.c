// SPDX-License-Identifier: GPL-2.0-only
/*
 * Merging the lines of several traces in chronological order.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace_queue.h"

#define READS	1024	/* at once; each gives up to 4 KiB */

static int make_room(struct trace_queue *queue)
{
	size_t room = queue->room ? 2 * queue->room : 256;
	struct trace_entry *entries;

	if (queue->count < queue->room)
		return 0;
	entries = reallocarray(queue->entries, room, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	queue->entries = entries;
	queue->room = room;
	return 0;
}

/* "CPU:0 [LOST 17 EVENTS]", and nothing else: a task can have a name that begins so. */
static bool reports_loss(const char *text)
{
	int end = 0;

	if (sscanf(text, "CPU:%*u [LOST %*u EVENTS]%n", &end) == EOF || !end)
		sscanf(text, "CPU:%*u [LOST EVENTS]%n", &end);
	return end && !text[end];
}

/* Returns 1 if the line reports lost events. */
static int take_line(struct trace_source *source, struct trace_queue *queue,
		     const char *text)
{
	struct trace_entry *entry;

	if (reports_loss(text))
		return 1;
	if (make_room(queue))
		return -ENOMEM;
	entry = &queue->entries[queue->count];
	entry->text = strdup(text);
	if (!entry->text)
		return -ENOMEM;
	if (!source->parse(entry->text, &entry->line)) {
		free(entry->text);
		return 0;
	}
	source->last_ns = entry->line.time_ns;
	entry->number = queue->taken++;
	queue->count++;
	return 0;
}

static int take_lines(struct trace_source *source, struct trace_queue *queue)
{
	char *line = source->text, *end;
	int lost = 0;

	source->text[source->length] = '\0';
	while ((end = strchr(line, '\n'))) {
		int ret;

		*end = '\0';
		ret = take_line(source, queue, line);
		if (ret < 0)
			return ret;
		lost += ret;
		line = end + 1;
	}
	source->length = strlen(line);
	memmove(source->text, line, source->length);
	/* Longer than any line: discard it. */
	if (source->length == sizeof(source->text) - 1)
		source->length = 0;
	return lost;
}

int trace_read(struct trace_source *source, struct trace_queue *queue)
{
	int lost = 0;

	source->behind = false;
	for (int n = 0; n < READS; n++) {
		ssize_t got = read(source->fd, source->text + source->length,
				   sizeof(source->text) - 1 - source->length);
		int ret;

		if (got < 0 && errno == EINTR)
			return lost;
		if (got < 0 && errno != EAGAIN)
			return -errno;
		if (got <= 0)
			return lost;
		source->length += (size_t)got;
		ret = take_lines(source, queue);
		if (ret < 0)
			return ret;
		lost += ret;
	}
	source->behind = true;
	return lost;
}

static int compare(const void *one, const void *other)
{
	const struct trace_entry *a = one, *b = other;

	if (a->line.time_ns != b->line.time_ns)
		return a->line.time_ns < b->line.time_ns ? -1 : 1;
	return a->number < b->number ? -1 : 1;
}

void trace_take(struct trace_queue *queue, int64_t time_ns,
		void (*show)(const struct trace_line *line))
{
	size_t shown = 0;

	if (queue->count)
		qsort(queue->entries, queue->count, sizeof(*queue->entries), compare);
	while (shown < queue->count && queue->entries[shown].line.time_ns <= time_ns) {
		show(&queue->entries[shown].line);
		free(queue->entries[shown++].text);
	}
	queue->count -= shown;
	if (shown)
		memmove(queue->entries, queue->entries + shown,
			queue->count * sizeof(*queue->entries));
}

void trace_queue_free(struct trace_queue *queue)
{
	while (queue->count)
		free(queue->entries[--queue->count].text);
	free(queue->entries);
	memset(queue, 0, sizeof(*queue));
}
