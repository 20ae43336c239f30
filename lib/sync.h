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

#define SYNC_SLEEPERS	96

/* Kinds of object: the lower half of their magic. */
#define SYNC_MUTEX	UINT64_C(0x6d757478)
#define SYNC_SEMAPHORE	UINT64_C(0x73656d61)
#define SYNC_EVENT	UINT64_C(0x65766e74)
#define SYNC_AUTO_EVENT	UINT64_C(0x61657674)

/* In the word of any kind: somebody may sleep until it changes. */
#define SYNC_WAITERS	0x80000000U

/* In the region. Each part is written by all. */
struct sync_area {
	_Alignas(64)
	_Atomic uint64_t magic;
	_Atomic uint32_t version;
	_Atomic uint32_t mute;	/* somebody uses it who cannot ring */

	_Alignas(64)
	_Atomic uint32_t word;	/* its meaning is the kind's */

	/* Whom to ring: SLEEPER_THERE, peer, vector; SLEEPER_ASLEEP is for once. */
	_Alignas(64)
	_Atomic uint32_t sleepers[SYNC_SLEEPERS];
};

_Static_assert(sizeof(struct sync_area) == IVSHMEM_SYNC_SIZE, "the layout");

/* An object as it is in this program. */
struct sync {
	struct ivshmem *handle;
	struct sync_area *area;
	void *mapping;
	size_t length;
	uint64_t offset;
	uint32_t vector;
	uint32_t id;		/* own peer number, or IVSHMEM_ID_UNKNOWN */
};

/*
 * Make an object of one kind, its word being @word, or open one of @kinds. The
 * structure that begins with a struct sync has @size bytes.
 */
int ivshmem_sync_create(struct ivshmem *handle, uint64_t offset, uint32_t vector,
			uint64_t kind, uint32_t word, size_t size, void *sync);
int ivshmem_sync_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		      const uint64_t kinds[2], size_t size, void *sync);
void ivshmem_sync_close(struct sync *sync);

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
int ivshmem_sync_wait(struct sync *sync, struct sync_wait *wait, uint32_t *word);

/* Wake all who sleep, if there are any, judging by the word as it was. */
void ivshmem_sync_wake(struct sync *sync, uint32_t word);

#endif /* IVSHMEM_SYNC_PRIVATE_H */
