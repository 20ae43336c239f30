/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libivshmem: shared memory and doorbells between virtual machines
 *
 * The same calls work on both sides of the hypervisor: on a guest a handle is
 * an open /dev/ivshmemN, on the host it is a connection to the socket of an
 * ivshmem server, which makes the program a peer like any guest.
 *
 * Every function that can fail returns a negative errno value. A handle may be
 * used by several threads at once, except for ivshmem_close().
 *
 * When a guest's device is unplugged, calls give -ENODEV, while touching a
 * mapping of the region raises SIGBUS, and so does ivshmem_ring() if it rings
 * by such a mapping (struct ivshmem_properties.mapped_registers).
 *
 * Constants that the driver's interface has as well are those of <linux/ivshmem.h>:
 * IVSHMEM_WAIT_*, IVSHMEM_CACHE_*, IVSHMEM_ID_UNKNOWN, IVSHMEM_MAX_PEER,
 * IVSHMEM_MAX_VECTORS.
 *
 * Limits: peers 0 to 65535, 256 vectors each. On the host, a handle takes three
 * descriptors and one for each vector of each peer.
 */
#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <linux/ivshmem.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open device, or a connection to a server. */
struct ivshmem;

/* ivshmem_open() flags */
#define IVSHMEM_READ_ONLY	(1U << 0)	/* no writing, no ringing */

/* What struct ivshmem_properties.transport says. */
enum ivshmem_transport {
	IVSHMEM_TRANSPORT_DEVICE,	/* a guest's /dev/ivshmemN */
	IVSHMEM_TRANSPORT_SERVER,	/* a server's socket on the host */
};

/* A timeout that never ends. */
#define IVSHMEM_FOREVER		(-1)

struct ivshmem_properties {
	uint64_t size;			/* bytes in the region */
	uint32_t id;			/* own peer number or IVSHMEM_ID_UNKNOWN */
	/*
	 * Own interrupt vectors; 0: nobody can ring here. A server does not say how
	 * many there will be: late ones still count when they come.
	 */
	uint32_t vectors;
	enum ivshmem_transport transport;
	uint32_t cache;			/* IVSHMEM_CACHE_* of <linux/ivshmem.h> */
	int can_ring;			/* peers have doorbells */
	int mapped_registers;		/* ringing needs no system call */
	size_t page_size;		/* what ivshmem_map() offsets are multiples of */
};

/*
 * ivshmem_open - open a device or join a server
 * @path: a device node (/dev/ivshmem0), a bare device name (ivshmem0), or the
 *	socket of an ivshmem server
 * @flags: IVSHMEM_READ_ONLY or 0
 *
 * A name without a slash is a device's if there is one, else a path.
 *
 * -ENOENT: no such path; -EACCES: no permission; -EINVAL: unknown flag;
 * -ENODEV: the device is gone; -ENOTTY: neither a socket nor an ivshmem device;
 * -EPROTONOSUPPORT: the driver's interface has another version;
 * -ENAMETOOLONG: no socket can have that path; -ECONNREFUSED: no server
 * listens; -ECONNRESET: the server hung up; -EPROTO: the server does not speak
 * version 0 of the protocol as QEMU does; -ETIMEDOUT: the server did not accept
 * within five seconds, said nothing for 30 (a service manager may have to start
 * it) or then did not introduce itself within five; -EMFILE: no descriptor is
 * left.
 */
int ivshmem_open(struct ivshmem **handle, const char *path, unsigned int flags);

/* Unmaps nothing: mappings live on, until munmap() if not unmapped before. */
void ivshmem_close(struct ivshmem *handle);

/* -ENODEV: the device is gone. */
int ivshmem_properties(struct ivshmem *handle, struct ivshmem_properties *out);

/*
 * ivshmem_map - map part of the region, readable and (unless the handle is
 * read-only) writable
 * @offset: a multiple of struct ivshmem_properties.page_size, which is that of
 *	a huge page on the host, if the region lies in a hugetlbfs
 * @length: bytes; 0 for all from @offset on
 *
 * -EINVAL: beyond the end, or misaligned. ivshmem_unmap() wants the length
 * mapped, also where 0 was given here.
 */
int ivshmem_map(struct ivshmem *handle, uint64_t offset, size_t length,
		void **address);
int ivshmem_unmap(struct ivshmem *handle, void *address, size_t length);

/*
 * ivshmem_ring - ring a peer's doorbell
 *
 * Writes to the region made before are visible to the peer when it wakes. No
 * error comes for a peer that does not exist on a guest, where nothing can
 * tell; on the host it gives -ENXIO.
 *
 * -EINVAL: peer over 65535 or vector over 255; -EACCES: opened read-only;
 * -EOPNOTSUPP: no doorbells here. A peer known before can be rung on the host
 * even when the server has died; else that gives -ECONNRESET.
 */
int ivshmem_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector);

struct ivshmem_wait_options {
	uint32_t flags;		/* IVSHMEM_WAIT_* of <linux/ivshmem.h> */
	uint32_t vector;
	uint64_t set[4];	/* bit v % 64 of set[v / 64] is vector v */
	uint64_t offset;	/* of the word; a multiple of 4 */
	uint32_t expected;	/* sleep only while the word has this value */
	int64_t timeout_ns;	/* 0: only look; negative: IVSHMEM_FOREVER */
	/*
	 * Look this long before sleeping, up to 1 s; part of the timeout.
	 */
	uint64_t spin_ns;
};

struct ivshmem_wait_result {
	int changed;		/* the word differs from @expected */
	uint32_t vector;	/* lowest vector that fired, if count > 0 */
	uint64_t count;		/* its interrupts since last reported */
	uint64_t set[4];	/* all vectors that fired */
};

/*
 * ivshmem_wait - sleep until a doorbell rings
 *
 * With IVSHMEM_WAIT_WORD it is a futex between machines: the other side
 * changes the word, then rings; no wake-up is lost. It may return without
 * cause: look at the memory again. @result may be NULL. What was reported to
 * one thread is not reported to another that shares the handle, but a change of
 * the word wakes all that wait for it.
 *
 * -ETIMEDOUT; -EINTR: a signal came; -EINVAL: a field out of range;
 * -EOPNOTSUPP: no doorbells here; -ENODEV: the device is gone;
 * -ECONNRESET: the server is gone.
 */
int ivshmem_wait(struct ivshmem *handle,
		 const struct ivshmem_wait_options *options,
		 struct ivshmem_wait_result *result);

/* Ring, then wait: on a guest in one system call. */
int ivshmem_ring_wait(struct ivshmem *handle, uint32_t peer, uint32_t vector,
		      const struct ivshmem_wait_options *options,
		      struct ivshmem_wait_result *result);

/*
 * ivshmem_eventfd - a descriptor that becomes readable when @vector fires
 *
 * A new one for the caller's event loop, non-blocking and close-on-exec; the
 * caller closes it. On a guest there is one per vector and handle: asking again
 * ends the earlier one's events. On the host, where the server gives only one,
 * they and ivshmem_wait() on the same vector take each other's events.
 *
 * -EINVAL: no such vector; -EOPNOTSUPP: no doorbells here.
 */
int ivshmem_eventfd(struct ivshmem *handle, uint32_t vector);

/*
 * ivshmem_peers - who else is there
 * @ids: room for @max numbers; filled in rising order
 *
 * Gives the number of peers other than this one, which may be more than @max.
 * Only a server knows: on a guest device -EOPNOTSUPP.
 */
int ivshmem_peers(struct ivshmem *handle, uint32_t *ids, size_t max);

/*
 * ivshmem_peer_gone - say that a peer has left
 *
 * A server tells that by itself. On a guest nothing does: where the program
 * knows it (from whoever manages the machines), this is for its channels with
 * that peer, and for the mutexes that the peer holds while this program waits
 * for them. A peer that comes later by the same number is not affected.
 *
 * -EINVAL: peer over 65535.
 */
int ivshmem_peer_gone(struct ivshmem *handle, uint32_t peer);

/*
 * The time that many nanoseconds from now on CLOCK_MONOTONIC, as a deadline for
 * the calls of ivshmem_channel.h and ivshmem_sync.h; negative: IVSHMEM_FOREVER.
 */
int64_t ivshmem_after(int64_t nanoseconds);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_H */
