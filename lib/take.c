// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Taking an end of a channel, and giving it up.
 *
 * The last to come has the end: the one before finds that the hello in the region is not
 * its own. An end has two halves, and two programs that take it at once could have one each.
 * The half of the producer decides, and each takes that one first. So who has it and not
 * the other one takes that again, and who has lost it leaves the other one alone.
 */
#include <errno.h>
#include <sys/random.h>

#include "park.h"
#include "process.h"
#include "session.h"
#include "set.h"

/* Does either end know this life? */
static bool is_known(const struct ivshmem_channel *channel, uint64_t hello)
{
	uint64_t life = hello >> SESSION_BITS;

	for (int n = 0; n < 2; n++) {
		const struct direction *direction = &channel->directions[n];

		if (life == atomic_load(&direction->mine->hello) >> SESSION_BITS ||
		    life == atomic_load(&direction->mine->closed) >> SESSION_BITS ||
		    life == atomic_load(&direction->other->echo) >> SESSION_BITS)
			return true;
	}
	return false;
}

/*
 * Any number but 0 that nobody has drawn before. A machine that is set back to a snapshot draws
 * the same numbers once more.
 */
static int draw_life(const struct ivshmem_channel *channel, uint64_t *hello)
{
	do {
		if (getrandom(hello, sizeof(*hello), 0) != sizeof(*hello))
			return -errno;
		*hello &= ~UINT64_C(0) << SESSION_BITS;
	} while (!*hello || is_known(channel, *hello));
	return 0;
}

void ivshmem_direction_say_who(struct direction *direction)
{
	uint64_t ready = ivshmem_set_address(direction->channel);
	uint32_t vector = direction->channel->vector;
	struct buffer_half *mine = direction->mine;
	uint32_t old_id = atomic_load(&mine->id), old_vector = atomic_load(&mine->vector);
	uint64_t old_ready = atomic_load(&mine->ready);

	/* Who takes it after this look may have written its own words before these. */
	if (!direction_is_ours(direction))
		return;
	atomic_compare_exchange_strong(&mine->id, &old_id, direction->id);
	atomic_compare_exchange_strong(&mine->vector, &old_vector, vector);
	ivshmem_try_replace(&mine->ready, old_ready, ready);
}

void ivshmem_direction_take(struct direction *direction, uint64_t hello, uint32_t id)
{
	struct buffer_half *mine = direction->mine;

	atomic_store(&direction->hello, hello);
	direction->id = id;
	direction->reserved = DIRECTION_NOTHING;
	direction->sleeps = (uint32_t)(hello >> 32);
	/* No old word goes with the new hello. */
	atomic_store(&mine->hello, 0);
	atomic_store(&mine->echo, 0);
	atomic_store(&mine->id, id);
	atomic_store(&mine->vector, direction->channel->vector);
	atomic_store(&mine->ready, ivshmem_set_address(direction->channel));
	atomic_store(&mine->hello, hello);
	ivshmem_direction_call_attention(direction);
}

int ivshmem_session_begin(struct ivshmem_channel *channel)
{
	struct ivshmem_properties properties;
	uint64_t hello;
	int error;

	channel->directions[OUT].losses = channel->handle->losses;
	channel->directions[IN].losses = channel->handle->losses;
	error = ivshmem_get_properties(channel->handle, &properties);
	if (!error)
		error = draw_life(channel, &hello);
	if (error)
		return error;
	ivshmem_direction_take(&channel->directions[OUT], hello, properties.id);
	if (direction_is_ours(&channel->directions[OUT]))
		ivshmem_direction_take(&channel->directions[IN], hello, properties.id);
	ivshmem_session_meet(channel);
	ivshmem_session_announce(channel);
	return 0;
}

void ivshmem_session_end(struct ivshmem_channel *channel)
{
	int n;

	if (channel->error == -ESTALE || channel->error == -EPERM)
		return;
	/* If another has taken our place, the words are its own. */
	if (!direction_is_ours(&channel->directions[OUT]))
		return;
	for (n = 0; n < 2; n++) {
		struct direction *direction = &channel->directions[n];

		if (!direction_is_ours(direction))
			continue;
		atomic_store(&direction->mine->closed, direction->hello);
		ivshmem_direction_call_attention(direction);
	}
	ivshmem_session_announce(channel);
}
