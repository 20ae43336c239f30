// SPDX-License-Identifier: GPL-2.0-only
/*
 * The distance of two words, as of Damerau and Levenshtein: see distance.h.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "distance.h"

static bool same(char one, char other)
{
	return tolower((unsigned char)one) == tolower((unsigned char)other);
}

static size_t least(size_t one, size_t other)
{
	return one < other ? one : other;
}

/* Of the first @i letters of the one and the first @j of the other. */
static size_t distance_at(size_t table[][LONGEST_WORD + 1], const char *one, size_t i,
			  const char *other, size_t j)
{
	size_t found;

	if (!i || !j)
		return i + j;
	found = table[i - 1][j - 1] + !same(one[i - 1], other[j - 1]);
	found = least(found, table[i - 1][j] + 1);
	found = least(found, table[i][j - 1] + 1);
	if (i > 1 && j > 1 && same(one[i - 1], other[j - 2]) && same(one[i - 2], other[j - 1]))
		found = least(found, table[i - 2][j - 2] + 1);
	return found;
}

size_t word_distance(const char *one, const char *other)
{
	size_t rows = strlen(one), columns = strlen(other);
	size_t table[LONGEST_WORD + 1][LONGEST_WORD + 1];

	if (rows > LONGEST_WORD || columns > LONGEST_WORD)
		return SIZE_MAX;
	for (size_t i = 0; i <= rows; i++)
		for (size_t j = 0; j <= columns; j++)
			table[i][j] = distance_at(table, one, i, other, j);
	return table[rows][columns];
}
