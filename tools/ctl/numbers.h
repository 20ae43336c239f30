/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers as people write and read them, and order statistics. Pure functions
 * without any state, so that they can be tested alone.
 */
#ifndef CTL_NUMBERS_H
#define CTL_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

#include "../size.h"

/* Room for what format_size() writes. */
#define SIZE_TEXT	24

/*
 * 0, -EINVAL (not a number) or -ERANGE (too large). There may be a fraction of a
 * second.
 */
int parse_seconds(const char *text, int64_t *nanoseconds);

/* "64 MiB", "1.5 GiB", "17 B": three digits at most; gives @text. */
const char *format_size(char text[SIZE_TEXT], double bytes);

void sort_values(uint64_t *values, size_t count);

/*
 * The smallest of the sorted @values (at least one) that @percent of them do
 * not exceed: 0 gives the minimum, 50 the median, 100 the maximum.
 */
uint64_t percentile(const uint64_t *values, size_t count, double percent);

#endif /* CTL_NUMBERS_H */
