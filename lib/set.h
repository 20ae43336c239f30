/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A set of channels as it is in this program.
 *
 * Bits of which each stands for a channel are in three places: in the region, where the
 * other ends set them before they ring; in @later, where threads of this program set them
 * before they signal the listener; and in @found, with what was taken from both and not
 * handed out yet.
 */
#ifndef IVSHMEM_SET_H
#define IVSHMEM_SET_H

#include "session.h"

struct ivshmem_channel_set {
	struct ivshmem *handle;
	struct ivshmem_listener listener;
	uint32_t vector;
	_Atomic uint32_t references;	/* the opener's, and one for each channel */

	void *mapping;
	size_t length;
	uint64_t offset;		/* of the words in the region */
	unsigned int words;
	_Atomic uint64_t *shared;
	_Atomic uint64_t *later;	/* taken when the timer expires for somebody */

	/* Of the thread that asks. */
	uint64_t *found;
	unsigned int cursor;		/* the word where it goes on */

	pthread_mutex_t lock;		/* protects the members */
	struct ivshmem_channel **members;
};

/* Take a place, by which the other end may call already. -ENOSPC: the set is full. */
int ivshmem_set_join(struct ivshmem_channel_set *set, struct ivshmem_channel *channel);

/* These do nothing for a channel without a set. It may be handed out from here on: */
void ivshmem_set_enter(struct ivshmem_channel *channel);
void ivshmem_set_leave(struct ivshmem_channel *channel);

/* The bit that the other end sets: its address in bits in the region, or 0. */
uint64_t ivshmem_set_address(const struct ivshmem_channel *channel);

/* Set such a bit, whatever the other end says it is. */
void ivshmem_set_ready(struct ivshmem *handle, uint64_t address);

/* Hand this channel out when the listener has been signalled. */
void ivshmem_set_look_at(struct ivshmem_channel_set *set, unsigned int bit);

#endif /* IVSHMEM_SET_H */
