/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who was there at the last look, by a table of peers (presence.c).
 */
#ifndef IVSHMEM_PRESENCE_H
#define IVSHMEM_PRESENCE_H

#include "slot.h"

/* By slot. Without an owner there is nobody. Under a lock of the back end. */
struct presence {
	struct ivshmem_peer known[SLOT_MAX];
	struct ivshmem_peer now[SLOT_MAX];	/* for the back end to fill */
};

/* The handle hears of peers from now on: 0 or -ENOMEM. */
int ivshmem_presence_init(struct ivshmem *handle);

/* What is now becomes known. True: somebody has left, so threads that wait are to look. */
bool ivshmem_presence_update(struct ivshmem *handle, struct presence *presence);

/* The number of the others, and their ids in ascending order. */
int ivshmem_presence_ids(const struct presence *presence, uint32_t *ids, size_t max);

/* The number of all, and what is known of them, by slot. */
int ivshmem_presence_list(const struct presence *presence, struct ivshmem_peer *peers,
			  size_t max);

#endif /* IVSHMEM_PRESENCE_H */
