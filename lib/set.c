// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting for any of many channels.
 *
 * A doorbell does not say for which channel it is. So an end in a set publishes the
 * address of a bit in the region, and the other end sets that bit before it rings. The
 * thread that waits takes a word of 64 bits at a time.
 *
 * The other ends are free to set any bit: that costs a look at a channel.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "process.h"
#include "set.h"

#define WORD_BITS	64
#define NO_CHANNEL	0	/* the bit that no channel gets: its address may be 0 */

static int check(struct ivshmem *handle, uint64_t offset, uint64_t size, uint32_t vector)
{
	struct ivshmem_properties properties;

	if (!size || size % IVSHMEM_CHANNEL_SET_SIZE || offset % CHANNEL_ALIGN)
		return ivshmem_fail(-EINVAL, "the set's offset %" PRIu64 " or size %" PRIu64
				    " is not a multiple of %u", offset, size,
				    IVSHMEM_CHANNEL_SET_SIZE);
	if (size > handle->size || offset > handle->size - size)
		return ivshmem_fail(-EINVAL, "the set ends beyond the region's %" PRIu64
				    " bytes", handle->size);
	return ivshmem_check_object(handle, vector, &properties);
}

static void free_set(struct ivshmem_channel_set *set)
{
	ivshmem_listener_close(&set->listener);
	if (set->mapping)
		ivshmem_unmap(set->handle, set->mapping, set->length);
	ivshmem_handle_put(set->handle);
	pthread_mutex_destroy(&set->lock);
	free(set->later);
	free(set->found);
	free(set->members);
	free(set);
}

static void put(struct ivshmem_channel_set *set)
{
	if (!--set->references)
		free_set(set);
}

static int allocate(struct ivshmem_channel_set *set)
{
	set->later = calloc(set->words, sizeof(*set->later));
	set->found = calloc(set->words, sizeof(*set->found));
	set->members = calloc((size_t)set->words * WORD_BITS, sizeof(*set->members));
	return set->later && set->found && set->members ? 0 : -ENOMEM;
}

static int map(struct ivshmem_channel_set *set, uint64_t size)
{
	uint64_t before = set->offset % set->handle->page;
	int error;

	set->length = before + size;
	error = ivshmem_map(set->handle, set->offset - before, set->length, &set->mapping);
	if (error)
		return error;
	set->shared = (void *)((char *)set->mapping + before);
	memset((void *)set->shared, 0, size);
	return 0;
}

int ivshmem_channel_set_open(struct ivshmem *handle, uint64_t offset, uint64_t size,
			     uint32_t vector, struct ivshmem_channel_set **out)
{
	IVSHMEM_CANCEL_OFF(cancel);
	int error = check(handle, offset, size, vector);
	struct ivshmem_channel_set *set;

	*out = NULL;
	if (error)
		return error;
	set = calloc(1, sizeof(*set));
	if (!set)
		return -ENOMEM;
	set->handle = ivshmem_handle_get(handle);
	set->references = 1;
	set->offset = offset;
	set->words = size / sizeof(*set->shared);
	set->vector = vector;
	pthread_mutex_init(&set->lock, NULL);
	error = allocate(set);
	if (!error)
		error = map(set, size);
	if (!error)
		error = ivshmem_listener_open(&set->listener, handle, vector);
	if (error) {
		free_set(set);
		return error;
	}
	*out = set;
	return 0;
}

void ivshmem_channel_set_close(struct ivshmem_channel_set *set)
{
	IVSHMEM_CANCEL_OFF(cancel);

	if (set && ivshmem_process_owns(set->handle))
		put(set);
}

int ivshmem_channel_set_fd(struct ivshmem_channel_set *set)
{
	int error = ivshmem_process_check(set->handle);

	return error ? error : set->listener.epoll;
}

/* Members */

int ivshmem_set_join(struct ivshmem_channel_set *set, struct ivshmem_channel *channel)
{
	unsigned int bit, bits = set->words * WORD_BITS;

	pthread_mutex_lock(&set->lock);
	for (bit = NO_CHANNEL + 1; bit < bits && set->members[bit]; bit++)
		;
	if (bit < bits) {
		set->members[bit] = channel;
		set->references++;
		channel->set = set;
		channel->bit = bit;
		channel->news = true;
	}
	pthread_mutex_unlock(&set->lock);
	return bit < bits ? 0 : ivshmem_fail(-ENOSPC, "the set of %u channels is full", bits - 1);
}

void ivshmem_set_enter(struct ivshmem_channel *channel)
{
	struct ivshmem_channel_set *set = channel->set;

	if (!set)
		return;
	pthread_mutex_lock(&set->lock);
	channel->complete = true;
	pthread_mutex_unlock(&set->lock);
	/* The other end may have called before. */
	ivshmem_set_look_at(set, channel->bit);
	ivshmem_listener_signal(&set->listener, 0);
}

void ivshmem_set_leave(struct ivshmem_channel *channel)
{
	struct ivshmem_channel_set *set = channel->set;

	if (!set)
		return;
	pthread_mutex_lock(&set->lock);
	set->members[channel->bit] = NULL;
	pthread_mutex_unlock(&set->lock);
	if (channel->unrung)
		ivshmem_listener_add_unrung(&set->listener, -1);
	channel->set = NULL;
	put(set);
}

/* Bits */

static uint64_t mask(unsigned int bit)
{
	return UINT64_C(1) << bit % WORD_BITS;
}

uint64_t ivshmem_set_address(const struct ivshmem_channel *channel)
{
	return channel->set ? channel->set->offset * 8 + channel->bit : 0;
}

void ivshmem_set_ready(struct ivshmem *handle, uint64_t address)
{
	uint64_t offset = address / WORD_BITS * sizeof(uint64_t);
	char *whole;

	if (!address || handle->size < sizeof(uint64_t) ||
	    offset > handle->size - sizeof(uint64_t))
		return;
	whole = ivshmem_whole(handle);
	if (whole)
		atomic_fetch_or((_Atomic uint64_t *)(void *)(whole + offset),
				mask(address % WORD_BITS));
}

void ivshmem_set_look_at(struct ivshmem_channel_set *set, unsigned int bit)
{
	atomic_fetch_or(&set->later[bit / WORD_BITS], mask(bit));
}

static uint64_t take(_Atomic uint64_t *word)
{
	/* Most are 0, and stay in the caches of all that way. */
	return atomic_load(word) ? atomic_exchange(word, 0) : 0;
}

/* Nobody knows what has changed, or it concerns all; or only those that are not rung. */
static void look_at_many(struct ivshmem_channel_set *set, bool all, bool news)
{
	unsigned int bit;

	pthread_mutex_lock(&set->lock);
	for (bit = 0; bit < set->words * WORD_BITS; bit++) {
		if (!set->members[bit] || !(all || set->members[bit]->unrung))
			continue;
		set->found[bit / WORD_BITS] |= mask(bit);
		if (news)
			set->members[bit]->news = true;
	}
	pthread_mutex_unlock(&set->lock);
}

/* What the descriptor has told is known now. */
static void clear(struct ivshmem_channel_set *set)
{
	enum ivshmem_timer timer = ivshmem_listener_clear(&set->listener);
	bool news = ivshmem_listener_has_news(&set->listener);
	unsigned int word;

	for (word = 0; timer != TIMER_RUNS && word < set->words; word++)
		set->found[word] |= take(&set->later[word]);
	if (timer >= TIMER_POLL || news)
		look_at_many(set, timer == TIMER_IDLE || news, news);
}

/* The next channel that was found, or NULL. */
static struct ivshmem_channel *pop(struct ivshmem_channel_set *set)
{
	struct ivshmem_channel *channel = NULL;
	unsigned int n, bit;

	pthread_mutex_lock(&set->lock);
	for (n = 0; n <= set->words && !channel; n++) {
		uint64_t *found = &set->found[set->cursor];

		*found |= take(&set->shared[set->cursor]);
		while (*found && !channel) {
			bit = set->cursor * WORD_BITS + __builtin_ctzll(*found);
			*found &= *found - 1;
			channel = set->members[bit];
			if (channel && !channel->complete)
				channel = NULL;
		}
		if (!channel)
			set->cursor = (set->cursor + 1) % set->words;
	}
	pthread_mutex_unlock(&set->lock);
	return channel;
}

int ivshmem_channel_set_next(struct ivshmem_channel_set *set,
			     struct ivshmem_channel **channel)
{
	int error = ivshmem_process_check(set->handle);

	*channel = NULL;
	if (error)
		return error;
	*channel = pop(set);
	if (*channel)
		return 0;
	clear(set);
	*channel = pop(set);
	return *channel ? 0 : ivshmem_late(-EAGAIN);
}
