/* SPDX-License-Identifier: GPL-2.0-only */
/* Random numbers, which a seed repeats, and a table of operations, for fuzzers. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>

#include "guarded.h"

/* Numbers of this thread: any, or one below an end. */
void fuzz_seed(uint64_t seed);
uint64_t draw(void);
unsigned int below(unsigned int end);

static inline bool once_in(unsigned int times)
{
	return !below(times);
}

/* One operation; each fuzzer has its own. */
struct op;

/* A kind of operation; @often is its weight. */
struct kind {
	void (*run)(const struct op *o);
	unsigned int often;
};

unsigned int draw_kind(const struct kind *kinds, unsigned int count);

/* Interrupt this thread by a signal every 20 ms. */
void alarm_often(void);

#endif
