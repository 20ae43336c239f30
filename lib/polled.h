/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Polled doorbells: counters in the peer sections, which the receiver looks at (polled.c).
 */
#ifndef IVSHMEM_POLLED_H
#define IVSHMEM_POLLED_H

#include "slot.h"

struct polled {
	const struct slots *slots;
	uint32_t *seen;			/* of each slot: rung for us, then our row */
	uint32_t next;			/* the slot that has its turn */
	int64_t interval;		/* between two looks, in ns */
	int64_t stirred;		/* when looking began, or something came */
};

/* The counts that a look has found. */
struct polled_counts {
	uint64_t vectors[IVSHMEM_MAX_VECTORS];
};

int ivshmem_polled_init(struct polled *polled, const struct slots *slots);
void ivshmem_polled_free(struct polled *polled);

/* The own slot is another one: what was rung there before was for somebody else. */
void ivshmem_polled_arrive(struct polled *polled);

/* Ring a slot. The own slot must be ours. */
void ivshmem_polled_ring(const struct slots *slots, uint32_t slot, uint32_t vector);

/* What has come since the last look? False: nothing. */
bool ivshmem_polled_look(struct polled *polled, struct polled_counts *counts);

/* Somebody begins to want that. */
void ivshmem_polled_begin(struct polled *polled);

/* How long to wait before the next look. */
int64_t ivshmem_polled_interval(const struct polled *polled, int64_t time);

#endif /* IVSHMEM_POLLED_H */
