/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The vectors of a partition, and those of the region that it is in.
 */
#ifndef IVSHMEM_PARTITION_H
#define IVSHMEM_PARTITION_H

#include "../src/core/label.h"
#include "handle.h"

static inline bool ivshmem_is_partition(const struct ivshmem *handle)
{
	return handle->offset != 0;
}

/* Read the label of the region: 0, or why there is none that can be used. */
int ivshmem_read_label(struct ivshmem *handle, struct ivshmem_label *label);

/* How many of a device's or connection's vectors the handle has. */
uint32_t ivshmem_limit_vectors(const struct ivshmem *handle, uint32_t vectors);

/* The same, of those that have come. */
static inline uint32_t ivshmem_own_vectors(const struct ivshmem *handle)
{
	return ivshmem_limit_vectors(handle, handle->vectors);
}

/* Between the vectors of the handle and those that the backends know; checked before. */
void ivshmem_wait_to_region(const struct ivshmem *handle, struct ivshmem_wait_options *options);
void ivshmem_wait_from_region(const struct ivshmem *handle, struct ivshmem_wait_result *result);

#endif /* IVSHMEM_PARTITION_H */
