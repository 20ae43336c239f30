// SPDX-License-Identifier: GPL-2.0-only
/*
 * Output of ivshmemctl trace.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "printable.h"
#include "trace_print.h"
#include "trace_step.h"

#define NAME	20	/* the longest name of an event */
#define TASK	20	/* a name, and a number */
#define SECOND	1e9

static int64_t start_ns;

void trace_print_begin(int64_t start)
{
	start_ns = start;
	if (!common.json)
		printf("%10s cpu %-*s %-30s %s\n", "seconds", TASK, "task", "context",
		       "event; place in the sources; locks held");
}

static double seconds(const struct trace_line *line)
{
	return (double)(line->time_ns - start_ns) / SECOND;
}

/*
 * The trace caches task names, so a program can still have the name of its parent. Prefer
 * the name in /proc if the task exists, except for a kworker, which appends its present
 * work there.
 */
static const char *task_name(const struct trace_line *line)
{
	static char name[64];
	char path[64];
	size_t length;
	FILE *file;

	if (!strncmp(line->task, "kworker/", 8))
		return line->task;
	snprintf(path, sizeof(path), "/proc/%d/comm", line->pid);
	file = fopen(path, "re");
	if (!file)
		return line->task;
	/* All of it: there can be a newline in the name, and there is one after it. */
	length = fread(name, 1, sizeof(name), file);
	fclose(file);
	if (!length)
		return line->task;
	name[length - 1] = '\0';
	return name;
}

static void print_event(const struct trace_line *line)
{
	const struct trace_step *step = trace_step_of(line->event, line->fields);
	char context[64];
	int width;

	snprintf(context, sizeof(context), "%s%s", trace_context(line),
		 trace_interrupts_off(line) ? ", interrupts off" : "");
	printf("%10.6f %3d ", seconds(line), line->cpu);
	width = print_printable(task_name(line));
	width += printf("-%d", line->pid);
	printf("%*s %-30s %-*s ", width < TASK ? TASK - width : 0, "", context, NAME,
	       step ? line->event : "mark");
	print_printable(line->fields);
	if (step)
		printf("; %s: %s(); held: %s", step->file, step->function, step->held);
	putchar('\n');
}

static void print_call(const struct trace_line *line)
{
	printf("%10.6f %3d %20s %30s %s\n", seconds(line), line->cpu, line->duration, "",
	       line->fields);
}

static json_t *value_of(const char *text)
{
	long long number;
	char *end;

	errno = 0;
	number = strtoll(text, &end, 0);
	if (errno || end == text || *end)
		return json_bytes(text);
	return json_integer(number);
}

/* "device=0 vector=1" */
static json_t *fields_of(const char *text)
{
	json_t *fields = json_object();
	char *copy = strdup(text), *rest = copy, *word;

	while ((word = strsep(&rest, " "))) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value++ = '\0';
		json_object_set_new(fields, word, value_of(value));
	}
	free(copy);
	return fields;
}

static json_t *json_of_step(const struct trace_step *step)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "event", step->event,
			 "file", step->file, "function", step->function,
			 "held", step->held, "meaning", step->meaning);
}

static json_t *json_of_event(const struct trace_line *line)
{
	const struct trace_step *step = trace_step_of(line->event, line->fields);
	json_t *json = json_pack("{s:o, s:i, s:s, s:b, s:o}", "task", json_bytes(task_name(line)),
				 "pid", line->pid, "context", trace_context(line),
				 "interrupts_off", trace_interrupts_off(line),
				 "text", json_bytes(line->fields));

	if (!step) {
		json_object_set_new(json, "event", json_string("mark"));
		return json;
	}
	json_object_update_new(json, json_of_step(step));
	json_object_set_new(json, "fields", fields_of(line->fields));
	return json;
}

static void print_as_json(const struct trace_line *line)
{
	json_t *json = line->event ? json_of_event(line) :
		       json_pack("{s:o, s:o}", "call", json_bytes(line->fields),
				 "duration", json_bytes(line->duration));

	json_object_set_new(json, "time", json_real(seconds(line)));
	json_object_set_new(json, "monotonic", json_real((double)line->time_ns / SECOND));
	json_object_set_new(json, "cpu", json_integer(line->cpu));
	json_dumpf(json, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(json);
	putchar('\n');
}

void trace_print(const struct trace_line *line)
{
	if (common.json)
		print_as_json(line);
	else if (line->event)
		print_event(line);
	else
		print_call(line);
}

enum exit_code trace_print_steps(void)
{
	for (size_t i = 0; i < trace_nr_steps; i++) {
		const struct trace_step *step = &trace_steps[i];
		enum exit_code code = EXIT_OK;

		if (common.json)
			code = print_json(stdout, json_of_step(step), true);
		else
			printf("%-*s %s; %s: %s(); held: %s\n", NAME, step->event,
			       step->meaning, step->file, step->function, step->held);
		if (code)
			return code;
	}
	return EXIT_OK;
}
