// SPDX-License-Identifier: GPL-2.0-only
/* A progress line on the terminal. */
#include <stdio.h>
#include <unistd.h>

#include "ctl.h"
#include "numbers.h"
#include "progress.h"

#define REDRAW_NS	INT64_C(200000000)
/* Carriage return, erase to the end of the line. */
#define NEW_LINE	"\r\033[K"

void progress_start(struct progress *progress)
{
	progress->shown = isatty(STDERR_FILENO);
	progress->started_ns = now_ns();
	progress->drawn_ns = progress->started_ns;
}

void progress_update(struct progress *progress, uint64_t bytes, uint64_t total)
{
	char done[SIZE_TEXT], rate[SIZE_TEXT];
	int64_t now;

	if (!progress->shown)
		return;
	now = now_ns();
	if (now - progress->drawn_ns < REDRAW_NS)
		return;
	progress->drawn_ns = now;
	format_size(done, (double)bytes);
	format_size(rate, (double)bytes /
		    ((double)(now - progress->started_ns) / 1e9));
	if (total != UINT64_MAX && total >= bytes && total > 0)
		fprintf(stderr, NEW_LINE "%3.0f%%  %s  %s/s",
			100 * (double)bytes / (double)total, done, rate);
	else
		fprintf(stderr, NEW_LINE "%s  %s/s", done, rate);
}

double progress_end(struct progress *progress)
{
	if (progress->shown)
		fputs(NEW_LINE, stderr);
	return (double)(now_ns() - progress->started_ns) / 1e9;
}
