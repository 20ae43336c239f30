// SPDX-License-Identifier: GPL-2.0-only
/*
 * What no partition of a label has: see free_range.h.
 */
#include "free_range.h"

#define PAGE		UINT64_C(0x10000)	/* the largest one of common machines */
#define HUGE_PAGE	UINT64_C(0x200000)

static uint64_t align_up(uint64_t n, uint64_t alignment)
{
	return n > UINT64_MAX - alignment ? UINT64_MAX : (n + alignment - 1) & -alignment;
}

uint64_t range_align_size(uint64_t size)
{
	return align_up(size, PAGE);
}

uint64_t free_at(const struct ivshmem_label *label, uint64_t offset)
{
	uint64_t end = label->region_size;

	if (offset < label->data_offset)
		return 0;
	for (int i = 0; i < IVSHMEM_LABEL_MAX_ENTRIES; i++) {
		const struct ivshmem_label_entry *entry = &label->entries[i];

		if (offset >= entry->offset && offset - entry->offset < entry->size)
			return 0;
		if (entry->offset >= offset && entry->offset < end && entry->size)
			end = entry->offset;
	}
	return offset < end ? end - offset : 0;
}

/* What is free from @start on, aligned; the best of both alignments. */
static struct range aligned_range(const struct ivshmem_label *label, uint64_t start)
{
	struct range small, huge;

	small.offset = align_up(start, PAGE);
	small.size = free_at(label, small.offset) & -PAGE;
	huge.offset = align_up(start, HUGE_PAGE);
	huge.size = free_at(label, huge.offset) & -PAGE;
	return huge.size >= HUGE_PAGE ? huge : small;
}

/*
 * A free range begins with the data, or behind a partition: number -1 stands for the data,
 * others for entries.
 */
static uint64_t start_of(const struct ivshmem_label *label, int number)
{
	if (number < 0)
		return label->data_offset;
	return label->entries[number].offset + label->entries[number].size;
}

struct range free_largest(const struct ivshmem_label *label)
{
	struct range best = { 0 };

	for (int i = -1; i < IVSHMEM_LABEL_MAX_ENTRIES; i++) {
		struct range range = aligned_range(label, start_of(label, i));

		if (range.size > best.size)
			best = range;
	}
	return best;
}

struct range free_first(const struct ivshmem_label *label, uint64_t size)
{
	uint64_t alignment = size >= HUGE_PAGE ? HUGE_PAGE : PAGE;
	struct range best = { 0 };

	for (int i = -1; i < IVSHMEM_LABEL_MAX_ENTRIES; i++) {
		uint64_t offset = align_up(start_of(label, i), alignment);

		if (free_at(label, offset) >= size && (!best.size || offset < best.offset))
			best = (struct range){ offset, size };
	}
	return best;
}

int free_vectors(const struct ivshmem_label *label, unsigned int count)
{
	bool used[IVSHMEM_LABEL_MAX_VECTORS] = { 0 };
	unsigned int row = 0;

	for (int i = 0; i < IVSHMEM_LABEL_MAX_ENTRIES; i++)
		for (unsigned int v = 0; v < label->entries[i].vectors; v++)
			used[label->entries[i].first_vector + v] = true;
	for (unsigned int v = 0; v < IVSHMEM_LABEL_MAX_VECTORS; v++) {
		row = used[v] ? 0 : row + 1;
		if (row == count)
			return (int)(v + 1 - count);
	}
	return -1;
}
