// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Handles on a partition: its bytes and vectors are numbered from 0. They are limited here, for
 * the convenience of programs; what protects partitions from each other are rights.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "handle.h"
#include "label_region.h"
#include "partition.h"

static void shift_set(uint64_t set[4], int by)
{
	uint64_t shifted[4] = { 0 };
	int vector;

	for (vector = 0; vector < IVSHMEM_MAX_VECTORS; vector++) {
		int to = vector + by;

		if (set[vector / 64] >> vector % 64 & 1 && to >= 0 && to < IVSHMEM_MAX_VECTORS)
			shifted[to / 64] |= UINT64_C(1) << to % 64;
	}
	memcpy(set, shifted, sizeof(shifted));
}

uint32_t ivshmem_limit_vectors(const struct ivshmem *handle, uint32_t vectors)
{
	if (vectors <= handle->first_vector)
		return 0;
	vectors -= handle->first_vector;
	return vectors < handle->most_vectors ? vectors : handle->most_vectors;
}

void ivshmem_wait_to_region(const struct ivshmem *handle, struct ivshmem_wait_options *options)
{
	options->vector += handle->first_vector;
	shift_set(options->set, (int)handle->first_vector);
}

void ivshmem_wait_from_region(const struct ivshmem *handle, struct ivshmem_wait_result *result)
{
	if (!handle->first_vector || !result->count)
		return;
	result->vector -= handle->first_vector;
	shift_set(result->set, -(int)handle->first_vector);
}

/* Read the label: 0, or why there is none that can be used. */
static int read_label(struct ivshmem *handle, struct ivshmem_label *label)
{
	uint8_t copy[IVSHMEM_LABEL_MAX_SIZE];
	enum ivshmem_label_reason reason;
	size_t length = sizeof(copy);
	void *memory;
	int error;

	if (length > handle->size)
		length = handle->size;
	error = ivshmem_map(handle, 0, length, &memory);
	if (error)
		return error;
	reason = ivshmem_label_take(memory, length, handle->size, copy, label);
	ivshmem_unmap(handle, memory, length);
	if (!reason)
		return 0;
	if (reason == IVSHMEM_LABEL_NONE)
		return ivshmem_fail(-ENODATA, "the region has no label");
	if (!label->refused)
		return ivshmem_fail(-EBADMSG, "the label is bad: %s",
				    ivshmem_label_reason_text(reason));
	return ivshmem_fail(-EBADMSG, "the label is bad: partition %u: %s", label->refused,
			    ivshmem_label_reason_text(reason));
}

static int limit(struct ivshmem *handle, const struct ivshmem_label_entry *entry)
{
	if (!ivshmem_label_usable(entry))
		return ivshmem_fail(-EOPNOTSUPP, "the partition has flags that are unknown: %#x",
				    entry->flags);
	if (entry->offset % handle->page || entry->size % handle->page)
		return ivshmem_fail(-EOPNOTSUPP,
				    "the partition is not whole pages of %#zx bytes", handle->page);
	handle->offset = entry->offset;
	handle->size = entry->size;
	handle->first_vector = entry->first_vector;
	handle->most_vectors = entry->vectors;
	return 0;
}

static int find(struct ivshmem *handle, const char *name)
{
	struct ivshmem_label *label = malloc(sizeof(*label));
	int error, i;

	if (!label)
		return -ENOMEM;
	error = read_label(handle, label);
	for (i = 0; !error && i < label->nr_entries; i++)
		if (!ivshmem_label_free(&label->entries[i]) &&
		    !strcmp(label->entries[i].name, name))
			break;
	if (!error && i == label->nr_entries)
		error = ivshmem_fail(-ENOENT, "no partition has this name");
	if (!error)
		error = limit(handle, &label->entries[i]);
	free(label);
	return error;
}

int ivshmem_open_partition(struct ivshmem **handle, const char *path, const char *name,
			   unsigned int flags)
{
	int error = ivshmem_open(handle, path, flags);
	int cancel = ivshmem_cancel_off();

	if (!error) {
		error = find(*handle, name);
		if (error) {
			ivshmem_log(IVSHMEM_LOG_ERROR, "%s: cannot open partition %s: %s", path,
				    name, ivshmem_error(error));
			ivshmem_close(*handle);
			*handle = NULL;
		}
	}
	ivshmem_cancel_restore(cancel);
	return error;
}
