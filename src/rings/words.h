/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/*
 * Words of shared memory: how they are read and written, in the kernel and in user space
 *
 * The other end may be another machine. So the kernel's barriers are those that stay when it
 * runs on one processor.
 */
#ifndef IVSHMEM_WORDS_H
#define IVSHMEM_WORDS_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/build_bug.h>	/* nospec.h may lack it */
#include <linux/compiler.h>
#include <linux/nospec.h>
#include <asm/barrier.h>
#include <asm/byteorder.h>

#define word_load(at)		READ_ONCE(*(at))
#define word_store(at, value)	WRITE_ONCE(*(at), value)
#define word_acquire(at)	virt_load_acquire(at)		/* the caller tells why */
#define word_release(at, value)	virt_store_release(at, value)	/* likewise */
#define fence_full()		virt_mb()			/* likewise */
#define fence_read()		virt_rmb()			/* likewise */
#define fence_write()		virt_wmb()			/* likewise */

/* A number below @limit, also where the processor runs ahead of the check. */
static inline __u32 below(__u32 number, __u32 limit)
{
	return array_index_nospec(number, limit);
}
#else
#include <endian.h>

#define word_load(at)		__atomic_load_n(at, __ATOMIC_RELAXED)
#define word_store(at, value)	__atomic_store_n(at, value, __ATOMIC_RELAXED)
#define word_acquire(at)	__atomic_load_n(at, __ATOMIC_ACQUIRE)
#define word_release(at, value)	__atomic_store_n(at, value, __ATOMIC_RELEASE)
#define fence_full()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define fence_read()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define fence_write()		__atomic_thread_fence(__ATOMIC_RELEASE)

#define cpu_to_le32(value)	htole32(value)
#define cpu_to_le64(value)	htole64(value)
#define le32_to_cpu(value)	le32toh(value)
#define le64_to_cpu(value)	le64toh(value)

static inline __u32 below(__u32 number, __u32 limit)
{
	(void)limit;
	return number;
}
#endif

/* A session and an index, in one word so that they change together. */
struct position {
	__u32 session;
	__u32 index;
};

static inline struct position to_position(__le64 word)
{
	__u64 value = le64_to_cpu(word);

	return (struct position){ .session = value >> 32, .index = (__u32)value };
}

/* What the other end has written before is seen after this. */
static inline struct position position_load(const __le64 *at)
{
	return to_position(word_acquire(at));
}

/* What was written before is seen by those who see this. */
static inline void position_store(__le64 *at, __u32 session, __u32 index)
{
	word_release(at, cpu_to_le64((__u64)session << 32 | index));
}

static inline __u32 number_load(const __le32 *at)
{
	return le32_to_cpu(word_load(at));
}

static inline void number_store(__le32 *at, __u32 value)
{
	word_store(at, cpu_to_le32(value));
}

/* Has an index that went from @old to @now passed @want? All of them wrap. */
static inline bool passed(__u32 want, __u32 old, __u32 now)
{
	return now - want - 1 < now - old;
}

/* How far is @a ahead of @b? Negative: behind. */
static inline __s32 ahead(__u32 a, __u32 b)
{
	return (__s32)(a - b);
}

#endif /* IVSHMEM_WORDS_H */
