/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages that their receiver can check: a number determines size and contents. For
 * guests and the host.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next of a sequence of pseudo-random numbers (xorshift64*). */
uint64_t pattern_next(uint64_t *state);

/* Where the sequence of a number starts. */
uint64_t pattern_seed(uint64_t number);

/* The size of a message: mostly small, sometimes up to @most. */
size_t pattern_size(uint64_t number, size_t most);

/* Fill a message with the contents for its number, or check that it has them. */
void pattern_write(void *message, size_t size, uint64_t number);
bool pattern_matches(const void *message, size_t size, uint64_t number);

#endif
