/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One end of a channel as it is in this program: what channel.c (the calls),
 * session.c (handshake, close, waiting), take.c and spin.c share.
 *
 * A direction is as one end sees it. Its buffer belongs to the thread that
 * sends, or receives; what both threads touch is atomic or under the
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

#define DIRECTION_NOTHING	UINT64_MAX	/* nothing is reserved */
#define SESSION_BITS		16		/* of a hello; the others are of the life */

/*
 * Under the lock, except that any thread may turn OPEN to SUSPECT, and that of the
 * direction back.
 */
enum direction_state {
	DIRECTION_HANDSHAKE,	/* waiting for the other end to accept us */
	DIRECTION_OPEN,
	DIRECTION_SUSPECT,	/* open; it may be over, or is armed: look at it first */
	DIRECTION_LOST,	/* over, and the other direction has said so */
	DIRECTION_FAILED,	/* no more: see the channel's error */
};

struct direction {
	_Alignas(CHANNEL_ALIGN)
	_Atomic int state;	/* enum direction_state */
	uint32_t known;		/* the other's "asleep" we have dealt with */
	unsigned int looks;	/* before anything else is tried */
	unsigned int waits;	/* consumer: that brought few messages each */
	bool yields;		/* consumer: gives the producer a head start */
	uint64_t many;		/* consumer: position after many messages since then */
	unsigned int trust;	/* messages, or calls in vain, up to the next look at the clock */
	bool producer;
	struct buffer_half *mine;
	struct buffer_half *other;
	union {
		struct buffer_producer out;
		struct buffer_consumer in;
	};
	uint64_t need;		/* producer: the message there must be room for */
	uint64_t reserved;	/* producer: by the caller, or DIRECTION_NOTHING */

	/* Not for every message. */
	struct ivshmem_channel *channel;
	unsigned char *data;
	uint64_t capacity;
	_Atomic uint64_t hello;	/* ours in this session */
	uint64_t echo;		/* the other's that we have accepted, or 0 */
	uint64_t peer;		/* the other's while open */
	uint32_t absences;	/* of the other when we accepted it */
	uint64_t proven;	/* by the other, in a handshake: to live, since that id's absence */
	_Atomic uint32_t id;	/* our own */
	_Atomic uint32_t losses;	/* of the handle, when that was the id */
	uint32_t sleeps;	/* a number for each */
	int64_t asked;		/* when it was looked who is there, without waiting */
	unsigned int span;	/* messages up to a look at the clock; more after each too early */
	bool asks;		/* the next call is to do that */
	int vain;		/* how often looking has lately been in vain */
	_Atomic bool armed;	/* the latest call gave -EAGAIN: the listener is to tell */
	_Atomic uint32_t seen;	/* the other's doorbell then */
	_Atomic int64_t delay;	/* before it tells again that this has changed */
};

enum { OUT, IN };

struct ivshmem_channel {
	struct direction directions[2];	/* OUT, IN */
	struct ivshmem *handle;
	struct channel_area *area;
	void *mapping;
	size_t length;		/* of the mapping */
	uint64_t offset;	/* of the area in the region */
	uint64_t size;
	uint64_t capacity[2];	/* as in the area, which must stay so */
	uint32_t vector;
	int64_t spin_ns;	/* the most that directions may */
	struct ivshmem_listener listener;	/* for the caller's event loop, or closed */
	struct ivshmem_channel_set *set;	/* that listens instead, or NULL */
	unsigned int bit;		/* this channel in the set */
	_Atomic bool news;		/* the set has heard some */
	bool complete;			/* the set may hand it out; under the set's lock */
	LIST_ENTRY(ivshmem_channel) place;	/* of the handle: process.c */
	_Atomic uint64_t rings;
	_Atomic uint64_t slept;

	pthread_mutex_t lock;	/* protects all below, and the directions' states */
	int error;		/* why the directions have failed, for good; or 0 */
	const char *reason;	/* the same in words */
	_Atomic bool unrung;	/* one of the ends in the latest session has no doorbells */
};

/* Wait until the direction is open and there is a message, or room for @need. */
int ivshmem_direction_await(struct direction *direction, int64_t deadline);

/* The session may be over: the next call looks at it before all else. Of any thread. */
void ivshmem_direction_doubt(struct direction *direction);

/* So many messages were sent without waiting that it might be. */
void ivshmem_direction_recheck(struct direction *direction);

/*
 * Whether it is time to look who is still there, and to ask, by a system call, where
 * somebody knows. That is so once a millisecond: a busy program looks at the clock now and
 * then only, another each time.
 */
bool ivshmem_direction_is_due(struct direction *direction);

/* Whether a look could show something new. */
bool ivshmem_direction_stirs(const struct direction *direction);

/* Look for a while; whether something stirs. */
bool ivshmem_direction_spin(struct direction *direction, int64_t deadline);

/* A sleep has taken so long: looking for longer would have saved a short one. */
void ivshmem_direction_learn(struct direction *direction, int64_t slept_ns);

/* The other end's "asleep" has changed. */
void ivshmem_direction_wake(struct direction *direction);

/* Why the buffer cannot be used: -EINVAL if the session is over, or the channel's error. */
int ivshmem_direction_error(struct direction *direction);

/* Either thread looks at both directions: whether the other end is there. */
void ivshmem_session_meet(struct ivshmem_channel *channel);

/* The other end is to look, in both directions. */
void ivshmem_session_announce(struct ivshmem_channel *channel);

/*
 * Say that we are asleep though we are not: then the other end, if it is at work, rings at once,
 * and so comes to look who is here.
 */
void ivshmem_direction_call_attention(struct direction *direction);

/* Correct what another program that wanted this half has written there: whom to ring. */
void ivshmem_direction_say_who(struct direction *direction);

/* Write the first words of a half, by this hello, even if another program has it. */
void ivshmem_direction_take(struct direction *direction, uint64_t hello, uint32_t id);

/* First and last words. */
int ivshmem_session_begin(struct ivshmem_channel *channel);
void ivshmem_session_end(struct ivshmem_channel *channel);

/* The last words, said by any thread: all calls of this end fail from here on. */
void ivshmem_session_shutdown(struct ivshmem_channel *channel);

/* After showing messages, or freeing room, with a store that orders. */
static inline void direction_wake(struct direction *direction)
{
	if (atomic_load_explicit(&direction->other->asleep, memory_order_seq_cst) !=
	    direction->known)
		ivshmem_direction_wake(direction);
}

/*
 * False if another program has taken this end. An end that was stopped, replaced and
 * continued asks this in each call before it writes: its successor has the buffer.
 */
static inline bool direction_is_ours(const struct direction *direction)
{
	return atomic_load_explicit(&direction->mine->hello, memory_order_acquire) ==
	       atomic_load_explicit(&direction->hello, memory_order_relaxed);
}

static inline bool direction_is_open(const struct direction *direction)
{
	return atomic_load_explicit(&direction->state, memory_order_acquire) ==
	       DIRECTION_OPEN && direction_is_ours(direction);
}

/*
 * While the ends meet, another thread may set up the buffer, and after a failure another
 * program may have it; else it is ours.
 */
static inline bool direction_has_buffer(const struct direction *direction)
{
	int state = atomic_load_explicit(&direction->state, memory_order_acquire);

	return state != DIRECTION_HANDSHAKE && state != DIRECTION_FAILED &&
	       direction_is_ours(direction);
}

/* Tell the producer how far the buffer is free. */
static inline void direction_free(struct direction *direction, memory_order order)
{
	atomic_store_explicit(&direction->mine->position, buffer_position(&direction->in),
			      order);
	direction_wake(direction);
}

#endif /* IVSHMEM_SESSION_H */
