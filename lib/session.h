/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One end of a channel as it is in this program: what channel.c (the calls)
 * and session.c (meeting, parting, waiting) share.
 *
 * A lane is one direction as seen by one end. Its ring belongs to the thread
 * that sends, or receives; what both threads touch is atomic or under the
 * channel's lock.
 */
#ifndef IVSHMEM_SESSION_H
#define IVSHMEM_SESSION_H

#include <pthread.h>

#include "handle.h"
#include "ring_buffer.h"

#pragma GCC visibility push(default)
#include "ivshmem_channel.h"
#pragma GCC visibility pop

#define LANE_NOTHING	UINT64_MAX	/* nothing is reserved */

/*
 * Under the lock, except that a thread may turn its own lane from OPEN to
 * SUSPECT and back.
 */
enum lane_state {
	LANE_MEETING,	/* waiting for the other end to accept us */
	LANE_OPEN,
	LANE_SUSPECT,	/* open; the session may be over, look at it first */
	LANE_LOST,	/* over, and the other direction has said so */
	LANE_FAILED,	/* no more: see the channel's error */
};

struct lane {
	_Alignas(CHANNEL_ALIGN)
	_Atomic int state;	/* enum lane_state */
	uint32_t known;		/* the other's "asleep" we have dealt with */
	unsigned int looks;	/* before anything else is tried */
	bool producer;
	struct ring_half *mine;
	struct ring_half *other;
	union {
		struct ring_producer out;
		struct ring_consumer in;
	};
	uint64_t need;		/* producer: the message there must be room for */
	uint64_t reserved;	/* producer: by the caller, or LANE_NOTHING */

	/* Not for every message. */
	struct ivshmem_channel *channel;
	unsigned char *data;
	uint64_t capacity;
	uint64_t hello;		/* ours in this session */
	uint64_t echo;		/* the other's that we have accepted, or 0 */
	uint64_t peer;		/* the other's while open */
	uint32_t departures;	/* of the other's machine when we met */
	uint32_t sleeps;	/* a number for each */
	_Atomic uint32_t bells;
	int vain;		/* how often looking has lately been in vain */
};

enum { OUT, IN };

struct ivshmem_channel {
	struct lane lanes[2];	/* OUT, IN */
	struct ivshmem *handle;
	struct channel_area *area;
	void *mapping;
	size_t length;		/* of the mapping */
	uint64_t offset;	/* of the area in the region */
	uint64_t size;
	uint64_t capacity[2];	/* as in the area, which must stay so */
	uint32_t vector;
	int64_t spin_ns;	/* the most that lanes may */
	_Atomic int fd;		/* for the caller's event loop, or -1 */
	_Atomic uint64_t rings;
	_Atomic uint64_t slept;

	pthread_mutex_t lock;	/* protects all below, and the lanes' states */
	int error;		/* why the lanes have failed */
};

/* Wait until the lane is open and there is a message, or room for @need. */
int ivshmem_lane_await(struct lane *lane, int64_t deadline);

/* The other end's "asleep" has changed. */
void ivshmem_lane_wake(struct lane *lane);

/* The other end has broken the rules: gives -EPROTO. */
int ivshmem_lane_fail(struct lane *lane);

/* First and last words. */
int ivshmem_session_begin(struct ivshmem_channel *channel);
void ivshmem_session_end(struct ivshmem_channel *channel);

/* After showing messages, or freeing room, with a store that orders. */
static inline void lane_wake(struct lane *lane)
{
	if (atomic_load_explicit(&lane->other->asleep, memory_order_seq_cst) !=
	    lane->known)
		ivshmem_lane_wake(lane);
}

static inline bool lane_is_open(const struct lane *lane)
{
	return atomic_load_explicit(&lane->state, memory_order_acquire) ==
	       LANE_OPEN;
}

/*
 * While the ends meet, another thread may set up the ring, and after a failure another
 * program may have it; else it is ours.
 */
static inline bool lane_has_ring(const struct lane *lane)
{
	int state = atomic_load_explicit(&lane->state, memory_order_acquire);

	return state != LANE_MEETING && state != LANE_FAILED;
}

/* Tell the producer how far the ring is free. */
static inline void lane_free(struct lane *lane, memory_order order)
{
	atomic_store_explicit(&lane->mine->position, ring_position(&lane->in),
			      order);
	lane_wake(lane);
}

#endif /* IVSHMEM_SESSION_H */
