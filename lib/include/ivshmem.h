/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libivshmem: shared memory and doorbells between virtual machines
 *
 * The same calls work on both sides of the hypervisor. On a guest, a handle is an
 * open /dev/ivshmemN. On the host, it is a connection to the socket of an ivshmem
 * server, which makes the program a peer like any guest, or an open file, the memory of plain
 * devices. If the file has a label with a peer area ("ivshmemctl format"), the program is a peer
 * there as well, without a server.
 *
 * Functions that can fail return a negative errno value, which ivshmem_error() explains.
 * Several threads can use a handle at once, except for ivshmem_close().
 *
 * -ENODEV from a call with a handle means that the guest's device is unplugged, or that
 * the server on the host is gone. Calls that do not sleep find out as well, and
 * ivshmem_fd() is readable. It is for good: close the handle and open another. When a
 * guest's device is unplugged, an access to a mapping raises SIGBUS as well. So does
 * ivshmem_ring() if it uses mapped registers (struct
 * ivshmem_properties.mapped_registers). On the host, mappings stay, and what is rung
 * by peers that know each other still arrives.
 *
 * -EINTR means that a signal handler ran during the call, whatever SA_RESTART says. On a
 * guest it can also come without one, after a process was stopped and continued. A signal
 * that comes while a call looks at the memory, and does not sleep, does not end it. Without
 * doorbells calls look every millisecond, so that is not rare: have a deadline as well.
 *
 * pthread_cancel() acts in calls that sleep (ivshmem_wait(), ivshmem_ring_wait() and the
 * waits of channels and of ivshmem_sync.h), and takes nothing from other threads. On a
 * guest it acts after the sleep, which a signal or a doorbell ends. No other call is
 * a cancellation point. Asynchronous cancellation is not allowed.
 *
 * A handle, its objects and its descriptors belong to the process that opened them. In a
 * child of fork() all calls on them fail with -EPERM. Only closing is allowed, and
 * does not affect the parent. The child opens a handle of its own. Mappings are inherited. A
 * child must not read or poll the descriptors: it would take its parent's events. All are
 * close-on-exec. A child of vfork() makes no call of the library.
 *
 * Structures can grow at their end. The inline functions here pass the size that the
 * program knows, so programs and libraries of any age work together: what one of them
 * does not know counts as 0. A field that is not 0 and unknown to the library is -E2BIG.
 * Other languages call the functions whose names end in _sized.
 *
 * Limits: peers 0 to 65535, 256 vectors each. On the host, a connection needs three
 * descriptors, and one per vector of each peer, a file two, and one per own vector;
 * ivshmem_fd() takes two more. Where there is
 * none left, or no memory, for the doorbell of a new peer, the connection is over, as if the
 * server were gone, and ivshmem_error() says why.
 */
#ifndef IVSHMEM_H
#define IVSHMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; ivshmem_version() is that of the library in use. */
#define IVSHMEM_LIB_VERSION_MAJOR	0
#define IVSHMEM_LIB_VERSION_MINOR	1
#define IVSHMEM_LIB_VERSION_PATCH	0
#define IVSHMEM_LIB_VERSION \
	(IVSHMEM_LIB_VERSION_MAJOR << 16 | IVSHMEM_LIB_VERSION_MINOR << 8 | \
	 IVSHMEM_LIB_VERSION_PATCH)

uint32_t ivshmem_version(void);

/*
 * ivshmem_error - say why the latest call of this thread has failed
 * @error: what that call has returned
 *
 * The reason, such as "the channel's offset 100 is not a multiple of 128", where an error
 * can have several; else the text of strerror(). Without a line break. Valid until the
 * thread's next call that fails; copy it to keep it.
 */
const char *ivshmem_error(int error);

/* How much is logged. Each level includes those before. */
enum ivshmem_log_level {
	IVSHMEM_LOG_OFF,
	IVSHMEM_LOG_ERROR,	/* connections and channels that broke */
	IVSHMEM_LOG_INFO,	/* connections, peers, sessions and dead owners */
	IVSHMEM_LOG_DEBUG,	/* also each text of ivshmem_error(), when it is set */
};

typedef void ivshmem_log_function(void *argument, int level, const char *text);

/*
 * ivshmem_set_log - log events in this process
 * @level: enum ivshmem_log_level
 * @function: called for each event, in one thread at a time, with a text without a line
 *	break; NULL: write to stderr
 *
 * Before this is called the environment variable IVSHMEM_LOG decides: off (the default),
 * error, info or debug, to stderr, where one line tells of any other value. Programs with
 * set-user-ID or the like ignore it.
 *
 * Any thread may call this at any time; afterwards the former function is no longer
 * called. @function must not call the library, and should not wait: locks are held.
 */
void ivshmem_set_log(int level, ivshmem_log_function *function, void *argument);

/*
 * As in <linux/ivshmem.h>, the driver's interface, which a program may include as well. In C++
 * it then has to write "struct" before some names of that, as functions here have them, too.
 */
#define IVSHMEM_ID_UNKNOWN	0xffffffffU
#define IVSHMEM_MAX_SPIN_NS	1000000000ULL

/* struct ivshmem_properties.cache: how the memory is mapped */
#define IVSHMEM_CACHE_WB	0U	/* write-back, as ordinary memory */
#define IVSHMEM_CACHE_WC	1U	/* write-combining */
#define IVSHMEM_CACHE_UC	2U	/* uncached */

/* struct ivshmem_wait_options.flags */
#define IVSHMEM_WAIT_SET	0x1	/* for any vector of @set, not for @vector */
#define IVSHMEM_WAIT_WORD	0x2	/* only while the word equals @expected */
#define IVSHMEM_WAIT_ABSTIME	0x4	/* until a time of CLOCK_MONOTONIC */

/* Peers are numbered from 0 to this. */
#define IVSHMEM_MAX_PEER	65535

/* A peer has at most this many vectors, numbered from 0. */
#define IVSHMEM_MAX_VECTORS	256

/* An open device or file, or a connection to a server. */
struct ivshmem;

/* ivshmem_open() flags */
#define IVSHMEM_READ_ONLY	(1U << 0)	/* no writing, no ringing */

/* struct ivshmem_properties.transport */
enum ivshmem_transport {
	IVSHMEM_TRANSPORT_DEVICE,	/* a guest's /dev/ivshmemN */
	IVSHMEM_TRANSPORT_SERVER,	/* a server's socket on the host */
	IVSHMEM_TRANSPORT_FILE,		/* a file on the host */
};

/* No timeout. */
#define IVSHMEM_FOREVER		(-1)

struct ivshmem_properties {
	uint64_t size;			/* bytes in the region */
	uint32_t id;			/* own peer number or IVSHMEM_ID_UNKNOWN */
	uint32_t vectors;		/* own interrupt vectors; 0: peers cannot ring */
	/*
	 * More vectors may come, and are added then. ivshmem-server says which one is the
	 * last, other servers do not: a first peer takes two seconds of silence for the end.
	 */
	int vectors_guessed;
	enum ivshmem_transport transport;
	uint32_t cache;			/* IVSHMEM_CACHE_* */
	int can_ring;			/* peers have doorbells */
	int mapped_registers;		/* ringing without a system call */
	size_t page_size;		/* granularity of ivshmem_map() offsets */
};

/*
 * ivshmem_open - open a device or a file, or connect to a server
 * @path: a device node (/dev/ivshmem0), a bare device name (ivshmem0), the socket of an
 *	ivshmem server, or a file, such as that in mem-path= of QEMU's plain devices
 * @flags: IVSHMEM_READ_ONLY or 0
 *
 * A name without a slash is that of a device if it exists, else a path.
 *
 * A file is as large as when it was opened: should it become shorter, an access behind its end
 * raises SIGBUS, also one of the library.
 *
 * A file has doorbells if it has a label with a peer area when it is opened. The program takes
 * one of the slots there, and has the id 0xff00 + slot. A thread of the library, in which no
 * signal handler runs, says that the program lives, and looks for doorbells as long as a thread
 * waits or somebody has a descriptor of theirs: every millisecond, or as the environment variable
 * IVSHMEM_POLL_US says (200 to 10000), more often while they come, less after ten seconds
 * without. Who has not been heard of for 0.8 seconds counts as absent. Where all slots are taken
 * by others who live, the handle is without doorbells, for now, like one on a file without a
 * label; to know that can take a second. So is one that is read-only, for good: it sees who is
 * there, but takes no slot. A program that was stopped for more than a second can lose its slot,
 * and gets another one and another id; its channels then begin again, as after -EPIPE. Should
 * somebody write another label, nothing there is written any more, and nobody is present. Close
 * the handle then and open another.
 *
 * -ENOENT: no such path; -EACCES: no permission; -EINVAL: unknown flag, or an empty file;
 * -ENODEV: the device is gone; -ENOTTY: neither a socket, an ivshmem device nor a file;
 * -ENAMETOOLONG: path too long for a socket; -ECONNREFUSED: no server is listening;
 * -ECONNRESET: the server closed the connection; -EPROTO: not version 0 of QEMU's
 * protocol; -ETIMEDOUT: no accept within 5 seconds, no first message within 30 (a
 * service manager may have to start the server), no complete introduction within 30
 * more, or a silence of 5 seconds in it; -EMFILE: out of descriptors.
 */
int ivshmem_open(struct ivshmem **handle, const char *path, unsigned int flags);

/*
 * ivshmem_open_partition - open a partition of a region that has a label
 * @path: as for ivshmem_open(): the whole region
 * @name: the partition's, which "ivshmemctl partition" lists
 *
 * For calls with this handle, and objects in it, the region is the partition: offsets begin
 * where it begins, and vectors with its first one. Peers that use it have to open it so as well,
 * or its own device node in a guest. It stays what it was, should the label change. This is
 * for convenience: who may open the region can open any part of it. In a guest, who may not
 * gets the partition's own node, which ends with the partition, if the driver has made it.
 *
 * As ivshmem_open(), and -ENODATA: the region has no label; -EBADMSG: the label is bad;
 * -ENOENT: no partition has this name; -EOPNOTSUPP: the partition has unknown flags, or is not
 * whole pages of this machine; -EACCES: the caller may open neither the region nor, in a guest,
 * a node of this partition.
 */
int ivshmem_open_partition(struct ivshmem **handle, const char *path, const char *name,
			   unsigned int flags);

/*
 * Mappings stay valid; remove them by ivshmem_unmap() before or munmap() after this.
 * Channels and objects of ivshmem_sync.h work on, and keep the connection or the device
 * open until the last one is closed.
 */
void ivshmem_close(struct ivshmem *handle);

/* -ENODEV: the device or the server is gone. */
int ivshmem_get_properties_sized(struct ivshmem *handle, struct ivshmem_properties *out,
				 size_t size);
static inline int ivshmem_get_properties(struct ivshmem *handle,
					 struct ivshmem_properties *out)
{
	return ivshmem_get_properties_sized(handle, out, sizeof(*out));
}

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
 * On a file also -EAGAIN: this program has no slot now; -ESTALE: the region has another label.
 *
 * -EINVAL: peer over 65535 or vector over 255; -EACCES: opened read-only;
 * -EOPNOTSUPP: no doorbells; -ENODEV: the device or the server is gone. On the host, a
 * peer that is known by then has been rung all the same.
 */
int ivshmem_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector);

struct ivshmem_wait_options {
	uint32_t flags;		/* IVSHMEM_WAIT_* */
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
 * -EOPNOTSUPP: no doorbells; -ENODEV: the device or the server is gone (doorbells that
 * have arrived are reported first); -EUSERS: too many sleepers on a guest.
 */
int ivshmem_wait_sized(struct ivshmem *handle,
		       const struct ivshmem_wait_options *options, size_t options_size,
		       struct ivshmem_wait_result *result, size_t result_size);
static inline int ivshmem_wait(struct ivshmem *handle,
			       const struct ivshmem_wait_options *options,
			       struct ivshmem_wait_result *result)
{
	return ivshmem_wait_sized(handle, options, sizeof(*options), result,
				  sizeof(*result));
}

/*
 * ivshmem_ring_wait - ring, then wait; on a guest, in one system call
 *
 * After -EINTR, -ETIMEDOUT and -EUSERS the doorbell has been rung: continue with
 * ivshmem_wait(), with an absolute timeout (IVSHMEM_WAIT_ABSTIME) if there is one. After
 * other errors of ivshmem_ring() or ivshmem_wait() there is nothing to continue. After -EBUSY
 * nothing has been rung, as the device of this guest was being reset until the time was over or
 * a signal came: call this again.
 */
int ivshmem_ring_wait_sized(struct ivshmem *handle, uint32_t peer, uint32_t vector,
			    const struct ivshmem_wait_options *options,
			    size_t options_size, struct ivshmem_wait_result *result,
			    size_t result_size);
static inline int ivshmem_ring_wait(struct ivshmem *handle, uint32_t peer, uint32_t vector,
				    const struct ivshmem_wait_options *options,
				    struct ivshmem_wait_result *result)
{
	return ivshmem_ring_wait_sized(handle, peer, vector, options, sizeof(*options),
				       result, sizeof(*result));
}

/*
 * ivshmem_eventfd - a descriptor that becomes readable when @vector is signalled
 *
 * Returns a new descriptor, non-blocking and close-on-exec, which the caller closes. All
 * of a vector and handle are the same eventfd: they consume each other's events, on the
 * host also those of ivshmem_wait() on the same vector.
 *
 * -EINVAL: no such vector; -EOPNOTSUPP: no doorbells.
 */
int ivshmem_eventfd(struct ivshmem *handle, uint32_t vector);

/*
 * ivshmem_fd - a descriptor for poll() and epoll that tells of peers and of the end
 *
 * It is readable (POLLIN) when peers have arrived or left since the last call of
 * ivshmem_peers(), and from when the device or the server is gone. So a loop that calls
 * ivshmem_peers(), then polls without a timeout, misses nothing. On a guest whose region has
 * no peer area it is readable when the device is gone, and after ivshmem_peer_gone(). It can be
 * readable spuriously. It says nothing about doorbells: poll an ivshmem_eventfd() as well. The
 * handle owns the descriptor: do not read from or close it.
 *
 * -EMFILE: out of descriptors.
 */
int ivshmem_fd(struct ivshmem *handle);

/*
 * ivshmem_peers - list the other peers
 * @ids: array of @max ids, filled in ascending order
 *
 * Returns the number of other peers, which may exceed @max. Devices and files report those that
 * have a slot in the peer area of the region's label, as it was when the handle was opened.
 * -EOPNOTSUPP: there was, or is, no peer area;
 * -ENODEV: the device or the server is gone.
 */
int ivshmem_peers(struct ivshmem *handle, uint32_t *ids, size_t max);

/* struct ivshmem_peer.kind */
enum ivshmem_kind {
	IVSHMEM_KIND_UNKNOWN,	/* servers do not say it */
	IVSHMEM_KIND_GUEST,	/* a machine */
	IVSHMEM_KIND_PROGRAM,	/* a program on the host */
	IVSHMEM_KIND_SERVER,	/* the server on the host */
};

#define IVSHMEM_SLOT_NONE	0xffffffffU

/* A peer as it describes itself: a stranger can write anything. */
struct ivshmem_peer {
	uint32_t id;		/* what ivshmem_ring() takes */
	uint32_t slot;		/* in the peer area, or IVSHMEM_SLOT_NONE */
	uint32_t kind;		/* enum ivshmem_kind, or what a later version knows */
	int self;		/* it is this program, or this machine */
	uint64_t owner;		/* random, unlike that of any peer before; 0: unknown */
	uint64_t generation;	/* of the slot: one more with each owner */
	uint64_t silent_ns;	/* since it was last heard of */
	char name[40];		/* any bytes; ends with 0; empty: unknown */
};

/*
 * ivshmem_list_peers - list all who are present, also this program or machine
 * @peers: array of @max, filled by rising slots or, with a server, ids
 *
 * Returns the number of peers, which may exceed @max. A server tells nothing but ids. Unlike
 * ivshmem_peers(), this takes no news from ivshmem_fd(). -EOPNOTSUPP: there is no peer area;
 * -ENODEV: the device or the server is gone.
 */
int ivshmem_list_peers_sized(struct ivshmem *handle, struct ivshmem_peer *peers, size_t size,
			     size_t max);
static inline int ivshmem_list_peers(struct ivshmem *handle, struct ivshmem_peer *peers,
				     size_t max)
{
	return ivshmem_list_peers_sized(handle, peers, sizeof(*peers), max);
}

/*
 * ivshmem_peer_gone - report that a peer has disconnected
 *
 * For guests, which get no report from a server, and for mutexes whose owner is only known to be
 * silent: a program that learns about it, from a machine manager for example, so ends its
 * channels with that peer and gets the mutexes
 * that it knows the peer to hold (ivshmem_sync.h). A later peer with the same id is not
 * affected.
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
