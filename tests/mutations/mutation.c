// SPDX-License-Identifier: GPL-2.0-only
#ifdef __KERNEL__
#include <linux/slab.h>
#define allocate(size)	kmalloc(size, GFP_KERNEL)
#define release(memory)	kfree(memory)
#else
#include <stdbool.h>
#include <stdlib.h>
#define allocate(size)	malloc(size)
#define release(memory)	free(memory)
#endif
#include "../../lib/label_build.h"
#include "mutation.h"

#define SIZE	0x100000	/* of the region */

static const struct ivshmem_label good = {
	.generation = 1,
	.region_size = SIZE,
	.data_offset = 0x8000,
	.peers_offset = 0x4000,
	.peer_size = 0x1000,
	.peers = 4,
	.bell_vectors = 4,
	.header_size = 256,
	.entry_size = 128,
	.nr_entries = 4,
	.entries = {
		[0] = { "raw", "a", 0x10000, 0x10000, 1, 0, 0, 2 },
		[2] = { "raw", "b", 0x20000, 0x20000, 1, 0, 2, 2 },
		[3] = { "net", "c", 0xf0000, 0x10000, 1, 0, 0, 0 },
	},
};

/* Take bytes of the input, or zeros after its end. */
static __u64 take(const __u8 **input, size_t *left, size_t size)
{
	__u64 value = 0;

	if (size > *left)
		size = *left;
	memcpy(&value, *input, size);
	*input += size;
	*left -= size;
	return value;
}

static bool pair_holds(const struct ivshmem_label_entry *a, const struct ivshmem_label_entry *b)
{
	if (!strcmp(a->name, b->name))
		return false;
	if (a->offset + a->size > b->offset && b->offset + b->size > a->offset)
		return false;
	return !a->vectors || !b->vectors || a->first_vector + a->vectors <= b->first_vector ||
	       b->first_vector + b->vectors <= a->first_vector;
}

static bool entry_holds(const struct ivshmem_label *label, int i)
{
	const struct ivshmem_label_entry *entry = &label->entries[i];
	int other;

	if (ivshmem_label_free(entry))
		return true;
	for (other = 0; other < i; other++)
		if (!ivshmem_label_free(&label->entries[other]) &&
		    !pair_holds(entry, &label->entries[other]))
			return false;
	return i < label->nr_entries && ivshmem_label_is_type(entry->type) &&
	       ivshmem_label_is_name(entry->name) && entry->size &&
	       (entry->offset | entry->size) % 4096 == 0 &&
	       entry->offset >= label->data_offset &&
	       entry->offset + entry->size > entry->offset &&
	       entry->offset + entry->size <= label->region_size &&
	       (!entry->vectors || entry->first_vector + entry->vectors <= 256);
}

static bool accepted_holds(const struct ivshmem_label *label, __u64 memory)
{
	int i;

	if (label->region_size > memory || label->data_offset > label->region_size ||
	    label->peers > 128 || label->bell_vectors > 256 ||
	    label->peers_offset + (__u64)label->peers * label->peer_size > label->data_offset)
		return false;
	for (i = 0; i < IVSHMEM_LABEL_MAX_ENTRIES; i++)
		if (!entry_holds(label, i))
			return false;
	return true;
}

/* What is accepted says the same after it was built from what it said. */
static bool again_holds(const __u8 *copy, size_t fixed, __u64 memory, struct ivshmem_label *label)
{
	static __u8 again[IVSHMEM_LABEL_MAX_SIZE];

	memcpy(again, copy, sizeof(again));
	return ivshmem_label_build(again, label) == fixed &&
	       !ivshmem_label_parse(again, sizeof(again), memory, label);
}

bool mutation_holds(const __u8 *data, size_t size)
{
	static __u8 copy[IVSHMEM_LABEL_MAX_SIZE];
	static struct ivshmem_label label;
	__u64 memory = SIZE - 4096 + take(&data, &size, 2) % 3 * 4096;
	size_t fixed, length;
	__u32 said, crc;
	bool holds;
	__u8 *exact;

	memset(copy, 0, sizeof(copy));
	fixed = ivshmem_label_build(copy, &good);
	length = fixed;
	if (take(&data, &size, 1) == 1)
		length = take(&data, &size, 2) % (fixed + 1);
	while (size) {
		size_t at = take(&data, &size, 2) % (fixed - 8), width = 1 << at % 4;
		__u64 value = take(&data, &size, width);

		memcpy(copy + at / width * width, &value, width);
	}
	memcpy(&said, copy + IVSHMEM_LABEL_AT_FIXED_SIZE, sizeof(said));
	if (said <= sizeof(copy)) {
		crc = ivshmem_label_crc(copy, said);
		memcpy(copy + IVSHMEM_LABEL_AT_CRC, &crc, sizeof(crc));
	}
	exact = allocate(length);
	if (!exact && length)
		return true;
	memcpy(exact, copy, length);
	holds = ivshmem_label_parse(exact, length, memory, &label) ||
		(accepted_holds(&label, memory) && again_holds(copy, said, memory, &label));
	release(exact);
	return holds;
}
