// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Whether anybody is still at the other end: for those who never wait, and so are told
 * nothing.
 *
 * Who sends only looks at the buffer. Who receives looks at what the other end has written
 * there. A direction that is in doubt is looked at by its next call before all else.
 */
#include "park.h"
#include "session.h"

#define TRUST		128	/* most messages, or calls in vain, up to a look at the clock */
#define ASK_NS		1000000	/* between two questions whether anybody is there */

void ivshmem_direction_doubt(struct direction *direction)
{
	int open = DIRECTION_OPEN;

	atomic_compare_exchange_strong(&direction->state, &open, DIRECTION_SUSPECT);
}

bool ivshmem_direction_is_due(struct direction *direction)
{
	int64_t time = ivshmem_now();

	if (time - direction->asked < ASK_NS) {
		direction->span = direction->span < TRUST / 2 ? 2 * direction->span : TRUST;
		direction->trust = direction->span;
		return false;
	}
	direction->span = 1;
	direction->trust = 1;
	direction->asked = time;
	return true;
}

void ivshmem_direction_recheck(struct direction *direction)
{
	if (!ivshmem_direction_is_due(direction))
		return;
	direction->asks = true;
	ivshmem_direction_doubt(direction);
}
