// SPDX-License-Identifier: GPL-2.0-only
/*
 * Room for a new partition in a label: see new_partition.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "free_range.h"
#include "new_partition.h"
#include "numbers.h"

static enum exit_code complain_full(const struct labelled *region)
{
	char size[SIZE_TEXT];
	struct range free = free_largest(&region->label);

	if (!free.size)
		return complain(EXIT_FAILED, "no space is left on %s: 'ivshmemctl partition list' shows what has it",
				region->device.name);
	return complain(EXIT_FAILED,
			"no space for the partition on %s: the largest free range is %" PRIu64 " bytes (%s), at %#" PRIx64,
			region->device.name, free.size, format_size(size, (double)free.size),
			free.offset);
}

/* Where the partition goes: as the user says, or the first place that is large enough. */
static enum exit_code place(const struct labelled *region, const struct new_partition *wanted,
			    struct ivshmem_label_entry *entry)
{
	struct range range = { .offset = wanted->offset, .size = wanted->size };

	if (wanted->size != NOT_GIVEN)
		range.size = range_align_size(wanted->size);
	if (wanted->offset != NOT_GIVEN && wanted->size == NOT_GIVEN)
		range.size = free_at(&region->label, wanted->offset);
	else if (wanted->size == NOT_GIVEN)
		range = free_largest(&region->label);
	else if (wanted->offset == NOT_GIVEN)
		range = free_first(&region->label, range.size);
	if (!range.size || range.size > free_at(&region->label, range.offset))
		return complain_full(region);
	entry->offset = range.offset;
	entry->size = range.size;
	return EXIT_OK;
}

static enum exit_code choose_vectors(const struct labelled *region,
				     const struct new_partition *wanted,
				     struct ivshmem_label_entry *entry)
{
	int first = (int)wanted->first_vector;
	char count[COUNT_TEXT];

	entry->vectors = (uint16_t)wanted->vectors;
	if (!wanted->vectors)
		return EXIT_OK;
	if (wanted->first_vector == NOT_GIVEN)
		first = free_vectors(&region->label, (unsigned int)wanted->vectors);
	if (first < 0)
		return complain(EXIT_FAILED, "the label of %s has no %s left in a row",
				region->device.name,
				format_count(count, wanted->vectors, "vector"));
	entry->first_vector = (uint16_t)first;
	return EXIT_OK;
}

enum exit_code partition_make(struct labelled *region, const struct new_partition *wanted,
			      struct ivshmem_label_entry **made)
{
	struct ivshmem_label *label = &region->label;
	struct ivshmem_label_entry *entry = label->entries, new = { 0 };
	enum exit_code code;

	while (entry < label->entries + label->nr_entries && !ivshmem_label_free(entry))
		entry++;
	if (entry == label->entries + label->nr_entries)
		return complain(EXIT_FAILED, "the label of %s has no more than %u partitions",
				region->device.name, label->nr_entries);
	snprintf(new.type, sizeof(new.type), "%s", wanted->type ?: "raw");
	snprintf(new.name, sizeof(new.name), "%s", wanted->name);
	code = place(region, wanted, &new);
	if (!code)
		code = choose_vectors(region, wanted, &new);
	if (code)
		return code;
	new.generation = label->generation;
	*entry = new;
	*made = entry;
	return EXIT_OK;
}
