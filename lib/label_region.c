// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Labels in the memory of a region, see docs/label-format.md: reading and writing.
 */
#include <stdatomic.h>
#include <time.h>

#include "label_region.h"

#define TRIES	5
#define PAUSE	1000000	/* ns between them */

enum ivshmem_label_reason ivshmem_label_take(const void *memory, size_t length, __u64 size,
					     void *copy, struct ivshmem_label *label)
{
	static const struct timespec pause = { .tv_nsec = PAUSE };
	enum ivshmem_label_reason reason;
	int tries = TRIES;

	for (;;) {
		memcpy(copy, memory, length);
		/* What is parsed is the copy, whatever the compiler knows of it. */
		atomic_signal_fence(memory_order_seq_cst);
		reason = ivshmem_label_parse(copy, length, size, label);
		if (!reason || reason == IVSHMEM_LABEL_NONE || !--tries)
			return reason;
		nanosleep(&pause, NULL);
	}
}

void ivshmem_label_put(void *memory, const void *copy, size_t fixed_size)
{
	const size_t behind = IVSHMEM_LABEL_AT_CRC + 4;
	const char *from = copy;
	char *to = memory;

	memcpy(to + behind, from + behind, fixed_size - behind);
	memcpy(to, from, IVSHMEM_LABEL_AT_CRC);
	atomic_thread_fence(memory_order_release);
	memcpy(to + IVSHMEM_LABEL_AT_CRC, from + IVSHMEM_LABEL_AT_CRC, 4);
}
