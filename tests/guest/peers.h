/* SPDX-License-Identifier: GPL-2.0-only */
/* Who is present on a device, for tests: PEERS, and the sections in the memory. */
#ifndef PEERS_H
#define PEERS_H

#include "../../src/core/peer_area.h"
#include "labels.h"

#define PEERS_PATIENCE	(30 * SECOND)

/* A result of PEERS. */
struct peers {
	uint64_t generation;
	uint32_t nr;
	struct ivshmem_peer_info at[IVSHMEM_LABEL_MAX_PEERS];
};

/* Who is present; with @wait another generation than that in @peers. 0 or a negative errno. */
int peers_get(int fd, struct peers *peers, bool wait, int64_t timeout_ns);

/* Wait until so many are present; false if that takes too long. */
bool peers_become(int fd, struct peers *peers, unsigned int nr);

/* That of this machine among them, or NULL. */
const struct ivshmem_peer_info *peers_self(const struct peers *peers);

/* The section of a slot in a mapping of the region. */
volatile struct ivshmem_peer_section *peers_section(void *region,
						    const struct ivshmem_label *label,
						    unsigned int slot);

#endif
