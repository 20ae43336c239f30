/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Labels in the memory of a region, which others can write to at any time.
 */
#ifndef IVSHMEM_LABEL_REGION_H
#define IVSHMEM_LABEL_REGION_H

#include "../src/core/label.h"

/*
 * Copy the first @length bytes of a region of @size bytes to @copy, and parse them: a few times
 * if the label is refused, as somebody may be writing it. The result is that of the last
 * ivshmem_label_parse().
 */
enum ivshmem_label_reason ivshmem_label_take(const void *memory, size_t length, __u64 size,
					     void *copy, struct ivshmem_label *label);

/*
 * Store a fixed part of @fixed_size bytes, its checksum last: who copies the label meanwhile
 * finds that wrong.
 */
void ivshmem_label_put(void *memory, const void *copy, size_t fixed_size);

#endif /* IVSHMEM_LABEL_REGION_H */
