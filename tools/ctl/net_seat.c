// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is present in the label of a region: see net_seat.h.
 */
#include <errno.h>
#include <stdlib.h>

#include "../../lib/slot.h"
#include "net_seat.h"

#define BEAT_NS		(IVSHMEM_BEAT_MS * INT64_C(1000000))

_Static_assert(SEATS == SLOT_MAX, "as many");

int seat_prepare(struct net_seat *seat, struct ivshmem *region)
{
	seat->slots = calloc(1, sizeof(*seat->slots));
	return seat->slots ? ivshmem_slots_open(seat->slots, region) : -ENOMEM;
}

/*
 * The look comes first: it says which owners are silent. A slot that was lost is replaced one
 * beat later: where a tool is about to format the region, the label has gone by then.
 */
static void beat(struct slots *slots)
{
	bool had_one = slots->own != IVSHMEM_SLOT_NONE;
	struct ivshmem_peer peers[SEATS];

	ivshmem_slots_look(slots, peers);
	if (!ivshmem_slots_are_valid(slots))
		return;
	if (had_one && !ivshmem_slots_are_ours(slots))
		slots->own = IVSHMEM_SLOT_NONE;
	else if (had_one || ivshmem_slots_claim(slots))
		ivshmem_slots_beat(slots);
}

void seat_open(struct net_seat *seat, const struct device *device)
{
	seat->handle = device->handle;
	seat->beat_ns = INT64_MAX;
	if (!seat->slots)
		return;
	seat->slots->id = device->properties.id;
	seat->beat_ns = 0;
	seat_beat(seat, now_ns());
}

void seat_close(struct net_seat *seat)
{
	if (!seat->slots)
		return;
	ivshmem_slots_leave(seat->slots);
	ivshmem_slots_close(seat->slots, seat->handle);
	free(seat->slots);
}

bool seat_beat(struct net_seat *seat, int64_t now)
{
	if (now < seat->beat_ns)
		return false;
	beat(seat->slots);
	seat->beat_ns = now + BEAT_NS;
	return true;
}

bool seat_is_stale(const struct net_seat *seat)
{
	if (seat->slots)
		return !ivshmem_slots_are_valid(seat->slots);
	/* Nobody hears it. */
	return ivshmem_ring(seat->handle, IVSHMEM_PEER_FIRST_ID, 0) == -ESTALE;
}

int seat_look(struct net_seat *seat, struct ivshmem_peer peers[SEATS])
{
	int count = ivshmem_peers(seat->handle, NULL, 0);	/* hears the news, or the end */
	int present = 0;

	if (count < 0)
		return count;
	if (!seat->slots)
		return ivshmem_list_peers(seat->handle, peers, SEATS);
	ivshmem_slots_look(seat->slots, peers);
	for (unsigned int slot = 0; slot < SEATS; slot++)
		if (peers[slot].owner)
			peers[present++] = peers[slot];
	return present;
}
