// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Comings and goings, where a table says who is there.
 *
 * A peer that is silent counts as absent, and the sessions of channels with it end. It may
 * only have been stopped, so nothing else follows: what it has locked stays locked.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "presence.h"
#include "process.h"

int ivshmem_presence_init(struct ivshmem *handle)
{
	handle->absences = calloc(IVSHMEM_MAX_PEER + 1, sizeof(*handle->absences));
	return handle->absences ? 0 : -ENOMEM;
}

static bool is_there(const struct ivshmem_peer *peer)
{
	return peer->owner && !peer->self;
}

static bool is_same(const struct ivshmem_peer *a, const struct ivshmem_peer *b)
{
	return a->owner == b->owner && a->id == b->id && a->self == b->self;
}

static void note_leave(struct ivshmem *handle, const struct ivshmem_peer *peer)
{
	handle->absences[peer->id]++;
	handle->left[peer->id] = true;
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: peer %u is not there any more", handle->name,
		    peer->id);
}

bool ivshmem_presence_update(struct ivshmem *handle, struct presence *presence)
{
	bool left = false, come = false;
	uint32_t slot;

	for (slot = 0; slot < SLOT_MAX; slot++) {
		const struct ivshmem_peer *old = &presence->known[slot];
		const struct ivshmem_peer *new = &presence->now[slot];

		if (is_same(old, new))
			continue;
		if (is_there(old)) {
			note_leave(handle, old);
			left = true;
		}
		if (is_there(new)) {
			ivshmem_log(IVSHMEM_LOG_INFO, "%s: peer %u is there", handle->name,
				    new->id);
			come = true;
		}
	}
	memcpy(presence->known, presence->now, sizeof(presence->known));
	/* The same id may have another slot now. */
	for (slot = 0; slot < SLOT_MAX; slot++)
		if (is_there(&presence->known[slot]))
			handle->left[presence->known[slot].id] = false;
	if (left)
		ivshmem_process_doubt(handle);
	if (left || come)
		ivshmem_listeners_signal(handle, NULL);
	return left;
}

static int compare(const void *a, const void *b)
{
	uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

	return (one > other) - (one < other);
}

int ivshmem_presence_ids(const struct presence *presence, uint32_t *ids, size_t max)
{
	uint32_t found[SLOT_MAX];
	size_t count = 0;
	uint32_t slot;

	for (slot = 0; slot < SLOT_MAX; slot++)
		if (is_there(&presence->known[slot]))
			found[count++] = presence->known[slot].id;
	qsort(found, count, sizeof(*found), compare);
	if (max)
		memcpy(ids, found, (count < max ? count : max) * sizeof(*found));
	return (int)count;
}

int ivshmem_presence_list(const struct presence *presence, struct ivshmem_peer *peers,
			  size_t max)
{
	size_t count = 0;
	uint32_t slot;

	for (slot = 0; slot < SLOT_MAX; slot++) {
		if (!presence->known[slot].owner)
			continue;
		if (count < max)
			peers[count] = presence->known[slot];
		count++;
	}
	return (int)count;
}
