// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a verb waits for, how far it is, and what it has done: see progress.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"
#include "numbers.h"
#include "progress.h"

#define REDRAW_NS	INT64_C(200000000)
#define IDLE_NS		INT64_C(1000000000)
/* Carriage return, erase to the end of the line. */
#define ERASE		"\r\033[K"

static bool hidden;
static volatile sig_atomic_t drawn;
static int64_t drawn_ns;

/* The library's log would be written to the end of the line. */
static bool is_visible(void)
{
	static int visible = -1;

	if (visible < 0) {
		const char *terminal = getenv("TERM");

		visible = terminal && strcmp(terminal, "dumb") && isatty(STDERR_FILENO) &&
			  !getenv("IVSHMEM_LOG");
	}
	return visible && !hidden;
}

/* A line that wraps could not be erased. */
static int shorten(const char *text)
{
	struct winsize window;
	size_t length = strlen(text);

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) || !window.ws_col ||
	    length < window.ws_col)
		return (int)length;
	length = window.ws_col - 1U;
	/* Not within a character of UTF-8. */
	while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--;
	return (int)length;
}

static void __attribute__((format(printf, 1, 2))) draw(const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	text = format_message(format, arguments);
	va_end(arguments);
	if (text)
		fprintf(stderr, ERASE "%.*s", shorten(text), text);
	free(text);
	drawn = 1;
	drawn_ns = now_ns();
}

void progress_wait(const char *format, ...)
{
	char awaited[256];
	va_list arguments;

	if (!is_visible())
		return;
	va_start(arguments, format);
	vsnprintf(awaited, sizeof(awaited), format, arguments);
	va_end(arguments);
	draw("waiting for %s", awaited);
}

void progress_erase(void)
{
	int error = errno;

	if (drawn && write(STDERR_FILENO, ERASE, strlen(ERASE)) > 0)
		drawn = 0;
	errno = error;
}

void progress_hide(void)
{
	progress_erase();
	hidden = true;
}

void progress_start(struct progress *progress)
{
	progress->started_ns = now_ns();
	progress->since_ns = progress->started_ns;
	progress->count = 0;
}

double progress_seconds(const struct progress *progress)
{
	return (double)(now_ns() - progress->started_ns) / 1e9;
}

static const char *format_speed(const struct progress *progress, uint64_t count,
				double seconds, char text[SIZE_TEXT])
{
	double rate = seconds > 0 ? (double)count / seconds : 0;

	return progress->thing ? format_rate(text, rate) : format_size(text, rate);
}

/* "12.5 MiB of 64 MiB (20%)", "3 of 10 interrupts (30%)", "3 interrupts" */
static void format_amount(const struct progress *progress, uint64_t count,
			  char text[TOTAL_TEXT])
{
	bool known = progress->total != UINT64_MAX && progress->total >= count && count;
	char whole[COUNT_TEXT], part[COUNT_TEXT];
	uint64_t all = known ? progress->total : count;

	if (progress->thing) {
		format_count(whole, all, progress->thing);
		snprintf(part, sizeof(part), "%" PRIu64, count);
	} else {
		format_size(whole, (double)all);
		format_size(part, (double)count);
	}
	if (known)
		snprintf(text, TOTAL_TEXT, "%s of %s (%.0f%%)", part, whole,
			 100 * (double)count / (double)all);
	else
		snprintf(text, TOTAL_TEXT, "%s", whole);
}

void progress_show(struct progress *progress, uint64_t count, const char *awaited)
{
	char amount[TOTAL_TEXT], rate[SIZE_TEXT];
	int64_t now;
	bool idle;

	if (!is_visible() || (!count && !awaited))
		return;
	now = now_ns();
	if (count != progress->count)
		progress->since_ns = now;
	progress->count = count;
	idle = awaited && (!count || now - progress->since_ns >= IDLE_NS);
	if (drawn && now - drawn_ns < REDRAW_NS)
		return;
	/* The rate of the first moments says nothing. */
	if (!idle && now - progress->started_ns < REDRAW_NS)
		return;
	format_amount(progress, count, amount);
	if (!count)
		draw("waiting for %s", awaited);
	else if (idle)
		draw("%s%s, waiting for %s", progress->done, amount, awaited);
	else
		draw("%s%s, %s/s", progress->done, amount,
		     format_speed(progress, count, progress_seconds(progress), rate));
}

const char *progress_total(const struct progress *progress, uint64_t count,
			   char text[TOTAL_TEXT])
{
	char amount[COUNT_TEXT], size[SIZE_TEXT + 4] = "", rate[SIZE_TEXT];
	double seconds = progress_seconds(progress);

	format_count(amount, count, progress->thing ?: "byte");
	if (!progress->thing)
		snprintf(size, sizeof(size), " (%s)", format_size(rate, (double)count));
	snprintf(text, TOTAL_TEXT, "%s%s%s in %.3f s (%s/s)", progress->done, amount, size,
		 seconds, format_speed(progress, count, seconds, rate));
	return text;
}
