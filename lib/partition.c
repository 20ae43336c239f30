// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Handles on a partition: its bytes and vectors are numbered from 0. They are limited here, for
 * the convenience of programs; what protects partitions from each other are rights.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "handle.h"
#include "label_region.h"
#include "partition.h"

#define SYSFS_CLASS	"/sys/class/ivshmem"

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

int ivshmem_read_label(struct ivshmem *handle, struct ivshmem_label *label)
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
	error = ivshmem_read_label(handle, label);
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

static int find_in_label(struct ivshmem **handle, const char *name)
{
	int error = find(*handle, name);

	if (error) {
		ivshmem_close(*handle);
		*handle = NULL;
	}
	return error;
}

/* The name that the driver has for a device: "ivshmem0". */
static bool find_device(const char *path, char device[64])
{
	char link[64], target[256], *name;
	struct stat st;
	ssize_t length;

	path = ivshmem_find_path(path, link);
	if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode))
		return false;
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u", major(st.st_rdev),
		 minor(st.st_rdev));
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	name = strrchr(target, '/');
	return name && snprintf(device, 64, "%s", name + 1) < 64;
}

static bool has_name(const char *device, int number, const char *name)
{
	char path[128], text[33] = "";
	ssize_t length = -1;
	int fd;

	snprintf(path, sizeof(path), SYSFS_CLASS "/%sp%d/name", device, number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		length = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	text[strcspn(text, "\n")] = '\0';
	return length > 0 && !strcmp(text, name);
}

/*
 * A user who must not open the device, where the label is, can have the right to a partition
 * of it: that has a node of its own. Otherwise, it stays at @error.
 */
static int open_node(struct ivshmem **handle, const char *path, const char *name,
		     unsigned int flags, int error)
{
	char device[64], node[96];

	if (!find_device(path, device))
		return error;
	for (int i = 1; i <= IVSHMEM_LABEL_MAX_ENTRIES; i++) {
		if (!has_name(device, i, name))
			continue;
		snprintf(node, sizeof(node), "/dev/%sp%d", device, i);
		return ivshmem_open_path(handle, node, flags);
	}
	return error;
}

int ivshmem_open_partition(struct ivshmem **handle, const char *path, const char *name,
			   unsigned int flags)
{
	int cancel, error = ivshmem_check_flags(flags);

	*handle = NULL;
	if (error)
		return error;
	cancel = ivshmem_cancel_off();
	error = ivshmem_open_path(handle, path, flags);
	if (!error)
		error = find_in_label(handle, name);
	else if (error == -EACCES || error == -EPERM)
		error = open_node(handle, path, name, flags, error);
	if (error)
		ivshmem_log(IVSHMEM_LOG_ERROR, "%s: cannot open partition %s: %s", path, name,
			    ivshmem_error(error));
	ivshmem_cancel_restore(cancel);
	return error;
}
