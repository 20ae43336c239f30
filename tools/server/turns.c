// SPDX-License-Identifier: GPL-2.0-only
/*
 * A binary heap: adding or removing a peer takes a few steps, however many there are.
 */
#include <stddef.h>

#include "peer.h"
#include "turns.h"

uint64_t turns_draw(struct turns *turns)
{
	return ++turns->drawn;
}

static void put(struct turns *turns, uint32_t place, struct peer *peer)
{
	turns->heap[place] = peer;
	peer->place = place;
}

/* Move the gap towards the root until the ticket fits. */
static uint32_t rise(struct turns *turns, uint32_t gap, uint64_t ticket)
{
	while (gap && turns->heap[(gap - 1) / 2]->ticket > ticket) {
		put(turns, gap, turns->heap[(gap - 1) / 2]);
		gap = (gap - 1) / 2;
	}
	return gap;
}

/* Move the gap away from the root until the ticket fits. */
static uint32_t sink(struct turns *turns, uint32_t gap, uint64_t ticket)
{
	uint32_t child;

	while ((child = 2 * gap + 1) < turns->count) {
		if (child + 1 < turns->count &&
		    turns->heap[child + 1]->ticket < turns->heap[child]->ticket)
			child++;
		if (turns->heap[child]->ticket >= ticket)
			break;
		put(turns, gap, turns->heap[child]);
		gap = child;
	}
	return gap;
}

void turns_add(struct turns *turns, struct peer *peer)
{
	put(turns, rise(turns, turns->count++, peer->ticket), peer);
	peer->queued = true;
}

void turns_remove(struct turns *turns, struct peer *peer)
{
	struct peer *last = turns->heap[--turns->count];
	uint32_t gap = peer->place;

	peer->queued = false;
	if (last == peer)
		return;
	gap = rise(turns, gap, last->ticket);
	put(turns, sink(turns, gap, last->ticket), last);
}

struct peer *turns_first(const struct turns *turns)
{
	return turns->count ? turns->heap[0] : NULL;
}
