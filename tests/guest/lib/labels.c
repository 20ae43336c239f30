// SPDX-License-Identifier: GPL-2.0-only
/* Labels of regions, for tests of partitions: see labels.h. */
#include <string.h>

#include "../labels.h"

struct ivshmem_label label_new(uint64_t size)
{
	struct ivshmem_label label = {
		.region_size = size,
		.data_offset = 64 << 10,
		.header_size = IVSHMEM_LABEL_HEADER_SIZE,
		.entry_size = IVSHMEM_LABEL_ENTRY_SIZE,
		.nr_entries = IVSHMEM_LABEL_MAX_ENTRIES,
	};

	for (size_t i = 0; i < sizeof(label.uuid); i++)
		label.uuid[i] = 0x10 + i;
	return label;
}

void label_add(struct ivshmem_label *label, unsigned int number, const char *type,
	       const char *name, uint64_t offset, uint64_t size, unsigned int first_vector,
	       unsigned int vectors)
{
	struct ivshmem_label_entry *entry = &label->entries[number - 1];

	*entry = (struct ivshmem_label_entry){
		.offset = offset, .size = size, .generation = label->generation + 1,
		.first_vector = first_vector, .vectors = vectors,
	};
	snprintf(entry->type, sizeof(entry->type), "%s", type);
	snprintf(entry->name, sizeof(entry->name), "%s", name);
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

void label_add_peers(struct ivshmem_label *label, unsigned int peers, unsigned int bell_vectors)
{
	label->peers = peers;
	label->bell_vectors = bell_vectors;
	label->peers_offset = 12 << 10;
	label->peer_size = round_up(IVSHMEM_LABEL_RUNG_OFFSET + 4 * peers * (1 + bell_vectors),
				    IVSHMEM_LABEL_ALIGNMENT);
	label->data_offset = round_up(label->peers_offset + peers * label->peer_size, 64 << 10);
}

void label_store(void *region, struct ivshmem_label *label)
{
	static char fixed[IVSHMEM_LABEL_MAX_SIZE];
	size_t size;

	label->generation++;
	memset(fixed, 0, sizeof(fixed));
	size = ivshmem_label_build(fixed, label);
	if (!size)
		tap_bail("the label is too large");
	memcpy(region, fixed, size);
}
