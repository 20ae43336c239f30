// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which port an Ethernet address is at: see net_learn.h.
 */
#include <string.h>

#include "net_learn.h"

#define ADDRESS_BITS	48
#define AGE_NS		INT64_C(300000000000)

static uint64_t number_of(const uint8_t *address)
{
	uint64_t number = 0;

	for (int i = 0; i < 6; i++)
		number = number << 8 | address[i];
	return number;
}

static uint64_t address_of(const struct learned *entry)
{
	return entry->key & ((UINT64_C(1) << ADDRESS_BITS) - 1);
}

static unsigned int bucket_of(const struct learn *learn, uint64_t address)
{
	return (unsigned int)(((address ^ learn->seed) * UINT64_C(0x9e3779b97f4a7c15)) >> 56);
}

_Static_assert(LEARN_BUCKETS == 256, "8 bits");

void learn_init(struct learn *learn, uint64_t seed)
{
	memset(learn, 0, sizeof(*learn));
	learn->seed = seed;
}

void learn_source(struct learn *learn, const uint8_t *address, unsigned int port, int64_t now)
{
	uint64_t number = number_of(address);
	struct learned *bucket = learn->buckets[bucket_of(learn, number)], *oldest = bucket;

	if (address[0] & 1)
		return;
	for (struct learned *entry = bucket; entry < bucket + LEARN_WAYS; entry++) {
		if (entry->key && address_of(entry) == number) {
			oldest = entry;
			break;
		}
		if (entry->seen_ns < oldest->seen_ns)
			oldest = entry;
	}
	*oldest = (struct learned){ number | (port + 1ULL) << ADDRESS_BITS, now };
}

int learn_find(const struct learn *learn, const uint8_t *address, int64_t now)
{
	uint64_t number = number_of(address);
	const struct learned *bucket = learn->buckets[bucket_of(learn, number)];

	for (int way = 0; way < LEARN_WAYS; way++)
		if (bucket[way].key && address_of(&bucket[way]) == number &&
		    now - bucket[way].seen_ns < AGE_NS)
			return (int)(bucket[way].key >> ADDRESS_BITS) - 1;
	return -1;
}

void learn_forget(struct learn *learn, unsigned int port)
{
	for (int i = 0; i < LEARN_BUCKETS; i++)
		for (int way = 0; way < LEARN_WAYS; way++) {
			struct learned *entry = &learn->buckets[i][way];

			if (entry->key >> ADDRESS_BITS == port + 1ULL)
				*entry = (struct learned){ 0 };
		}
}
