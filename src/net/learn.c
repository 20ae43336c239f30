// SPDX-License-Identifier: GPL-2.0-only
/*
 * The learning table: behind which port an Ethernet address is
 *
 * As in a switch, the source of each frame says where answers go. So bridges, and addresses that
 * were changed by hand, work like any other. A frame to an address that is not known goes to all.
 *
 * Peers choose the addresses, so the table has a fixed size, and a port that sends from
 * thousands of them pushes out its own entries before those of others.
 *
 * An address and its port are one word: readers need no lock.
 */
#include <linux/etherdevice.h>
#include <linux/jhash.h>
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/string.h>
#include "learn.h"

#define PORT_SHIFT	48
#define LIFETIME	(300 * HZ)

static u64 make_key(u64 address, unsigned int port)
{
	return address | (u64)(port + 1) << PORT_SHIFT;
}

static u64 address_of(u64 key)
{
	return key & GENMASK_ULL(PORT_SHIFT - 1, 0);
}

static int port_of(u64 key)
{
	return (int)(key >> PORT_SHIFT) - 1;
}

static bool is_old(const struct ivshmem_learn_entry *entry)
{
	return time_after(jiffies, READ_ONCE(entry->seen) + LIFETIME);
}

static unsigned int bucket_of(const struct ivshmem_learn *learn, u64 address)
{
	return jhash_2words(lower_32_bits(address), upper_32_bits(address), learn->seed) %
	       IVSHMEM_LEARN_BUCKETS;
}

/* The entry of an address in its bucket, or -1. */
static int find(const struct ivshmem_learn_entry *bucket, u64 address)
{
	unsigned int i;
	u64 key;

	for (i = 0; i < IVSHMEM_LEARN_WAYS; i++) {
		key = READ_ONCE(bucket[i].key);
		if (key && address_of(key) == address)
			return i;
	}
	return -1;
}

/* The entry that a new address of a port replaces: a free one, or its oldest, or the oldest. */
static unsigned int victim(const struct ivshmem_learn_entry *bucket, unsigned int port)
{
	unsigned int i, oldest = 0;
	int own = -1;

	for (i = 0; i < IVSHMEM_LEARN_WAYS; i++) {
		if (!bucket[i].key || is_old(&bucket[i]))
			return i;
		if (port_of(bucket[i].key) == port &&
		    (own < 0 || time_before(bucket[i].seen, bucket[own].seen)))
			own = i;
		if (time_before(bucket[i].seen, bucket[oldest].seen))
			oldest = i;
	}
	return own < 0 ? oldest : own;
}

static void enter(struct ivshmem_learn *learn, struct ivshmem_learn_entry *bucket, u64 address,
		  unsigned int port)
{
	int i;

	spin_lock(&learn->lock);
	i = find(bucket, address);	/* it may have come meanwhile */
	if (i < 0)
		i = victim(bucket, port);
	WRITE_ONCE(bucket[i].seen, jiffies);
	WRITE_ONCE(bucket[i].key, make_key(address, port));
	spin_unlock(&learn->lock);
}

/**
 * ivshmem_learn_init() - begin with an empty table
 * @learn: zeroed
 */
void ivshmem_learn_init(struct ivshmem_learn *learn)
{
	spin_lock_init(&learn->lock);
	get_random_bytes(&learn->seed, sizeof(learn->seed));
}

/**
 * ivshmem_learn_source() - a frame came
 * @learn: the table
 * @address: the frame's source
 * @port: that it came from
 *
 * Called with softirqs disabled.
 */
void ivshmem_learn_source(struct ivshmem_learn *learn, const u8 *address, unsigned int port)
{
	u64 number = ether_addr_to_u64(address);
	struct ivshmem_learn_entry *bucket;
	int i;

	if (!is_valid_ether_addr(address))
		return;
	bucket = learn->buckets[bucket_of(learn, number)];
	i = find(bucket, number);
	if (i < 0 || READ_ONCE(bucket[i].key) != make_key(number, port))
		enter(learn, bucket, number, port);
	else if (time_after(jiffies, READ_ONCE(bucket[i].seen)))
		WRITE_ONCE(bucket[i].seen, jiffies);
}

/**
 * ivshmem_learn_find() - find where an address is
 * @learn: the table
 * @address: the address
 *
 * Return: the port, or -1 if it is not known
 */
int ivshmem_learn_find(const struct ivshmem_learn *learn, const u8 *address)
{
	u64 number = ether_addr_to_u64(address);
	const struct ivshmem_learn_entry *bucket = learn->buckets[bucket_of(learn, number)];
	int i = find(bucket, number);

	return i < 0 || is_old(&bucket[i]) ? -1 : port_of(READ_ONCE(bucket[i].key));
}

/**
 * ivshmem_learn_forget() - forget all addresses of a port
 * @learn: the table
 * @port: that has gone
 */
void ivshmem_learn_forget(struct ivshmem_learn *learn, unsigned int port)
{
	struct ivshmem_learn_entry *entry = learn->buckets[0];
	unsigned int i;

	spin_lock_bh(&learn->lock);
	for (i = 0; i < IVSHMEM_LEARN_BUCKETS * IVSHMEM_LEARN_WAYS; i++, entry++)
		if (entry->key && port_of(entry->key) == port)
			WRITE_ONCE(entry->key, 0);
	spin_unlock_bh(&learn->lock);
}
