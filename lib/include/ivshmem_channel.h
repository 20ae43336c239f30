/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Channels: messages between two ends over a range of the region
 *
 * One end creates the channel, the other attaches to it; each is on any machine
 * that has the region, a guest or the host. In each direction there is a ring
 * with one producer and one consumer. Messages arrive whole, in order and once,
 * or, if an end goes away before they were received, not at all.
 *
 * A call that waits looks again and again for a while, then sleeps until the
 * other end rings. Nobody rings an end that is awake.
 *
 * Threads. One thread may send while another receives; two that send, or two
 * that receive, must take turns. Nothing may run beside ivshmem_channel_close().
 *
 * Deadlines. 0: do not wait; IVSHMEM_FOREVER; else nanoseconds of
 * CLOCK_MONOTONIC, as ivshmem_after() gives them.
 *
 * The other end may close, die or be replaced at any time. What it committed
 * before can still be received. Then a call in one of the two directions tells
 * it, once, by -EPIPE or -ECONNRESET; what is left of that end in the other
 * direction is dropped. Calls after that wait for the next one.
 *
 * Errors that all calls may give which have a deadline:
 *   -EAGAIN      the deadline is 0, and there is nothing (or no room) now
 *   -ETIMEDOUT   the deadline passed
 *   -EINTR       a signal came while asleep
 *   -EPIPE       the other end has closed, or its machine has left
 *   -ECONNRESET  the other end has started anew
 *   -ESTALE      another program has taken this end, or the channel was created
 *                anew with another geometry: close it, and attach again
 *   -EPROTO      the other end has written nonsense: the channel cannot be used
 *                any more, close it
 *   -ENODEV      the device is gone, or the server
 */
#ifndef IVSHMEM_CHANNEL_H
#define IVSHMEM_CHANNEL_H

#include <ivshmem.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One end of a channel. */
struct ivshmem_channel;

/* The range's first bytes are for control, the rest is for the two rings. */
#define IVSHMEM_CHANNEL_CONTROL	4096
/* A message of n bytes takes n rounded up to 8, and 8; a ring has 8 more. */
#define IVSHMEM_CHANNEL_OVERHEAD	16

struct ivshmem_channel_options {
	/*
	 * Where in the region, and bytes: multiples of 128. Both ends give the
	 * same; who attaches may give size 0 to take what was created.
	 */
	uint64_t offset;
	uint64_t size;
	/*
	 * Creator only: bytes of the ring that it sends by, a multiple of 128
	 * from 256; the rest is for the other direction. 0: half and half.
	 */
	uint64_t send_size;
	/*
	 * The own vector by which the other end wakes this one. Channels may
	 * share it, but one whose descriptor is polled wants its own.
	 */
	uint32_t vector;
	uint32_t reserved;	/* 0 */
	/*
	 * How long to look before sleeping, at most: nanoseconds up to 1 s, to
	 * which one for each byte of the message is added; 0:
	 * IVSHMEM_CHANNEL_SPIN; negative: do not look, sleep. Where looking
	 * does not pay, the time gets shorter by itself.
	 */
	int64_t spin_ns;
	uint64_t reserved_too[3];	/* 0 */
};

/* More than a sleep and a doorbell cost, even under emulation. */
#define IVSHMEM_CHANNEL_SPIN	200000

/*
 * ivshmem_channel_create - make a channel, or the creator's end of it anew
 *
 * Does not wait for the other end. If there was one in this place with the same
 * geometry, who is attached goes on with the new creator. Anything else in the
 * range is overwritten.
 *
 * -EINVAL: a field out of range as written above, or the range beyond the end
 * of the region; -EACCES: the handle is read-only; -EOPNOTSUPP: the device's
 * memory is not mapped write-back (parameter cache=).
 */
int ivshmem_channel_create(struct ivshmem *handle,
			   const struct ivshmem_channel_options *options,
			   struct ivshmem_channel **channel);

/*
 * ivshmem_channel_attach - be the other end of a channel
 * @deadline: how long to wait for it to be created
 *
 * The creator need not be there any more, or yet again.
 *
 * -ENOENT: no channel there by the deadline; -EPROTONOSUPPORT: one of another
 * version of the library, or of a machine of other byte order; -EMSGSIZE: its
 * size is not @options' size; -EBADMSG: its geometry makes no sense; else as
 * ivshmem_channel_create().
 */
int ivshmem_channel_attach(struct ivshmem *handle,
			   const struct ivshmem_channel_options *options,
			   int64_t deadline, struct ivshmem_channel **channel);

/*
 * Say good-bye and free everything, the descriptor as well. What was committed
 * can still be received. NULL is allowed.
 */
void ivshmem_channel_close(struct ivshmem_channel *channel);

struct ivshmem_channel_properties {
	uint64_t size;		/* of the range, bytes */
	uint64_t send_max;	/* bytes of the largest message to send */
	uint64_t receive_max;	/* and to receive */
	uint64_t rings;		/* doorbells this end has rung so far */
	uint64_t sleeps;	/* and how often it has slept */
};

void ivshmem_channel_properties(struct ivshmem_channel *channel,
				struct ivshmem_channel_properties *out);

/* ivshmem_channel_commit() and ivshmem_channel_send() flags */
#define IVSHMEM_MORE	(1U << 0)	/* show it with the next, or by flush */

/*
 * ivshmem_channel_reserve - room for a message, to be written in place
 * @size: bytes, 0 to struct ivshmem_channel_properties.send_max
 * @message: becomes the room's address, a multiple of 8
 *
 * Reserving again before committing takes the earlier one back. Messages held
 * by IVSHMEM_MORE are shown before the call waits.
 *
 * -EMSGSIZE: larger than send_max.
 */
int ivshmem_channel_reserve(struct ivshmem_channel *channel, size_t size,
			    void **message, int64_t deadline);

/*
 * ivshmem_channel_commit - send what was written
 * @size: bytes, up to what was reserved
 * @flags: IVSHMEM_MORE or 0
 *
 * -EINVAL: nothing, or less, was reserved, or unknown flag.
 */
int ivshmem_channel_commit(struct ivshmem_channel *channel, size_t size,
			   unsigned int flags);

/* Show all that IVSHMEM_MORE has held. */
void ivshmem_channel_flush(struct ivshmem_channel *channel);

/*
 * ivshmem_channel_peek - look at the next message where it is
 * @message: becomes its address, a multiple of 8
 * @size: becomes its bytes
 *
 * It stays until ivshmem_channel_release(); until then peeking again gives the
 * same. The other end can still write to it: check a copy, not the message.
 */
int ivshmem_channel_peek(struct ivshmem_channel *channel, const void **message,
			 size_t *size, int64_t deadline);

/* Done with that message. -EINVAL: there is none. */
int ivshmem_channel_release(struct ivshmem_channel *channel);

/*
 * ivshmem_channel_send - reserve, copy and commit
 * ivshmem_channel_recv - peek, copy and release; gives the message's bytes
 *
 * -EMSGSIZE: larger than send_max, or than @room: it can be received still.
 */
int ivshmem_channel_send(struct ivshmem_channel *channel, const void *data,
			 size_t size, unsigned int flags, int64_t deadline);
int64_t ivshmem_channel_recv(struct ivshmem_channel *channel, void *buffer,
			     size_t room, int64_t deadline);

/*
 * ivshmem_channel_fd - a descriptor for poll() and epoll
 *
 * It becomes readable (POLLIN) when a call that gave -EAGAIN may succeed, for
 * both directions, and sometimes without cause. So call with deadline 0 until
 * -EAGAIN, then poll, with a timeout of a second or some: that the other's machine
 * has died is seen by calls alone, and a doorbell that comes while one of the two
 * joins can get lost. It is the channel's: do not read from it nor close it.
 *
 * -EOPNOTSUPP: no doorbells here; -EMFILE: no descriptor is left.
 */
int ivshmem_channel_fd(struct ivshmem_channel *channel);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_CHANNEL_H */
