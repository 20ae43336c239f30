/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * ivshmem: shared memory and doorbells between virtual machines
 *
 * What programs see of /dev/ivshmemN. Every structure has the same layout on
 * 32 and 64 bit.
 *
 * A partition, /dev/ivshmemNpM, is a device with some of the bytes and vectors of
 * another: its offsets and vectors count from its own first, here and for peers
 * that are rung. It has no register page, and no doorbells if it has no vectors.
 *
 * Every structure can grow at its end. The ioctl's number contains the size
 * that the program knows, so programs and drivers of any age work together:
 *
 *   A structure longer than the driver knows is accepted if the rest is zero.
 *   Otherwise the ioctl fails with E2BIG: the program asks for something that
 *   this driver does not have.
 *   A shorter one is accepted down to the size given at each structure. What is
 *   missing counts as 0, and is not reported.
 *
 * Zero a structure before setting its fields. Unknown flags and non-zero
 * reserved fields are refused with EINVAL, so that they can get a meaning later.
 *
 * read() and write() never wait for a doorbell; they wait only for the end of a reset.
 * poll() reports POLLIN when a doorbell came in that was not reported to this
 * file. Where no doorbell can come in (@vectors is 0) POLLIN is always set.
 *
 * With O_NONBLOCK nothing here sleeps: WAIT fails with EAGAIN if nothing
 * happened, and so do open() and all calls that access the device while it is
 * being reset; only WAIT with IVSHMEM_WAIT_RING fails with EBUSY then, and has not rung.
 * Page faults still wait for the end of a reset.
 *
 * A user may have 1024 files of a device open, dma-bufs included, 16 of them with
 * O_ASYNC, and 256 tasks asleep in WAIT or PEERS. Beyond that open(), DMABUF, fcntl(), WAIT
 * and PEERS fail with EUSERS, unless the caller has CAP_SYS_RESOURCE.
 *
 * Errors that every ioctl here may give:
 *   E2BIG       unknown bytes at the end of the structure are not zero
 *   EAGAIN      O_NONBLOCK is set, and the device is being reset
 *   EFAULT      an address given does not belong to the caller
 *   EINVAL      the structure is too short
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

/* struct ivshmem_info.id while the hypervisor has not given one yet. */
#define IVSHMEM_ID_UNKNOWN	0xffffffffU

/* A spin budget (struct ivshmem_wait.spin_ns) is at most one second. */
#define IVSHMEM_MAX_SPIN_NS	1000000000ULL

/* struct ivshmem_info.features */
/* RING works. */
#define IVSHMEM_FEATURE_DOORBELL	0x1
/* Doorbells of this machine arrive: WAIT and EVENTFD work, poll() waits. */
#define IVSHMEM_FEATURE_INTERRUPTS	0x2
/* This open file may map the register page, IVSHMEM_REGION_REGISTERS. */
#define IVSHMEM_FEATURE_REGISTERS	0x4
/*
 * The device can be reset while it is in use. Accesses wait for the end, which
 * signals every vector once. The memory keeps its contents unless the reset
 * itself changes them.
 */
#define IVSHMEM_FEATURE_RESET		0x8
/*
 * The memory has struct pages: a mapping is as good as one of a file, for shared futexes,
 * O_DIRECT, vmsplice(), process_vm_readv() and the like.
 */
#define IVSHMEM_FEATURE_PAGES		0x10
/* DMABUF works: the region has pages that other hardware can be given. */
#define IVSHMEM_FEATURE_DMABUF		0x20
/*
 * The region has a label with room for polled doorbells. Peers that have none of another kind
 * are rung by counting in the memory. A machine without interrupts looks at the counters while
 * a program waits, at most 10 ms apart; the parameter poll_us says how often. So does one with
 * interrupts while a peer without them is there.
 */
#define IVSHMEM_FEATURE_POLLED		0x40
/* PEERS works: the region has a label with a peer area. It can come with a new label. */
#define IVSHMEM_FEATURE_PEERS		0x80

/**
 * struct ivshmem_info - what a device is (IVSHMEM_IOC_INFO)
 * @features: out: IVSHMEM_FEATURE_*
 * @id: out: own peer number, 0 to @max_peer, or IVSHMEM_ID_UNKNOWN (always
 *	without IVSHMEM_FEATURE_DOORBELL). 0xff00 plus the own slot if doorbells are
 *	polled; another one if the slot is lost, so ask again when peers change
 * @vectors: out: number of own vectors. With polled doorbells as many as the label said
 *	when the file was opened
 * @regions: out: number of indexes that IVSHMEM_IOC_REGION accepts
 * @max_peer: out: highest peer that RING accepts
 * @max_vector: out: highest vector that RING accepts. A peer may have fewer. 0 if a
 *	partition has none, and RING does not work
 * @reserved: out: zero
 *
 * A structure may end after @vectors (16 bytes).
 */
struct ivshmem_info {
	__u64 features;
	__u32 id;
	__u32 vectors;
	__u32 regions;
	__u32 max_peer;
	__u32 max_vector;
	__u32 reserved;
};

/* struct ivshmem_region.index */
#define IVSHMEM_REGION_MEMORY		0	/* the shared memory */
#define IVSHMEM_REGION_REGISTERS	1	/* the register page */

/* struct ivshmem_region.flags: what this open file may do */
#define IVSHMEM_REGION_READ	0x1	/* PROT_READ */
#define IVSHMEM_REGION_WRITE	0x2	/* PROT_WRITE */

/*
 * struct ivshmem_region.cache: how the region is mapped (parameter cache=). On
 * x86 the MTRRs may make write-back uncached, which this does not tell.
 */
#define IVSHMEM_CACHE_WB	0U	/* write-back, as ordinary memory */
#define IVSHMEM_CACHE_WC	1U	/* write-combining */
#define IVSHMEM_CACHE_UC	2U	/* uncached */

/**
 * struct ivshmem_region - what can be mapped (IVSHMEM_IOC_REGION)
 * @index: IVSHMEM_REGION_*, below struct ivshmem_info.regions
 * @flags: out: IVSHMEM_REGION_READ, IVSHMEM_REGION_WRITE; 0 if this open file
 *	may not map the region
 * @offset: out: where the region begins in the file, a multiple of the page
 *	size. mmap() takes such offsets, and read(), write() and WAIT do in the
 *	shared memory
 * @size: out: bytes, a multiple of the page size; 0 if there is no register page that
 *	programs may map: so of partitions, of all but PCI devices with MSI-X, where other
 *	things are in that page, and with the parameter map_registers=N
 * @page_sizes: out: sizes of the pages that mappings are made of at most, as a bit
 *	mask: 4096 | 2097152 means both. Large ones are used where the kernel and the
 *	device have them, and the mapping begins as they do
 * @cache: out: IVSHMEM_CACHE_*
 * @reserved: out: zero
 *
 * A structure may end after @size (24 bytes).
 *
 * EINVAL      no such index
 */
struct ivshmem_region {
	__u32 index;
	__u32 flags;
	__u64 offset;
	__u64 size;
	__u64 page_sizes;
	__u32 cache;
	__u32 reserved;
};

/*
 * The register page, for ringing without a system call. Byte offset of the
 * Doorbell register, and the value to write there, as a little-endian word.
 *
 * What was written to the shared memory must be visible before the doorbell
 * rings, but compilers and processors reorder stores. Between the last store to
 * the memory and the store to the register put what writel() has in the kernel:
 *
 *   x86-64   a compiler barrier; sfence if the memory is IVSHMEM_CACHE_WC
 *   arm64    dmb oshst. A C11 fence is dmb ish, which orders for the processors
 *            of the inner shareable domain only, not for a device
 *
 * RING does so itself, and ivshmem_ring() of libivshmem in both cases.
 */
#define IVSHMEM_REG_DOORBELL	12
#define IVSHMEM_DOORBELL(peer, vector) \
	(((__u32)(peer) << 16) | ((__u32)(vector) & 0xffff))

/**
 * struct ivshmem_ring - ring a doorbell (IVSHMEM_IOC_RING)
 * @peer: whom to ring, 0 to struct ivshmem_info.max_peer; ringing oneself works
 * @vector: which of the peer's vectors, 0 to struct ivshmem_info.max_vector
 * @flags: must be 0
 * @reserved: must be 0
 *
 * Everything the caller wrote to the region before is visible to the peer
 * when its interrupt comes. The device tells nobody whether the peer exists
 * or has the vector: a doorbell to nobody vanishes. It also merges doorbells
 * that follow each other closely: n rings give between 1 and n interrupts.
 * A polled doorbell vanishes also while this machine has no slot in the label.
 *
 * A structure may end after @vector (8 bytes).
 *
 * EACCES      the file is not open for writing
 * EINVAL      peer or vector out of range, unknown flag, reserved not 0
 * EOPNOTSUPP  the device has no doorbell (ivshmem-plain without polled ones), or the
 *             partition no vector
 */
struct ivshmem_ring {
	__u32 peer;
	__u32 vector;
	__u32 flags;
	__u32 reserved;
};

/* struct ivshmem_wait.flags */
/* Wait for any vector at @set instead of for @vector. */
#define IVSHMEM_WAIT_SET	0x1
/* Sleep only while the 32-bit word at @offset equals @expected. */
#define IVSHMEM_WAIT_WORD	0x2
/* @timeout_ns is a time on the CLOCK_MONOTONIC that the caller sees, not a duration. */
#define IVSHMEM_WAIT_ABSTIME	0x4
/* Ring @ring_vector of @ring_peer first, for a request and its response. */
#define IVSHMEM_WAIT_RING	0x8
/*
 * Return also when others than the last PEERS of this open file has told are present. There
 * must have been a PEERS that succeeded.
 */
#define IVSHMEM_WAIT_NEWS	0x10

/* struct ivshmem_wait.result */
/* At least one vector was signalled. */
#define IVSHMEM_RESULT_SIGNALLED	0x1
/* The word differs from @expected. */
#define IVSHMEM_RESULT_CHANGED		0x2
/* Others are present (IVSHMEM_WAIT_NEWS). So it is for each call, until PEERS tells who. */
#define IVSHMEM_RESULT_NEWS		0x4

/**
 * struct ivshmem_wait - sleep until a doorbell (IVSHMEM_IOC_WAIT)
 * @flags: IVSHMEM_WAIT_*
 * @vector: the vector to wait for, below struct ivshmem_info.vectors; must be 0
 *	with IVSHMEM_WAIT_SET
 * @timeout_ns: nanoseconds (see IVSHMEM_WAIT_ABSTIME); 0 looks without
 *	sleeping; negative waits for ever
 * @count: out: interrupts of @signalled_vector that this call reports
 * @signalled_vector: out: the lowest vector that was signalled, 0 if none was
 * @result: out: IVSHMEM_RESULT_*, several or none
 * @offset: with IVSHMEM_WAIT_WORD the offset of the word in the file, a multiple
 *	of 4 in the shared memory; else must be 0
 * @expected: with IVSHMEM_WAIT_WORD the value that the word has while there is
 *	nothing to do; else must be 0
 * @nbits: with IVSHMEM_WAIT_SET the number of bits at @set and @signalled_set
 *	and of elements at @counts, 1 to 65536; else must be 0
 * @spin_ns: nanoseconds to look again and again before sleeping, 0 to
 *	IVSHMEM_MAX_SPIN_NS; time spent spinning is part of the timeout
 * @set: with IVSHMEM_WAIT_SET the address of the vectors to wait for: an array of
 *	__u64, vector v being bit v % 64 of element v / 64; else must be 0
 * @signalled_set: with IVSHMEM_WAIT_SET the address where to store the vectors
 *	that were signalled, in the same form, or 0; else must be 0
 * @counts: with IVSHMEM_WAIT_SET the address of @nbits __u64, or 0; else must be 0.
 *	Element v becomes the number of interrupts of vector v that this call
 *	reports, 0 for vectors that are not in the set
 * @ring_peer: with IVSHMEM_WAIT_RING as @peer of RING; else must be 0
 * @ring_vector: with IVSHMEM_WAIT_RING as @vector of RING; else must be 0
 *
 * A structure may end after @result (32 bytes).
 *
 * A futex between machines. The other side changes the word, then rings; this
 * side sleeps only if the word still has the value it saw before. Whichever
 * way the two race, the call returns. It can also return without cause (after
 * the machine slept, or for a ring that meant an earlier change): look at the
 * memory again, and call again.
 *
 * The result is written first and marked as reported then: a call that fails
 * with EFAULT loses no doorbell. What is written at @set and the fields above
 * @count never change.
 *
 * What was reported once is not reported to the same open file again; other
 * open files are not affected. Threads that share an open file share what it
 * has seen: one of them is told, and the others go on waiting. A thread that
 * sleeps with IVSHMEM_WAIT_WORD still never misses a change of its word. The
 * outputs mean nothing if the call fails.
 *
 * A signal interrupts the call. It restarts as SA_RESTART says if that repeats
 * nothing: without IVSHMEM_WAIT_RING, and with an absolute timeout or none. Else
 * it fails with EINTR, also without a handler (SIGCONT, the freezer), as poll()
 * does. With IVSHMEM_WAIT_RING the doorbell has been rung then: go on without
 * this flag.
 *
 * All arguments are checked before the doorbell is rung.
 *
 * EACCES      IVSHMEM_WAIT_WORD, and the file is not open for reading;
 *             IVSHMEM_WAIT_RING, and it is not open for writing
 * EAGAIN      O_NONBLOCK is set, and nothing happened
 * EBUSY       IVSHMEM_WAIT_RING is set, and nothing was rung, as the device is being
 *             reset. With O_NONBLOCK at once, else when the time is over or a
 *             signal comes
 * EINTR       a signal came
 * EIO         with IVSHMEM_WAIT_WORD: the machine has found the memory of a software device
 *             broken there
 * EINVAL      a field is out of range as written above, or the set is empty or has a
 *             vector that the device does not have; IVSHMEM_WAIT_NEWS before PEERS
 * ENOMEM      no memory for a set
 * EOPNOTSUPP  the device has no vectors, or no doorbell to ring, or no peers for
 *             IVSHMEM_WAIT_NEWS to tell of
 * ETIMEDOUT   nothing happened in time (also for a timeout of 0)
 * EUSERS      the user has too many tasks asleep in WAIT and PEERS on this device, which are
 *             counted together. With IVSHMEM_WAIT_RING the doorbell has been rung
 */
struct ivshmem_wait {
	__u32 flags;
	__u32 vector;
	__s64 timeout_ns;
	__u64 count;
	__u32 signalled_vector;
	__u32 result;
	__u64 offset;
	__u32 expected;
	__u32 nbits;
	__u64 spin_ns;
	__u64 set;
	__u64 signalled_set;
	__u64 counts;
	__u32 ring_peer;
	__u32 ring_vector;
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
 * A structure may end after @fd (8 bytes).
 *
 * EBADF       fd is not an open file
 * EINVAL      vector out of range, fd not an eventfd, unknown flag
 * ENOENT      fd is -1 and nothing was bound
 * ENOMEM      no memory
 * EOPNOTSUPP  the device has no vectors, or the kernel no eventfds
 */
struct ivshmem_eventfd {
	__u32 vector;
	__s32 fd;
	__u32 flags;
	__u32 reserved;
};

/* struct ivshmem_dmabuf.flags */
/* The file descriptor is closed by exec(), as with O_CLOEXEC. */
#define IVSHMEM_DMABUF_CLOEXEC	0x1

/**
 * struct ivshmem_dmabuf - make a dma-buf of a range (IVSHMEM_IOC_DMABUF)
 * @offset: where the range begins in the shared memory, a multiple of the page size
 * @size: bytes, a multiple of the page size, not 0
 * @flags: IVSHMEM_DMABUF_*
 * @reserved: must be 0
 *
 * The result is a file descriptor. It can be given to drivers that import dma-bufs, such
 * as those of GPUs, and mapped; DMA_BUF_IOCTL_SYNC goes before and after access to a
 * mapping. It stays when the open file is closed, and counts as one more.
 *
 * The end of the device, and a reset, revoke it for good: its mappings end in SIGBUS,
 * mmap() and imports fail with ENODEV, and drivers that can let go are asked to. Other
 * hardware may have pages until it gives them back: those of a software device keep their
 * bytes, those of a PCI device or window reach whatever is at that address by then. After a
 * reset make another one.
 *
 * A structure may end after @size (16 bytes).
 *
 * EACCES      the file is not open for reading and writing
 * EINVAL      a field is not as written above, or the range ends beyond the region
 * EMFILE      the process has too many open files
 * ENFILE      the machine has too many open files
 * ENOMEM      no memory
 * EOPNOTSUPP  without IVSHMEM_FEATURE_DMABUF
 * EUSERS      the user has too many files of this device
 */
struct ivshmem_dmabuf {
	__u64 offset;
	__u64 size;
	__u32 flags;
	__u32 reserved;
};

/* struct ivshmem_peer_info.kind: what a peer says it is, or another number */
#define IVSHMEM_PEER_GUEST	1
#define IVSHMEM_PEER_HOST	2	/* a program on the host */
#define IVSHMEM_PEER_SERVER	3

/* struct ivshmem_peer_info.flags */
#define IVSHMEM_PEER_SELF	0x1	/* this machine */

/**
 * struct ivshmem_peer_info - a peer that is present (IVSHMEM_IOC_PEERS)
 * @owner: random number of this presence: another one if the peer goes and comes again
 * @generation: of the slot: one more with each owner
 * @id: the peer's number for RING: its doorbell id, or 0xff00 + @slot if it has none
 * @slot: its section in the peer area
 * @kind: IVSHMEM_PEER_*
 * @flags: IVSHMEM_PEER_SELF
 * @silent_ms: milliseconds since its heartbeat was seen to move
 * @reserved: zero
 * @name: what it calls itself, padded with 0: any bytes, and all 32 may be used
 *
 * But for @slot and @flags this is what the peer says, or a stranger who writes to the
 * memory. It is good to find a peer, and no proof of who that is.
 */
struct ivshmem_peer_info {
	__u64 owner;
	__u64 generation;
	__u32 id;
	__u16 slot;
	__u8 kind;
	__u8 flags;
	__u32 silent_ms;
	__u32 reserved;
	char name[32];
};

/* struct ivshmem_peers.flags */
/* Sleep while the generation is @generation. */
#define IVSHMEM_PEERS_WAIT	0x1

/**
 * struct ivshmem_peers - who is there (IVSHMEM_IOC_PEERS)
 * @generation: with IVSHMEM_PEERS_WAIT the generation that the caller knows, else
 *	ignored; out: that of the result, never 0
 * @peers: address of @room elements that begin with struct ivshmem_peer_info; 0 if
 *	@room is 0
 * @room: how many elements there are at @peers
 * @nr: out: how many peers are present, this machine included. As many of them as there is
 *	room for are at @peers, in the order of their slots
 * @flags: IVSHMEM_PEERS_*
 * @info_size: bytes from one element to the next, a multiple of 8, 64 to 4096; 0 if @room is
 *	0. What the driver does not know of an element becomes 0
 * @timeout_ns: with IVSHMEM_PEERS_WAIT nanoseconds; 0 looks without sleeping, negative
 *	waits for ever; else must be 0
 *
 * A structure may end after @info_size (32 bytes).
 *
 * The driver looks ten times a second. The generation is one more each time that a peer
 * comes, goes, or says something else about itself. A peer whose heartbeat stands still for
 * 800 ms counts as gone, and comes back when it moves. All open files of a device, and of
 * its partitions, see the same.
 *
 * Once PEERS has succeeded on an open file, poll() reports POLLPRI while the generation is
 * another than that of the last result, and with O_ASYNC each change sends SIGIO.
 *
 * EAGAIN      O_NONBLOCK is set, and the generation is still @generation, or the device is
 *             being reset
 * EINTR       a signal came. The call restarts, as SA_RESTART says, if it has no timeout
 * EINVAL      a field is not as written above, or a flag is unknown
 * ENOMEM      no memory
 * EOPNOTSUPP  without IVSHMEM_FEATURE_PEERS
 * ETIMEDOUT   the generation did not change in time (also for a timeout of 0), or a reset
 *             did not end
 * EUSERS      the user has too many tasks asleep in WAIT and PEERS on this device
 */
struct ivshmem_peers {
	__u64 generation;
	__u64 peers;
	__u32 room;
	__u32 nr;
	__u32 flags;
	__u32 info_size;
	__s64 timeout_ns;
};

/*
 * Documentation/userspace-api/ioctl/ioctl-number.rst of Linux 6.12 lists no
 * other user of this number.
 */
#define IVSHMEM_IOC_MAGIC	0xE7

#define IVSHMEM_IOC_INFO	_IOWR(IVSHMEM_IOC_MAGIC, 0x00, struct ivshmem_info)
#define IVSHMEM_IOC_REGION	_IOWR(IVSHMEM_IOC_MAGIC, 0x01, struct ivshmem_region)
#define IVSHMEM_IOC_RING	_IOW(IVSHMEM_IOC_MAGIC, 0x02, struct ivshmem_ring)
#define IVSHMEM_IOC_WAIT	_IOWR(IVSHMEM_IOC_MAGIC, 0x03, struct ivshmem_wait)
#define IVSHMEM_IOC_EVENTFD	_IOW(IVSHMEM_IOC_MAGIC, 0x04, struct ivshmem_eventfd)
#define IVSHMEM_IOC_DMABUF	_IOW(IVSHMEM_IOC_MAGIC, 0x05, struct ivshmem_dmabuf)
#define IVSHMEM_IOC_PEERS	_IOWR(IVSHMEM_IOC_MAGIC, 0x06, struct ivshmem_peers)

#endif /* _UAPI_LINUX_IVSHMEM_H */
