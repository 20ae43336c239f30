/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which port an Ethernet address was last seen at. Those that are not seen for a while are
 * forgotten, and those that find no room.
 */
#ifndef CTL_NET_LEARN_H
#define CTL_NET_LEARN_H

#include <stdint.h>

#define LEARN_BUCKETS	256
#define LEARN_WAYS	4

struct learned {
	uint64_t key;		/* the address, and 1 more than the port above it; 0: free */
	int64_t seen_ns;
};

struct learn {
	uint64_t seed;		/* so that no peer can choose the bucket */
	struct learned buckets[LEARN_BUCKETS][LEARN_WAYS];
};

void learn_init(struct learn *learn, uint64_t seed);

/* A frame came from @address at @port. */
void learn_source(struct learn *learn, const uint8_t *address, unsigned int port, int64_t now);

/* The port of @address, or -1. */
int learn_find(const struct learn *learn, const uint8_t *address, int64_t now);

void learn_forget(struct learn *learn, unsigned int port);

#endif /* CTL_NET_LEARN_H */
