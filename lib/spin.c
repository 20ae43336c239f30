// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Looking again and again at what the other end of a channel writes, before sleeping.
 *
 * A sleep and the doorbell that ends it take longer than most answers. Where looking was vain
 * of late it takes less time, as nothing comes soon there.
 */
#include "park.h"
#include "session.h"

#define LOOKS		32	/* at the word between two pauses */
#define PAUSES		8	/* between two looks at the clock */
#define MOST_VAIN	4	/* halvings of the time to look */

bool ivshmem_direction_stirs(const struct direction *direction)
{
	if (direction->producer)
		return atomic_load(&direction->other->position) >=
		       buffer_wanted(&direction->out, direction->need);
	return atomic_load(buffer_header(direction->in.data, direction->in.offset)) !=
	       BUFFER_EMPTY;
}

/* The longest that looking may take: a nanosecond more for each byte to copy. */
static int64_t spin_limit(const struct direction *direction)
{
	uint64_t bytes = direction->producer ? direction->need : direction->in.size;

	if (!direction->channel->spin_ns)
		return 0;
	return direction->channel->spin_ns +
	       (int64_t)(bytes < IVSHMEM_MAX_SPIN_NS ? bytes : IVSHMEM_MAX_SPIN_NS);
}

bool ivshmem_direction_spin(struct direction *direction, int64_t deadline)
{
	int64_t limit = spin_limit(direction) >> direction->vain;
	int64_t time, end;
	int n, pauses;

	if (!limit)
		return false;
	end = ivshmem_now() + limit;
	do {
		for (pauses = 0; pauses < PAUSES; pauses++) {
			for (n = 0; n < LOOKS; n++)
				if (ivshmem_direction_stirs(direction))
					return true;
			ivshmem_relax();
		}
		time = ivshmem_now();
	} while (time < end && !ivshmem_is_over(deadline, time) &&
		 direction->state != DIRECTION_FAILED);
	return false;
}

void ivshmem_direction_learn(struct direction *direction, int64_t slept_ns)
{
	if (slept_ns < spin_limit(direction))
		direction->vain = 0;
	else if (direction->vain < MOST_VAIN)
		direction->vain++;
}
