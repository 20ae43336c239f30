/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a verb says what it waits for, how far it is, and what it has done: one style for
 * all, which the manual page describes under OUTPUT. The first two are on a line of the
 * terminal that is drawn again and again. There is none if stderr is not a terminal, one
 * that cannot erase, or where the library logs.
 */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <stdint.h>

#define TOTAL_TEXT	256	/* buffer size for progress_total() */

/* Something that is counted. */
struct progress {
	const char *done;	/* what happened to them: "sent ", or "" */
	const char *thing;	/* "interrupt"; NULL: bytes */
	uint64_t total;		/* UINT64_MAX: unknown */
	int64_t started_ns;
	uint64_t count;		/* of things, when last shown, and since when */
	int64_t since_ns;
};

/* Draw "waiting for ...". */
void progress_wait(const char *format, ...) __attribute__((format(printf, 1, 2)));

void progress_start(struct progress *progress);

/*
 * Draw how many there are and their rate or, if there are none or have been no more for a
 * second, that the verb waits for @awaited. Draws at most five times a second.
 */
void progress_show(struct progress *progress, uint64_t count, const char *awaited);

/*
 * To be called before anything else is written to the terminal. Async-signal-safe, keeps
 * errno.
 */
void progress_erase(void);

/* The terminal is for others from now on: draw nothing more. */
void progress_hide(void);

double progress_seconds(const struct progress *progress);

/* "3 interrupts in 2.000 s (1.5/s)", "sent 4096 bytes (4 KiB) in 0.004 s (1 MiB/s)" */
const char *progress_total(const struct progress *progress, uint64_t count,
			   char text[TOTAL_TEXT]);

#endif /* CTL_PROGRESS_H */
