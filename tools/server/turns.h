/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The order in which the server sends: the peer with the lowest ticket first.
 */
#ifndef TURNS_H
#define TURNS_H

#include <stdint.h>

#include "ids.h"

struct peer;

struct turns {
	struct peer *heap[IDS];	/* none after its children */
	uint32_t count;
	uint64_t drawn;			/* the last ticket; 0 is none */
};

uint64_t turns_draw(struct turns *turns);

/* The peer has a ticket, and is not added twice. */
void turns_add(struct turns *turns, struct peer *peer);
void turns_remove(struct turns *turns, struct peer *peer);

/* Returns NULL if nobody wants to send. */
struct peer *turns_first(const struct turns *turns);

#endif /* TURNS_H */
