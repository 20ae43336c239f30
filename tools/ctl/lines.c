// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines of text: see lines.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lines.h"

#define MORE	64

static bool make_room(struct lines *lines)
{
	if (lines->count == lines->room) {
		struct line *larger = reallocarray(lines->list, lines->room + MORE,
						   sizeof(*larger));

		if (!larger) {
			lines->incomplete = true;
			return false;
		}
		lines->list = larger;
		lines->room += MORE;
	}
	return true;
}

static void add(struct lines *lines, bool heading, const char *format, va_list arguments)
{
	struct line *line;

	if (!make_room(lines))
		return;
	line = &lines->list[lines->count++];
	line->heading = heading;
	vsnprintf(line->text, sizeof(line->text), format, arguments);
}

void lines_add(struct lines *lines, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(lines, false, format, arguments);
	va_end(arguments);
}

void lines_add_heading(struct lines *lines, const char *format, ...)
{
	va_list arguments;

	lines_add(lines, "%s", "");
	va_start(arguments, format);
	add(lines, true, format, arguments);
	va_end(arguments);
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
