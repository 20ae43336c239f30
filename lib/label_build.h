/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes the fixed part of a label from what it shall say: the opposite of
 * ivshmem_label_parse().
 */
#ifndef IVSHMEM_LABEL_BUILD_H
#define IVSHMEM_LABEL_BUILD_H

#include "../src/core/label.h"

/*
 * Store @label, which need not be valid, and the checksum into @copy of
 * IVSHMEM_LABEL_MAX_SIZE bytes: zeros, or the fixed part that @label was parsed from. What is
 * unknown here stays as it is. Returns the size of the fixed part; 0: it has no room.
 */
size_t ivshmem_label_build(void *copy, const struct ivshmem_label *label);

#endif /* IVSHMEM_LABEL_BUILD_H */
