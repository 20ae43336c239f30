// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Makes the fixed part of a label, see docs/label-format.md.
 */
#include "../src/core/bytes.h"
#include "label_build.h"

static void store_header(__u8 *copy, const struct ivshmem_label *label)
{
	memcpy(copy, IVSHMEM_LABEL_MAGIC, 8);
	store(copy + IVSHMEM_LABEL_AT_VERSION, IVSHMEM_LABEL_VERSION, 2);
	store(copy + IVSHMEM_LABEL_AT_HEADER_SIZE, label->header_size, 2);
	store(copy + IVSHMEM_LABEL_AT_ENTRY_SIZE, label->entry_size, 2);
	store(copy + IVSHMEM_LABEL_AT_ENTRIES, label->nr_entries, 2);
	store(copy + IVSHMEM_LABEL_AT_COMPATIBLE, label->compatible, 8);
	memcpy(copy + IVSHMEM_LABEL_AT_UUID, label->uuid, sizeof(label->uuid));
	store(copy + IVSHMEM_LABEL_AT_GENERATION, label->generation, 8);
	store(copy + IVSHMEM_LABEL_AT_REGION_SIZE, label->region_size, 8);
	store(copy + IVSHMEM_LABEL_AT_DATA_OFFSET, label->data_offset, 8);
	store(copy + IVSHMEM_LABEL_AT_PEERS_OFFSET, label->peers_offset, 8);
	store(copy + IVSHMEM_LABEL_AT_PEER_SIZE, label->peer_size, 4);
	store(copy + IVSHMEM_LABEL_AT_PEERS, label->peers, 2);
	store(copy + IVSHMEM_LABEL_AT_BELL_VECTORS, label->bell_vectors, 2);
}

static void store_entry(__u8 *at, const struct ivshmem_label_entry *entry)
{
	memcpy(at + IVSHMEM_ENTRY_AT_TYPE, entry->type, sizeof(entry->type));
	memcpy(at + IVSHMEM_ENTRY_AT_NAME, entry->name, sizeof(entry->name));
	store(at + IVSHMEM_ENTRY_AT_OFFSET, entry->offset, 8);
	store(at + IVSHMEM_ENTRY_AT_SIZE, entry->size, 8);
	store(at + IVSHMEM_ENTRY_AT_GENERATION, entry->generation, 8);
	store(at + IVSHMEM_ENTRY_AT_FLAGS, entry->flags, 4);
	store(at + IVSHMEM_ENTRY_AT_FIRST_VECTOR, entry->first_vector, 2);
	store(at + IVSHMEM_ENTRY_AT_VECTORS, entry->vectors, 2);
}

size_t ivshmem_label_build(void *copy, const struct ivshmem_label *label)
{
	size_t size = label->header_size + (size_t)label->nr_entries * label->entry_size;
	__u8 *bytes = copy;

	if (size > IVSHMEM_LABEL_MAX_SIZE || label->header_size < IVSHMEM_LABEL_HEADER_SIZE ||
	    label->entry_size < IVSHMEM_LABEL_ENTRY_SIZE ||
	    label->nr_entries > IVSHMEM_LABEL_MAX_ENTRIES)
		return 0;
	store_header(bytes, label);
	store(bytes + IVSHMEM_LABEL_AT_FIXED_SIZE, size, 4);
	for (unsigned int i = 0; i < label->nr_entries; i++) {
		__u8 *at = bytes + label->header_size + i * label->entry_size;

		if (ivshmem_label_free(&label->entries[i]))
			memset(at, 0, label->entry_size);
		else
			store_entry(at, &label->entries[i]);
	}
	store(bytes + IVSHMEM_LABEL_AT_CRC, ivshmem_label_crc(copy, size), 4);
	return size;
}
