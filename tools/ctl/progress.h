/* SPDX-License-Identifier: GPL-2.0-only */
/* A line on the terminal that shows how far a transfer has come. */
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
/* @total may be UINT64_MAX: not known. Draws five times a second at most. */
void progress_update(struct progress *progress, uint64_t bytes, uint64_t total);
/* Wipes the line; gives the seconds since the start. */
double progress_end(struct progress *progress);

#endif /* CTL_PROGRESS_H */
