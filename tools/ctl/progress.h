/* SPDX-License-Identifier: GPL-2.0-only */
/* A progress line on the terminal. */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool shown;		/* stderr is a terminal */
	int64_t started_ns;
	int64_t drawn_ns;
};

void progress_start(struct progress *progress);
/* @total: UINT64_MAX if unknown. Draws at most five times a second. */
void progress_update(struct progress *progress, uint64_t bytes, uint64_t total);
/* Erases the line. Returns the seconds since the start. */
double progress_end(struct progress *progress);

#endif /* CTL_PROGRESS_H */
