/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What mutexes, semaphores and events have in common: a word in the region that
 * all change by atomic operations, and who sleeps until it changes (sync.c).
 */
#ifndef IVSHMEM_SYNC_PRIVATE_H
#define IVSHMEM_SYNC_PRIVATE_H

#include "handle.h"
#include "park.h"

#pragma GCC visibility push(default)
#include "ivshmem_sync.h"
#pragma GCC visibility pop

#define SYNC_SLEEPERS	112

/* Kinds of object. */
#define SYNC_MUTEX	UINT64_C(0xb6d)
#define SYNC_SEMAPHORE	UINT64_C(0xb73)
#define SYNC_EVENT	UINT64_C(0xb65)

/* With the kind: the object is ready for use. */
#define SYNC_VERSION	UINT64_C(2)
#define SYNC_MAGIC	(UINT64_C(0x73686d76) << 32 | SYNC_VERSION << 16)

/*
 * The word. Sleepers sleep on its lower half. That has to differ whenever there may be
 * something for them to get, and therefore counts: a round ends when the word
 * becomes such that they have to look.
 */
#define SYNC_WAITERS	UINT64_C(1)		/* somebody may sleep in this round */
#define SYNC_FLAG(n)	(UINT64_C(2) << (n))	/* 0 and 1: the kind's */
#define SYNC_ROUND_SHIFT	3
#define SYNC_ROUND	(UINT64_C(0x3ff) << SYNC_ROUND_SHIFT)
#define SYNC_KIND_SHIFT	13			/* the kind again: the word is valid */
#define SYNC_VALUE_SHIFT	25		/* the rest: the kind's */
#define SYNC_VALUE	(~UINT64_C(0) << SYNC_VALUE_SHIFT)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the lower half is the first");

/* In the region. Each part is written by all. */
struct sync_area {
	_Alignas(64)
	_Atomic uint64_t magic;
	_Atomic uint32_t mute;	/* SYNC_MUTE: somebody uses it who cannot ring */

	_Alignas(64)
	_Atomic uint64_t word;

	/* Whom to ring, once: see sync.c. */
	_Alignas(64)
	_Atomic uint64_t sleepers[SYNC_SLEEPERS];
};

#define SYNC_MUTE	0x6d757465U

_Static_assert(sizeof(struct sync_area) == IVSHMEM_SYNC_SIZE, "the layout");

/* An object as it is in this program. */
struct sync {
	struct ivshmem *handle;
	struct sync_area *area;
	void *mapping;
	size_t length;
	uint64_t offset;
	uint32_t vector;
	_Atomic uint32_t id;	/* own peer number, or IVSHMEM_ID_UNKNOWN */
	_Atomic uint32_t losses;	/* of the handle, when that was the id */
	_Atomic bool polls;	/* has waited without being rung, and logged it */
	_Atomic int64_t checked;	/* when the handle was last known to work */
};

static inline uint64_t sync_value(uint64_t word)
{
	return word >> SYNC_VALUE_SHIFT;
}

/* The word in the next round, with this value. */
static inline uint64_t sync_next(uint64_t word, uint64_t value)
{
	uint64_t round = (word + (UINT64_C(1) << SYNC_ROUND_SHIFT)) & SYNC_ROUND;

	return (word & ~(SYNC_VALUE | SYNC_ROUND | SYNC_WAITERS)) | round |
	       value << SYNC_VALUE_SHIFT;
}

/* The object that is to be there. */
struct sync_object {
	struct ivshmem *handle;
	uint64_t offset;
	uint32_t vector;
	unsigned int flags;	/* IVSHMEM_SYNC_* */
	uint64_t kind;
	uint64_t value;		/* its first one */
	uint64_t kind_flags;	/* in the word */
};

/*
 * Open or create an object. The structure that begins with a struct sync has @size
 * bytes.
 */
int ivshmem_sync_open(const struct sync_object *object, size_t size, void *sync);
void ivshmem_sync_close(struct sync *sync);

/* 0, or -EPERM: a child has it from its parent. */
int ivshmem_sync_check(const struct sync *sync);

/* The same before a call that may wait; also -ENODEV. */
int ivshmem_sync_enter(struct sync *sync);

/* A wait: begins as { .deadline = ... }. */
struct sync_wait {
	int64_t deadline;
	int64_t spin_end;	/* 0: has not begun */
	struct ivshmem_park park;
};

/*
 * The word stands in the way: wait until it has changed, or for a while. It
 * becomes the word as it is now. 0 to look again, or why not.
 */
int ivshmem_sync_wait(struct sync *sync, struct sync_wait *wait, uint64_t *word);

/* The round of the word as it was is over: wake all who sleep, if there are any. */
void ivshmem_sync_wake(struct sync *sync, uint64_t word);

#endif /* IVSHMEM_SYNC_PRIVATE_H */
