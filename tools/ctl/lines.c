// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines of text: see lines.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lines.h"

#define MORE	64

static struct line *add(struct lines *lines)
{
	if (lines->count == lines->room) {
		struct line *larger = reallocarray(lines->list, lines->room + MORE,
						   sizeof(*larger));

		if (!larger) {
			lines->incomplete = true;
			return NULL;
		}
		lines->list = larger;
		lines->room += MORE;
	}
	lines->list[lines->count] = (struct line){ .text = "" };
	return &lines->list[lines->count++];
}

void lines_add(struct lines *lines, const char *format, ...)
{
	struct line *line = add(lines);
	va_list arguments;

	if (!line)
		return;
	va_start(arguments, format);
	vsnprintf(line->text, sizeof(line->text), format, arguments);
	va_end(arguments);
}

void lines_add_heading(struct lines *lines, const char *format, ...)
{
	struct line *line = add(lines) ? add(lines) : NULL;
	va_list arguments;

	if (!line)
		return;
	va_start(arguments, format);
	vsnprintf(line->text, sizeof(line->text), format, arguments);
	va_end(arguments);
	line->heading = true;
}

void lines_clear(struct lines *lines)
{
	lines->count = 0;
	lines->incomplete = false;
}

void lines_free(struct lines *lines)
{
	free(lines->list);
}
