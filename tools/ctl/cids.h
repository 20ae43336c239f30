/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The addresses (CIDs) that the driver ivshmem_vsock gives to the other machines at a partition.
 */
#ifndef CTL_CIDS_H
#define CTL_CIDS_H

#include <jansson.h>
#include <stdbool.h>

#include "../../src/rings/layout.h"

struct cids {
	bool are_there;		/* the driver has a partition */
	unsigned int linked;	/* how many machines can be reached */
	unsigned int of[IVSHMEM_RINGS_MAX_PORTS];	/* by slot; 0: it has none */
};

/* Read the driver's file. */
void cids_read(const char *path, struct cids *cids);

/* Of a partition, or of the first partition of a device that has some. */
void cids_find(const char *device, struct cids *cids);

#endif /* CTL_CIDS_H */
