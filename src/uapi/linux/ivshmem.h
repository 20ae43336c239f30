/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * ivshmem: shared memory and doorbells between virtual machines
 *
 * What programs see of /dev/ivshmemN. Every structure has the same layout on
 * 32 and 64 bit. Unknown flags and non-zero reserved fields are refused with
 * EINVAL, so that they can get a meaning later.
 *
 * read() and write() never wait for a doorbell, except for the end of a reset.
 * poll() reports POLLIN when a doorbell came in that was not reported to this
 * file. Where no doorbell can come in (@vectors is 0) POLLIN is always set.
 *
 * A user may have 1024 files of a device open, 16 of them with O_ASYNC, and 256
 * tasks asleep in WAIT. Beyond that open(), fcntl() and WAIT fail with EUSERS,
 * unless the caller has CAP_SYS_RESOURCE.
 *
 * Errors that every ioctl here may give:
 *   EFAULT      an address given does not belong to the caller
 *   ENODEV      the device is gone (unplugged, unbound); close the file
 *   ENOTTY      no such ioctl
 *
 * The device's own specification is docs/specs/ivshmem-spec in QEMU's sources;
 * "register" below means a register defined there.
 */
#ifndef _UAPI_LINUX_IVSHMEM_H
#define _UAPI_LINUX_IVSHMEM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Version of this interface, as struct ivshmem_info.abi gives it. */
#define IVSHMEM_ABI_VERSION	1

/* The device has at most this many interrupt vectors, numbered from 0. */
#define IVSHMEM_MAX_VECTORS	256

/* Peers are numbered from 0 to this. */
#define IVSHMEM_MAX_PEER	65535

/* struct ivshmem_info.id while the hypervisor has not given one yet. */
#define IVSHMEM_ID_UNKNOWN	0xffffffffU

/* A spin budget (struct ivshmem_wait.spin_ns) is at most one second. */
#define IVSHMEM_MAX_SPIN_NS	1000000000ULL

/* struct ivshmem_info.flags */
/* RING works. WAIT, EVENTFD and poll do if @vectors is not 0. */
#define IVSHMEM_INFO_DOORBELL	0x1
/* This open file may map the register page (see registers_offset). */
#define IVSHMEM_INFO_REGISTERS	0x2

/*
 * struct ivshmem_info.cache: how the region is mapped (parameter cache=). On
 * x86 the MTRRs may make write-back uncached, which this does not tell.
 */
#define IVSHMEM_CACHE_WB	0U	/* write-back, as ordinary memory */
#define IVSHMEM_CACHE_WC	1U	/* write-combining */
#define IVSHMEM_CACHE_UC	2U	/* uncached */

/* Byte offset of the Doorbell register in the register page. */
#define IVSHMEM_REG_DOORBELL	12
/* The value to write there, as a little-endian word. */
#define IVSHMEM_DOORBELL(peer, vector) \
	(((__u32)(peer) << 16) | ((__u32)(vector) & 0xffff))

/**
 * struct ivshmem_info - what a device is (IVSHMEM_IOC_INFO)
 * @abi: IVSHMEM_ABI_VERSION of the driver
 * @flags: IVSHMEM_INFO_*
 * @size: bytes in the shared region; mmap offsets 0 to @size - 1 are valid
 * @id: own peer number, 0 to IVSHMEM_MAX_PEER, or IVSHMEM_ID_UNKNOWN (always
 *	without IVSHMEM_INFO_DOORBELL)
 * @vectors: number of own interrupt vectors, 0 to IVSHMEM_MAX_VECTORS
 * @registers_offset: mmap offset of the register page; 0 without
 *	IVSHMEM_INFO_REGISTERS
 * @registers_size: bytes to map there (one page); 0 without
 *	IVSHMEM_INFO_REGISTERS
 * @cache: IVSHMEM_CACHE_*
 * @reserved: zero
 */
struct ivshmem_info {
	__u32 abi;
	__u32 flags;
	__u64 size;
	__u32 id;
	__u32 vectors;
	__u64 registers_offset;
	__u32 registers_size;
	__u32 cache;
	__u64 reserved[3];
};

/* struct ivshmem_ring.flags */
/*
 * Set by the kernel in IVSHMEM_IOC_RING_WAIT when a signal interrupted the
 * wait after the doorbell was rung, so that calling again goes on waiting and
 * does not ring again. Any other result clears it.
 */
#define IVSHMEM_RING_DONE	0x1

/**
 * struct ivshmem_ring - ring a doorbell (IVSHMEM_IOC_RING)
 * @peer: whom to ring, 0 to IVSHMEM_MAX_PEER; ringing oneself works
 * @vector: which of the peer's vectors, 0 to IVSHMEM_MAX_VECTORS - 1
 * @flags: 0 (IVSHMEM_RING_DONE in IVSHMEM_IOC_RING_WAIT)
 * @reserved: must be 0
 *
 * Everything the caller wrote to the region before is visible to the peer
 * when its interrupt comes. The device tells nobody whether the peer exists
 * or has the vector: a doorbell to nobody vanishes. It also merges doorbells
 * that follow each other closely: n rings give between 1 and n interrupts.
 *
 * EACCES      the file is not open for writing
 * EINVAL      peer or vector out of range, unknown flag, reserved not 0
 * EOPNOTSUPP  the device has no doorbell (ivshmem-plain)
 */
struct ivshmem_ring {
	__u32 peer;
	__u32 vector;
	__u32 flags;
	__u32 reserved;
};

/* struct ivshmem_wait.flags */
/* Wait for any vector in @set instead of for @vector. */
#define IVSHMEM_WAIT_SET	0x1
/* Sleep only while the 32-bit word at @offset equals @expected. */
#define IVSHMEM_WAIT_WORD	0x2
/* @timeout_ns is a time on the CLOCK_MONOTONIC that the caller sees, not a duration. */
#define IVSHMEM_WAIT_ABSTIME	0x4

/* struct ivshmem_wait.result */
/* At least one vector fired. */
#define IVSHMEM_RESULT_FIRED	0x1
/* The word differs from @expected. */
#define IVSHMEM_RESULT_CHANGED	0x2

/**
 * struct ivshmem_wait - sleep until a doorbell (IVSHMEM_IOC_WAIT)
 * @flags: IVSHMEM_WAIT_*
 * @vector: the vector to wait for, below struct ivshmem_info.vectors; must be 0
 *	with IVSHMEM_WAIT_SET
 * @set: with IVSHMEM_WAIT_SET the vectors to wait for, vector v being bit
 *	v % 64 of word v / 64, else must be 0
 * @counts: address of @ncounts __u64, or 0 if that is 0. Element v becomes the
 *	number of interrupts of vector v that this call reports, 0 for the others
 * @ncounts: elements at @counts, 0 to IVSHMEM_MAX_VECTORS
 * @expected: the value the word has while there is nothing to do; must be 0
 *	without IVSHMEM_WAIT_WORD
 * @offset: of the word in the region, a multiple of 4; must be 0 without
 *	IVSHMEM_WAIT_WORD
 * @timeout_ns: nanoseconds (see IVSHMEM_WAIT_ABSTIME); 0 looks without
 *	sleeping; negative waits for ever
 * @spin_ns: nanoseconds to look again and again before sleeping, 0 to
 *	IVSHMEM_MAX_SPIN_NS; time spent spinning is part of the timeout
 * @count: out: interrupts of @fired_vector that this call reports
 * @fired: out: the vectors that fired, as @set
 * @fired_vector: out: the lowest vector that fired, 0 if none did
 * @result: out: IVSHMEM_RESULT_FIRED, IVSHMEM_RESULT_CHANGED, both or none
 * @reserved: must be 0
 *
 * A futex between machines. The other side changes the word, then rings; this
 * side sleeps only if the word still has the value it saw before. Whichever
 * way the two race, the call returns. It can also return without cause (after
 * the machine slept, for a ring that meant an earlier change, or with no result
 * when another thread with the same open file was told first): look at the
 * memory again, and call again.
 *
 * The result is written first and marked as reported then: a call that fails
 * with EFAULT loses no doorbell.
 *
 * What was reported once is not reported to the same open file again; other
 * open files are not affected. Threads that share an open file share what it
 * has seen; one that sleeps with IVSHMEM_WAIT_WORD still never misses a change
 * of its word.
 *
 * After a signal the call restarts (SA_RESTART) or fails with EINTR. The kernel
 * then stores what remains of a relative timeout in @timeout_ns, so set it again
 * for each call. No other field above @count is ever changed.
 *
 * EACCES      IVSHMEM_WAIT_WORD, and the file is not open for reading
 * EINTR       a signal came
 * EINVAL      a field is out of range as written above, or the set is empty
 * ENOMEM      no memory to report a set
 * EOPNOTSUPP  the device has no interrupts
 * ETIMEDOUT   nothing happened in time (also for a timeout of 0)
 * EUSERS      the user has too many tasks asleep in WAIT on this device
 */
struct ivshmem_wait {
	__u32 flags;
	__u32 vector;
	__u64 set[IVSHMEM_MAX_VECTORS / 64];
	__u64 counts;
	__u32 ncounts;
	__u32 expected;
	__u64 offset;
	__s64 timeout_ns;
	__u64 spin_ns;
	__u64 count;
	__u64 fired[IVSHMEM_MAX_VECTORS / 64];
	__u32 fired_vector;
	__u32 result;
	__u64 reserved[2];
};

/**
 * struct ivshmem_ring_wait - ring, then wait (IVSHMEM_IOC_RING_WAIT)
 * @ring: as for IVSHMEM_IOC_RING
 * @wait: as for IVSHMEM_IOC_WAIT
 *
 * One system call for a request and its response. Both halves are checked
 * before the doorbell is rung. Errors are those of the two.
 */
struct ivshmem_ring_wait {
	struct ivshmem_ring ring;
	struct ivshmem_wait wait;
};

/**
 * struct ivshmem_eventfd - tie a vector to an eventfd (IVSHMEM_IOC_EVENTFD)
 * @vector: below struct ivshmem_info.vectors
 * @fd: an eventfd, to which each interrupt of the vector adds 1; or -1 to end
 *	it. Interrupts in close succession may add 1 together if many listen to
 *	the vector
 * @flags: must be 0
 * @reserved: must be 0
 *
 * Each open file can have one eventfd per vector; binding another replaces it.
 * Closing the file unbinds. An eventfd is also signalled when the device goes
 * away, so that an event loop comes to see ENODEV.
 *
 * EBADF       fd is not an open file
 * EINVAL      vector out of range, fd not an eventfd, unknown flag
 * ENOENT      fd is -1 and nothing was bound
 * EOPNOTSUPP  the device has no interrupts
 */
struct ivshmem_eventfd {
	__u32 vector;
	__s32 fd;
	__u32 flags;
	__u32 reserved;
};

#define IVSHMEM_IOC_MAGIC	0xE7

#define IVSHMEM_IOC_INFO	_IOR(IVSHMEM_IOC_MAGIC, 0x00, struct ivshmem_info)
#define IVSHMEM_IOC_RING	_IOW(IVSHMEM_IOC_MAGIC, 0x01, struct ivshmem_ring)
#define IVSHMEM_IOC_WAIT	_IOWR(IVSHMEM_IOC_MAGIC, 0x02, struct ivshmem_wait)
#define IVSHMEM_IOC_RING_WAIT	_IOWR(IVSHMEM_IOC_MAGIC, 0x03, struct ivshmem_ring_wait)
#define IVSHMEM_IOC_EVENTFD	_IOW(IVSHMEM_IOC_MAGIC, 0x04, struct ivshmem_eventfd)

#endif /* _UAPI_LINUX_IVSHMEM_H */
