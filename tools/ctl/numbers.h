/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parsing and formatting of numbers, order statistics. Pure functions, so that tests
 * can call them directly.
 */
#ifndef CTL_NUMBERS_H
#define CTL_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "../size.h"

/* Buffer size for format_size(). */
#define SIZE_TEXT	24

#define MAX_SECONDS	1000000000	/* 30 years; fits in int64_t as nanoseconds */

/*
 * Parse seconds, possibly with a fraction. Returns 0, -EINVAL (not a number) or -ERANGE
 * (too large).
 */
int parse_seconds(const char *text, int64_t *nanoseconds);

/* "64 MiB", "1.5 GiB", "17 B": at most three digits. Returns @text. */
const char *format_size(char text[SIZE_TEXT], double bytes);

/* Buffer size for format_count(). */
#define COUNT_TEXT	64

/* "1 interrupt", "2 interrupts", of a @thing whose plural has an s. Returns @text. */
const char *format_count(char text[COUNT_TEXT], uint64_t count, const char *thing);

/* "2.5", "12345": a number per second, with at least three digits. Returns @text. */
const char *format_rate(char text[SIZE_TEXT], double rate);

void sort_values(uint64_t *values, size_t count);

/*
 * The smallest of the sorted @values (at least one) that @percent of them do not
 * exceed: 0 is the minimum, 50 the median, 100 the maximum.
 */
uint64_t percentile(const uint64_t *values, size_t count, double percent);

#endif /* CTL_NUMBERS_H */
