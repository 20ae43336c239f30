/* SPDX-License-Identifier: GPL-2.0-only */
/* How much alike two words are, for those who have mistyped one. */
#ifndef CTL_DISTANCE_H
#define CTL_DISTANCE_H

#include <stddef.h>

/*
 * How many letters to insert, remove, replace, or swap with the next one, to make one
 * word of the other. Case does not count. SIZE_MAX: a word of more than LONGEST_WORD.
 */
#define LONGEST_WORD	16
size_t word_distance(const char *one, const char *other);

#endif /* CTL_DISTANCE_H */
