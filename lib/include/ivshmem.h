/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libivshmem: shared memory and doorbells between virtual machines
 *
 * The same calls work on both sides of the hypervisor. On a guest, a handle is an
 * open /dev/ivshmemN. On the host, it is a connection to the socket of an ivshmem
 * server, which makes the program a peer like any guest.
 *
 * Functions that can fail return a negative errno value. Several threads can use a
 * handle at once, except for ivshmem_close().
 *
 * When a guest's device is unplugged, calls fail with -ENODEV, and an access to a
 * mapping raises SIGBUS. So does ivshmem_ring() if it uses mapped registers
 * (struct ivshmem_properties.mapped_registers).
 *
 * <linux/ivshmem.h>, the driver's interface, defines the constants IVSHMEM_WAIT_*,
 * IVSHMEM_CACHE_* and IVSHMEM_ID_UNKNOWN. IVSHMEM_WAIT_RING is ivshmem_ring_wait().
 *
 * Limits: peers 0 to 65535, 256 vectors each. On the host, a handle needs three
 * descriptors, and one per vector of each peer.
 */
#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <linux/ivshmem.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Peers are numbered from 0 to this. */
#define IVSHMEM_MAX_PEER	65535

/* A peer has at most this many vectors, numbered from 0. */
#define IVSHMEM_MAX_VECTORS	256

/* An open device, or a connection to a server. */
struct ivshmem;

/* ivshmem_open() flags */
#define IVSHMEM_READ_ONLY	(1U << 0)	/* no writing, no ringing */

/* struct ivshmem_properties.transport */
enum ivshmem_transport {
	IVSHMEM_TRANSPORT_DEVICE,	/* a guest's /dev/ivshmemN */
	IVSHMEM_TRANSPORT_SERVER,	/* a server's socket on the host */
};

/* No timeout. */
#define IVSHMEM_FOREVER		(-1)

struct ivshmem_properties {
	uint64_t size;			/* bytes in the region */
	uint32_t id;			/* own peer number or IVSHMEM_ID_UNKNOWN */
	/*
	 * Own interrupt vectors; 0: peers cannot ring. A server does not transmit their
	 * number: late ones are added when they arrive.
	 */
	uint32_t vectors;
	enum ivshmem_transport transport;
	uint32_t cache;			/* IVSHMEM_CACHE_* of <linux/ivshmem.h> */
	int can_ring;			/* peers have doorbells */
	int mapped_registers;		/* ringing without a system call */
	size_t page_size;		/* granularity of ivshmem_map() offsets */
};

/*
 * ivshmem_open - open a device or connect to a server
 * @path: a device node (/dev/ivshmem0), a bare device name (ivshmem0), or the
 *	socket of an ivshmem server
 * @flags: IVSHMEM_READ_ONLY or 0
 *
 * A name without a slash is that of a device if it exists, else a path.
 *
 * -ENOENT: no such path; -EACCES: no permission; -EINVAL: unknown flag;
 * -ENODEV: the device is gone; -ENOTTY: neither a socket nor an ivshmem device;
 * -ENAMETOOLONG: path too long for a socket; -ECONNREFUSED: no server is listening;
 * -ECONNRESET: the server closed the connection; -EPROTO: not version 0 of QEMU's
 * protocol; -ETIMEDOUT: no accept within 5 seconds, no first message within 30 (a
 * service manager may have to start the server) or no complete greeting within 5
 * more; -EMFILE: out of descriptors.
 */
int ivshmem_open(struct ivshmem **handle, const char *path, unsigned int flags);

/* Mappings stay valid; remove them by ivshmem_unmap() before or munmap() after this. */
void ivshmem_close(struct ivshmem *handle);

/* -ENODEV: the device is gone. */
int ivshmem_properties(struct ivshmem *handle, struct ivshmem_properties *out);

/*
 * ivshmem_map - map part of the region, readable and (unless the handle is
 * read-only) writable
 * @offset: a multiple of struct ivshmem_properties.page_size: the size of a huge page
 *	on the host if the region is in a hugetlbfs
 * @length: bytes; 0: up to the end
 *
 * -EINVAL: beyond the end, or misaligned. ivshmem_unmap() needs the actual length even
 * if 0 was passed here.
 */
int ivshmem_map(struct ivshmem *handle, uint64_t offset, size_t length,
		void **address);
int ivshmem_unmap(struct ivshmem *handle, void *address, size_t length);

/*
 * ivshmem_ring - ring a peer's doorbell
 *
 * Earlier writes to the region are visible to the peer when it wakes. Ringing a peer
 * that does not exist is -ENXIO on the host and no error on a guest, where the device
 * does not report it.
 *
 * -EINVAL: peer over 65535 or vector over 255; -EACCES: opened read-only;
 * -EOPNOTSUPP: no doorbells; -ECONNRESET: the server is gone. On the host, known peers
 * can be rung even then.
 */
int ivshmem_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector);

struct ivshmem_wait_options {
	uint32_t flags;		/* IVSHMEM_WAIT_* of <linux/ivshmem.h> */
	uint32_t vector;
	uint64_t set[4];	/* bit v % 64 of set[v / 64] is vector v */
	uint64_t offset;	/* of the word; a multiple of 4 */
	uint32_t expected;	/* sleep only while the word has this value */
	int64_t timeout_ns;	/* 0: do not sleep; negative: IVSHMEM_FOREVER */
	uint64_t spin_ns;	/* spin before sleeping, up to 1 s, within the timeout */
};

struct ivshmem_wait_result {
	int changed;		/* the word differs from @expected */
	uint32_t vector;	/* lowest vector that was signalled, if count > 0 */
	uint64_t count;		/* its interrupts since the last report */
	uint64_t set[4];	/* all vectors that were signalled */
};

/*
 * ivshmem_wait - sleep until a doorbell rings
 *
 * With IVSHMEM_WAIT_WORD it is a futex between machines: the other side changes the
 * word, then rings, and no wakeup is lost. Wakeups can be spurious: check the memory
 * again. @result may be NULL. An interrupt is reported to one of the threads that share
 * a handle, but a change of the word wakes all that wait for it.
 *
 * -ETIMEDOUT; -EINTR: interrupted by a signal; -EINVAL: a field out of range;
 * -EOPNOTSUPP: no doorbells; -ENODEV: the device is gone;
 * -ECONNRESET: the server is gone.
 */
int ivshmem_wait(struct ivshmem *handle,
		 const struct ivshmem_wait_options *options,
		 struct ivshmem_wait_result *result);

/* Ring, then wait; on a guest, in one system call. */
int ivshmem_ring_wait(struct ivshmem *handle, uint32_t peer, uint32_t vector,
		      const struct ivshmem_wait_options *options,
		      struct ivshmem_wait_result *result);

/*
 * ivshmem_eventfd - a descriptor that becomes readable when @vector is signalled
 *
 * Returns a new descriptor, non-blocking and close-on-exec, which the caller closes. On
 * a guest there is one per vector and handle: a new one replaces the old. On the host
 * all are the server's single eventfd: they and ivshmem_wait() on the same vector
 * consume each other's events.
 *
 * -EINVAL: no such vector; -EOPNOTSUPP: no doorbells.
 */
int ivshmem_eventfd(struct ivshmem *handle, uint32_t vector);

/*
 * ivshmem_peers - list the other peers
 * @ids: array of @max ids, filled in ascending order
 *
 * Returns the number of other peers, which may exceed @max. -EOPNOTSUPP on a guest,
 * where the device does not report peers.
 */
int ivshmem_peers(struct ivshmem *handle, uint32_t *ids, size_t max);

/*
 * ivshmem_peer_gone - report that a peer has disconnected
 *
 * For guests, which get no report from a server: a program that learns about it, from a
 * machine manager for example, so ends its channels with that peer and gets the mutexes
 * that it knows the peer to hold (ivshmem_sync.h). A later peer with the same id is not affected.
 *
 * -EINVAL: peer over 65535.
 */
int ivshmem_peer_gone(struct ivshmem *handle, uint32_t peer);

/*
 * Convert a duration to a CLOCK_MONOTONIC deadline for the calls of ivshmem_channel.h
 * and ivshmem_sync.h. Negative: IVSHMEM_FOREVER.
 */
int64_t ivshmem_after(int64_t nanoseconds);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_H */
