/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The next fresh id, which outlives the server.
 */
#ifndef IDS_H
#define IDS_H

#include <stdint.h>

#include "../../src/core/peer_area.h"

/* Ids that the server gives, from 0. Those behind them name slots of a label. */
#define IDS	IVSHMEM_PEER_FIRST_ID

/* The files that have it, or -1. */
struct ids {
	int stored;		/* by the service manager */
	int lock;		/* beside the socket */
};

/* Without a stored file, have a service manager store a new one. */
void ids_open(struct ids *ids);

/* Up to IDS; 0 if no file has one, or an earlier version gave one that is none. */
uint32_t ids_load(const struct ids *ids);

/* Returns 0, or -1 with errno. */
int ids_save(const struct ids *ids, uint32_t next);

#endif /* IDS_H */
