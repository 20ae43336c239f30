/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for a word of the region that another machine changes: time, pauses
 * and sleep, as channels and the objects of ivshmem_sync.h need them.
 */
#ifndef IVSHMEM_PARK_H
#define IVSHMEM_PARK_H

#include "handle.h"

#define NSEC_PER_SEC	INT64_C(1000000000)

/*
 * Words of the region are atomic by instructions. An emulation by locks would lock out
 * only the threads of this program.
 */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2 &&
	       sizeof(_Atomic uint32_t) == sizeof(unsigned int) &&
	       sizeof(_Atomic uint64_t) == sizeof(unsigned long long) &&
	       _Alignof(_Atomic uint64_t) == 8,
	       "32 and 64 bits are atomic without locks");

/* Write to a word unless somebody else has. */
static inline bool ivshmem_try_replace(_Atomic uint64_t *word, uint64_t old, uint64_t new)
{
	return atomic_compare_exchange_strong(word, &old, new);
}

/* CLOCK_MONOTONIC, in nanoseconds. */
int64_t ivshmem_now(void);

static inline bool ivshmem_is_over(int64_t deadline, int64_t time)
{
	return deadline >= 0 && time >= deadline;
}

/* Between two looks at a word. */
static inline void ivshmem_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Whether others can wake us by this vector. */
bool ivshmem_has_doorbell(struct ivshmem *handle, uint32_t vector);

/*
 * How long to wait before looking again: after 0, the first time; then twice as long each
 * time, up to a limit. Shorter where nobody can ring.
 */
int64_t ivshmem_next_interval(int64_t interval, bool rung);

/* The word to sleep on, and how. */
struct ivshmem_park {
	struct ivshmem *handle;
	uint64_t offset;	/* of the word in the region */
	uint32_t vector;	/* rung after a change */
	bool rung;		/* the side that changes the word can ring */
	int64_t deadline;	/* CLOCK_MONOTONIC, or negative: never */
	int64_t interval;	/* 0 before the first sleep, then ours */
};

/*
 * Sleep while the word is as it was seen, and not for ever at first: 0 to look
 * again, -ETIMEDOUT when the deadline is over, -EINTR, -ENODEV.
 */
int ivshmem_park(struct ivshmem_park *park, uint32_t seen);

#endif /* IVSHMEM_PARK_H */
