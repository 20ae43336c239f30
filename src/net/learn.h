/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which port an Ethernet address was last seen at
 */
#ifndef IVSHMEM_NET_LEARN_H
#define IVSHMEM_NET_LEARN_H

#include <linux/spinlock.h>
#include <linux/types.h>

#define IVSHMEM_LEARN_BUCKETS	256	/* a power of two */
#define IVSHMEM_LEARN_WAYS	4

/**
 * struct ivshmem_learn_entry - one address
 * @key: the address, and 1 more than the port in the two bytes above it; 0: free
 * @seen: jiffies of the last frame from it
 */
struct ivshmem_learn_entry {
	u64 key;
	unsigned long seen;
};

/**
 * struct ivshmem_learn - the addresses of a segment
 * @seed: of the hash, so that no peer can choose the bucket
 * @lock: taken by those who write keys
 * @buckets: each address is in one of its bucket's entries, or unknown
 */
struct ivshmem_learn {
	u32 seed;
	spinlock_t lock;	/* keys */
	struct ivshmem_learn_entry buckets[IVSHMEM_LEARN_BUCKETS][IVSHMEM_LEARN_WAYS];
};

void ivshmem_learn_init(struct ivshmem_learn *learn);
void ivshmem_learn_source(struct ivshmem_learn *learn, const u8 *address, unsigned int port);
int ivshmem_learn_find(const struct ivshmem_learn *learn, const u8 *address);
void ivshmem_learn_forget(struct ivshmem_learn *learn, unsigned int port);

#endif /* IVSHMEM_NET_LEARN_H */
