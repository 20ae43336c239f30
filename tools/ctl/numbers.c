// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parsing and formatting of numbers, order statistics: see numbers.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numbers.h"

int parse_seconds(const char *text, int64_t *nanoseconds)
{
	double seconds;
	char *end;

	/* strtod() would accept a sign, "inf", "nan" and hexadecimal. */
	if (text[0] == '\0' || text[strspn(text, "0123456789.")] != '\0')
		return -EINVAL;
	seconds = strtod(text, &end);
	if (end == text || *end)
		return -EINVAL;
	if (seconds > MAX_SECONDS)
		return -ERANGE;
	*nanoseconds = (int64_t)(seconds * 1e9 + 0.5);
	return 0;
}

const char *format_size(char text[SIZE_TEXT], double bytes)
{
	size_t unit = 0;

	/* 999.5 would print four digits. */
	while (bytes >= 999.5 && unit < strlen(size_units)) {
		bytes /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(text, SIZE_TEXT, "%.0f B", bytes);
	else
		snprintf(text, SIZE_TEXT, "%.3g %ciB", bytes, size_units[unit - 1]);
	return text;
}

const char *format_count(char text[COUNT_TEXT], uint64_t count, const char *thing)
{
	snprintf(text, COUNT_TEXT, "%" PRIu64 " %s%s", count, thing, count == 1 ? "" : "s");
	return text;
}

const char *format_rate(char text[SIZE_TEXT], double rate)
{
	snprintf(text, SIZE_TEXT, rate < 999.5 ? "%.3g" : "%.0f", rate);
	return text;
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

void sort_values(uint64_t *values, size_t count)
{
	if (count)
		qsort(values, count, sizeof(*values), compare);
}

uint64_t percentile(const uint64_t *values, size_t count, double percent)
{
	double share = percent * (double)count / 100;
	size_t rank = (size_t)share;

	if ((double)rank < share || rank == 0)
		rank++;
	return values[rank - 1];
}
