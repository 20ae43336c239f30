// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parsing the kernel's trace_pipe.
 *
 *	          dd-123     [001] d.h1.  5724.664823: ivshmem_interrupt: device=0 vector=0
 *	 5724.664823 |   1)   1.234 us    |  ivshmem_release();
 *
 * A task name can contain anything, even what looks like the other fields. So search for
 * the processor number in brackets.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "trace_line.h"

#define MICROSECOND INT64_C(1000)

/* "5724.664823"; returns the rest, or NULL if it is not a time. */
static char *parse_time(char *text, int64_t *time_ns)
{
	char *end, *point;
	long long seconds = strtoll(text, &end, 10), rest;

	if (end == text || *end != '.')
		return NULL;
	point = end + 1;
	rest = strtoll(point, &end, 10);
	if (end - point != 6)
		return NULL;
	*time_ns = (seconds * 1000000 + rest) * MICROSECOND;
	return end;
}

/* "dd-123   "; the last '-' precedes the number. */
static bool parse_task(char *text, char *end, struct trace_line *line)
{
	char *dash;

	while (end > text && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	dash = strrchr(text, '-');
	if (!dash || !isdigit((unsigned char)dash[1]))
		return false;
	*dash = '\0';
	line->pid = atoi(dash + 1);
	line->task = text + strspn(text, " ");
	return true;
}

/* " d.h1.  5724.664823: ivshmem_open: device=0"; modifies @text on a match only. */
static bool parse_rest(char *text, struct trace_line *line)
{
	char *flags = text + strspn(text, " ");
	char *after = flags + strcspn(flags, " ");
	char *event = parse_time(after, &line->time_ns), *colon;

	colon = event && !strncmp(event, ": ", 2) ? strchr(event + 2, ':') : NULL;
	if (!colon)
		return false;
	*after = *colon = '\0';
	line->flags = flags;
	line->event = event + 2;
	line->fields = colon + 1 + strspn(colon + 1, " ");
	return true;
}

bool trace_parse_event(char *text, struct trace_line *line)
{
	for (char *open = strchr(text, '['); open; open = strchr(open + 1, '[')) {
		char *end;

		line->cpu = (int)strtol(open + 1, &end, 10);
		if (end == open + 1 || strncmp(end, "] ", 2) || !parse_rest(end + 1, line))
			continue;
		line->duration = line->fields + strlen(line->fields);
		return parse_task(text, open, line);
	}
	return false;
}

static void cut_spaces(char *end)
{
	while (isspace((unsigned char)end[-1]))
		*--end = '\0';
}

/* "ivshmem_open [ivshmem]() {": the same for all functions. */
static void cut_module(char *text)
{
	static const char module[] = " [ivshmem]";
	char *found = strstr(text, module), *rest;

	if (!found)
		return;
	rest = found + strlen(module);
	memmove(found, rest, strlen(rest) + 1);
}

bool trace_parse_call(char *text, struct trace_line *line)
{
	char *bar = strrchr(text, '|'), *end = parse_time(text, &line->time_ns);

	if (!end || !bar)
		return false;
	end += strspn(end, " |");
	line->cpu = (int)strtol(end, &end, 10);
	if (*end++ != ')')
		return false;
	*bar = '\0';
	/* A mark such as '+' can precede a long duration. */
	line->duration = end + strcspn(end, "0123456789");
	cut_spaces(line->duration + strlen(line->duration));
	line->event = NULL;
	line->pid = 0;
	line->task = line->flags = line->duration + strlen(line->duration);
	line->fields = bar + 1;
	cut_spaces(line->fields + strlen(line->fields));
	cut_module(line->fields);
	return line->fields[0] != '\0';
}

const char *trace_context(const struct trace_line *line)
{
	char level = line->flags[0] && line->flags[1] ? line->flags[2] : '.';

	switch (level) {
	case 'Z':
	case 'z':
		return "non-maskable interrupt";
	case 'H':
	case 'h':
		return "hard interrupt";
	case 's':
		return "soft interrupt";
	default:
		break;
	}
	if (!strncmp(line->task, "kworker/", 8))
		return "workqueue";
	return !strncmp(line->task, "irq/", 4) ? "interrupt thread" : "process";
}

bool trace_interrupts_off(const struct trace_line *line)
{
	return *line->flags == 'd' || *line->flags == 'D';
}
