/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lines of text that are made before it is known where they go.
 */
#ifndef CTL_LINES_H
#define CTL_LINES_H

#include <stdbool.h>
#include <stddef.h>

#define LINE_TEXT	512	/* the longest, with its end */

struct line {
	char text[LINE_TEXT];
	bool heading;
};

struct lines {
	struct line *list;
	size_t count, room;
	bool incomplete;	/* out of memory */
};

void lines_add(struct lines *lines, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same with a heading, after an empty line. */
void lines_add_heading(struct lines *lines, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Forget them, and keep the memory. */
void lines_clear(struct lines *lines);
void lines_free(struct lines *lines);

#endif /* CTL_LINES_H */
