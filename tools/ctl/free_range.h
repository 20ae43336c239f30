/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What no partition of a label has. Pure functions, so that tests can call them directly.
 */
#ifndef CTL_FREE_RANGE_H
#define CTL_FREE_RANGE_H

#include <stdint.h>

#include "../../lib/label_build.h"

struct range {
	uint64_t offset;
	uint64_t size;		/* 0: there is none */
};

/* Round up to whole pages of any common machine; UINT64_MAX if that is too large. */
uint64_t range_align_size(uint64_t size);

/* The bytes that are free from @offset on, up to a partition or the end of the region. */
uint64_t free_at(const struct ivshmem_label *label, uint64_t offset);

/* The first free range of this size, or the largest one, aligned as its size wants it. */
struct range free_first(const struct ivshmem_label *label, uint64_t size);
struct range free_largest(const struct ivshmem_label *label);

/* The first of @count vectors in a row that are free, or -1. */
int free_vectors(const struct ivshmem_label *label, unsigned int count);

#endif /* CTL_FREE_RANGE_H */
