// SPDX-License-Identifier: GPL-2.0-only
/*
 * Room for a new partition in a label: see new_partition.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "free_range.h"
#include "new_partition.h"
#include "numbers.h"

uint64_t argument_partition_size(struct argp_state *state, const char *text)
{
	uint64_t size = argument_size(state, "SIZE", text, INT64_MAX);

	if (!size)
		argp_error(state, "SIZE must be at least 1");
	return size;
}

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

/* Ports have to be rung. The other half of the doorbells is for other partitions. */
static uint16_t vectors_of(const struct labelled *region, const struct new_partition *wanted,
			   const struct ivshmem_label_entry *entry)
{
	uint16_t doorbells = region->label.bell_vectors;

	if (wanted->vectors != NOT_GIVEN)
		return (uint16_t)wanted->vectors;
	if (!is_segment(entry))
		return 0;
	return doorbells > 1 ? doorbells / 2 : 1;
}

static enum exit_code choose_vectors(const struct labelled *region,
				     const struct new_partition *wanted,
				     struct ivshmem_label_entry *entry)
{
	int first = (int)wanted->first_vector;
	char count[COUNT_TEXT];

	entry->vectors = vectors_of(region, wanted, entry);
	if (!entry->vectors)
		return EXIT_OK;
	if (wanted->first_vector == NOT_GIVEN)
		first = free_vectors(&region->label, entry->vectors);
	if (first < 0)
		return complain(EXIT_FAILED, "the label of %s has no %s left in a row",
				region->device.name,
				format_count(count, entry->vectors, "vector"));
	entry->first_vector = (uint16_t)first;
	return EXIT_OK;
}

/* A port is a slot. */
static enum exit_code check_ports(const struct labelled *region, uint64_t ports)
{
	unsigned int slots = region->label.peers;
	char count[COUNT_TEXT];

	format_count(count, slots, "peer");
	if (slots < IVSHMEM_RINGS_MIN_PORTS)
		return complain(EXIT_USAGE,
				"the label of %s has room for %s, and a port is a peer: 'ivshmemctl format --peers N' makes a label for more",
				region->device.name, count);
	if (ports < IVSHMEM_RINGS_MIN_PORTS || ports > slots)
		return complain(EXIT_USAGE,
				"--ports must be %d to %u: the label of %s has room for %s",
				IVSHMEM_RINGS_MIN_PORTS, slots, region->device.name, count);
	return EXIT_OK;
}

static enum exit_code plan_segment(struct labelled *region, const struct new_partition *wanted,
				   const struct ivshmem_label_entry *entry)
{
	uint64_t ports = wanted->ports == NOT_GIVEN ? region->label.peers : wanted->ports;
	struct segment *segment = entry_segment(region, entry);
	enum exit_code code = check_ports(region, ports);

	return code ? code : segment_plan(region->device.name, entry, (unsigned int)ports,
					  segment);
}

/* Interrupts may have more vectors than the label has polled doorbells, so it is no error. */
static void warn_of_vectors(const struct labelled *region, const struct ivshmem_label_entry *entry)
{
	unsigned int doorbells = region->label.bell_vectors;
	unsigned int end = entry->first_vector + entry->vectors;
	char count[COUNT_TEXT];

	if (!region->label.peers || !doorbells || !entry->vectors || end <= doorbells)
		return;
	complain(EXIT_OK, "note: partition %s has vectors up to %u, but the label has %s: machines without interrupts, and programs on a file, do without the others ('ivshmemctl format --doorbells N' makes more)",
		 entry->name, end - 1, format_count(count, doorbells, "polled doorbell"));
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
	code = is_segment(entry) ? plan_segment(region, wanted, entry) : EXIT_OK;
	if (!code)
		warn_of_vectors(region, entry);
	return code;
}
