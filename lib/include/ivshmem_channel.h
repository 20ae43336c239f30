/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Channels: messages between two ends over a range of the region
 *
 * One end creates the channel, the other attaches to it; each is on any machine that
 * has the region, a guest or the host. Each direction has a buffer with one producer
 * and one consumer. Messages arrive complete, in order and once or, if an end goes away
 * before it has received them, not at all.
 *
 * A call that waits spins for a while, then sleeps until the other end rings. An end
 * that is awake is not rung.
 *
 * Threads. One thread can send while another receives. Serialize senders, and
 * receivers. No other call may run concurrently with ivshmem_channel_close().
 *
 * Deadlines. 0: do not wait; IVSHMEM_FOREVER; else nanoseconds of
 * CLOCK_MONOTONIC, as returned by ivshmem_after().
 *
 * The other end can close, die or be replaced at any time. Messages that it committed
 * before can still be received. Then one call, in either direction, returns -EPIPE or
 * -ECONNRESET; later calls wait for the successor. If a call that sends returns it while
 * messages are left, a call that receives returns it as well, behind them.
 *
 * Errors of all calls with a deadline:
 *   -EAGAIN      the deadline is 0, and there is no message (or no space)
 *   -ETIMEDOUT   the deadline passed
 *   -EINTR       interrupted by a signal
 *   -EPIPE       the other end has closed, or its peer has disconnected or is silent
 *   -ECONNRESET  the other end has restarted
 *   -ESTALE      another program has taken over this end, or the channel was recreated
 *                with another geometry: close it and attach again
 *   -EPROTO      the other end has written invalid data: the channel is unusable, close it
 *   -ENODEV      the device or the server is gone
 *   -EUSERS      too many sleepers on a guest
 *   -ESHUTDOWN   ivshmem_channel_shutdown() was called
 *
 * With deadline 0 an end that polls ivshmem_channel_fd() gets these at once. So does one
 * that only calls again and again, unless it makes thousands of calls a second: these
 * look at the clock after up to 128 messages that found room, or calls that found nothing,
 * and, on the host, ask the server if it has not been asked for a millisecond. What another call
 * on the handle has heard, and ivshmem_peer_gone(), count from the next call on. -ENODEV
 * comes only once there is nothing to receive or no room: messages do not need the server.
 *
 * A child of fork() gets -EPERM. Only closing is allowed there; the parent's end stays open.
 */
#ifndef IVSHMEM_CHANNEL_H
#define IVSHMEM_CHANNEL_H

#include <ivshmem.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One end of a channel. */
struct ivshmem_channel;

/* Channels that one thread waits for. */
struct ivshmem_channel_set;

/* Control area at the start of the range; the rest is for the two buffers. */
#define IVSHMEM_CHANNEL_CONTROL	4096
/* A message of n bytes takes 8 plus n rounded up to 8; a buffer has 8 more. */
#define IVSHMEM_CHANNEL_OVERHEAD	16

struct ivshmem_channel_options {
	/*
	 * Range of the region, in multiples of 128 bytes, the same for both ends. To attach,
	 * size can be 0: that of the creator.
	 */
	uint64_t offset;
	uint64_t size;
	/*
	 * Creator only: size of its send buffer, a multiple of 128, at least 256; the rest
	 * is for the other direction. 0: half and half.
	 */
	uint64_t send_size;
	/*
	 * The own vector by which the other end wakes this one. Channels can share it. An
	 * ivshmem_eventfd() of it takes their doorbells when it is read.
	 */
	uint32_t vector;
	uint32_t reserved;	/* 0 */
	/*
	 * How long to spin before sleeping, at most: nanoseconds up to 1 s, plus 1 ns per
	 * byte of the message; 0: IVSHMEM_CHANNEL_SPIN; negative: do not spin. If spinning
	 * does not pay off, the time decreases automatically.
	 */
	int64_t spin_ns;
	/* With a set the channel is woken by that, and @vector has no meaning. Or NULL. */
	struct ivshmem_channel_set *set;
};

/* More than the cost of a sleep and a doorbell, even under emulation. */
#define IVSHMEM_CHANNEL_SPIN	200000

/*
 * ivshmem_channel_create - create a channel, or take over the creator's end
 *
 * Does not wait for the other end. If the range has a channel of the same geometry, an
 * attached end continues with the new creator. Anything else in the range is
 * overwritten.
 *
 * -EINVAL: a field out of range as described above, or a range beyond the end
 * of the region; -EACCES: the handle is read-only; -EOPNOTSUPP: the device's
 * memory is not mapped write-back (parameter cache=); -ENOSPC: the set is full.
 */
int ivshmem_channel_create_sized(struct ivshmem *handle,
				 const struct ivshmem_channel_options *options,
				 size_t options_size, struct ivshmem_channel **channel);
static inline int ivshmem_channel_create(struct ivshmem *handle,
					 const struct ivshmem_channel_options *options,
					 struct ivshmem_channel **channel)
{
	return ivshmem_channel_create_sized(handle, options, sizeof(*options), channel);
}

/*
 * ivshmem_channel_attach - attach to the other end of a channel
 * @deadline: how long to wait for it to be created
 *
 * The creator may be gone.
 *
 * -ENOENT: no channel by the deadline; -EPROTONOSUPPORT: created by another version of
 * the library or in another byte order; -EMSGSIZE: its size is not that of @options;
 * -EBADMSG: invalid geometry; else as ivshmem_channel_create().
 */
int ivshmem_channel_attach_sized(struct ivshmem *handle,
				 const struct ivshmem_channel_options *options,
				 size_t options_size, int64_t deadline,
				 struct ivshmem_channel **channel);
static inline int ivshmem_channel_attach(struct ivshmem *handle,
					 const struct ivshmem_channel_options *options,
					 int64_t deadline, struct ivshmem_channel **channel)
{
	return ivshmem_channel_attach_sized(handle, options, sizeof(*options), deadline,
					    channel);
}

/*
 * Close the channel and free everything, including the descriptor. Committed messages
 * can still be received, also those held back by IVSHMEM_MORE. NULL is allowed.
 */
void ivshmem_channel_close(struct ivshmem_channel *channel);

/*
 * End the use of this end: calls of other threads that wait return -ESHUTDOWN, as do all
 * later ones, and the other end gets -EPIPE. Committed messages can still be received
 * there. Any thread may call it, and none may close the channel before the others'
 * calls have returned.
 */
void ivshmem_channel_shutdown(struct ivshmem_channel *channel);

struct ivshmem_channel_properties {
	uint64_t size;		/* of the range, bytes */
	uint64_t send_max;	/* bytes of the largest message to send */
	uint64_t receive_max;	/* and to receive */
	uint64_t rings;		/* doorbells this end has rung so far */
	uint64_t sleeps;	/* how often this end has slept */
};

void ivshmem_channel_get_properties_sized(struct ivshmem_channel *channel,
					  struct ivshmem_channel_properties *out,
					  size_t size);
static inline void ivshmem_channel_get_properties(struct ivshmem_channel *channel,
						  struct ivshmem_channel_properties *out)
{
	ivshmem_channel_get_properties_sized(channel, out, sizeof(*out));
}

/* ivshmem_channel_commit() and ivshmem_channel_send() flags */
#define IVSHMEM_MORE	(1U << 0)	/* publish with the next or by flush */

/*
 * ivshmem_channel_reserve - reserve space for a message
 * @size: bytes, 0 to struct ivshmem_channel_properties.send_max
 * @message: set to the address of the space, a multiple of 8
 *
 * Another reserve without a commit replaces the first. Messages held back by
 * IVSHMEM_MORE are published before the call waits.
 *
 * -EMSGSIZE: larger than send_max.
 */
int ivshmem_channel_reserve(struct ivshmem_channel *channel, size_t size,
			    void **message, int64_t deadline);

/*
 * ivshmem_channel_commit - send the reserved message
 * @size: bytes, up to the reserved size
 * @flags: IVSHMEM_MORE or 0
 *
 * -EINVAL: nothing or less is reserved, or unknown flag.
 */
int ivshmem_channel_commit(struct ivshmem_channel *channel, size_t size,
			   unsigned int flags);

/* Publish messages held back by IVSHMEM_MORE. */
void ivshmem_channel_flush(struct ivshmem_channel *channel);

/*
 * ivshmem_channel_peek - access the next message in place
 * @message: set to its address, a multiple of 8
 * @size: set to its size in bytes
 *
 * Returns the same message until ivshmem_channel_release(). The other end can still
 * write to it: check a copy, not the message.
 */
int ivshmem_channel_peek(struct ivshmem_channel *channel, const void **message,
			 size_t *size, int64_t deadline);

/* Free the space of the message. -EINVAL: there is none. */
int ivshmem_channel_release(struct ivshmem_channel *channel);

/*
 * ivshmem_channel_send - reserve, copy and commit
 * ivshmem_channel_recv - peek, copy and release; returns the message's size
 *
 * -EMSGSIZE: larger than send_max, or than @room: then it can still be received.
 */
int ivshmem_channel_send(struct ivshmem_channel *channel, const void *data,
			 size_t size, unsigned int flags, int64_t deadline);
int64_t ivshmem_channel_recv(struct ivshmem_channel *channel, void *buffer,
			     size_t room, int64_t deadline);

/*
 * ivshmem_channel_fd - a descriptor for poll() and epoll
 *
 * It becomes readable (POLLIN) when a call in either direction that failed with -EAGAIN
 * may succeed, or fail with another error; sometimes spuriously. Call with deadline 0
 * until -EAGAIN in each direction that the program waits for, then poll, without a
 * timeout. Channels can share a vector, also with calls that wait. The channel owns the
 * descriptor: do not read from or close it.
 *
 * Without doorbells a timer makes it readable, at most every millisecond.
 *
 * -EMFILE: out of descriptors; it takes two of its own, and one per vector; -EBUSY: the
 * channel is in a set.
 */
int ivshmem_channel_fd(struct ivshmem_channel *channel);

/*
 * Sets of channels
 *
 * One descriptor for any number of channels, at a cost that does not grow with their
 * number. The other ends say in a range of the region which channels there is something
 * to do for: a bit for each. They need not know about it. Each program has its own range.
 *
 *	while (poll(&ready, 1, -1) >= 0)
 *		while (!ivshmem_channel_set_next(set, &channel))
 *			... calls with deadline 0 until -EAGAIN
 */

/* A range of the region, for 1023 channels; a multiple of 128 bytes. */
#define IVSHMEM_CHANNEL_SET_SIZE	128

/*
 * ivshmem_channel_set_open - begin to use a range for a set
 * @offset: a multiple of 128
 * @size: a multiple of IVSHMEM_CHANNEL_SET_SIZE; each holds 1024 channels but for the first
 * @vector: the own vector by which the other ends wake this program
 *
 * What the range contains is overwritten. A set without doorbells is looked through at
 * most every millisecond.
 *
 * -EINVAL: a number as described above, or a range beyond the end of the region; -EACCES:
 * the handle is read-only; -EOPNOTSUPP: the device's memory is not mapped write-back;
 * -EMFILE: out of descriptors, of which it takes two.
 */
int ivshmem_channel_set_open(struct ivshmem *handle, uint64_t offset, uint64_t size,
			     uint32_t vector, struct ivshmem_channel_set **set);

/* Its channels keep it until the last one is closed. NULL is allowed. */
void ivshmem_channel_set_close(struct ivshmem_channel_set *set);

/* Readable while ivshmem_channel_set_next() may have one, sometimes spuriously. */
int ivshmem_channel_set_fd(struct ivshmem_channel_set *set);

/*
 * ivshmem_channel_set_next - get a channel for which there may be something to do
 *
 * A call with deadline 0 that gave -EAGAIN may now give something else. Make such calls
 * until -EAGAIN before asking for the next one. One thread at a time may ask, and it is the
 * one that closes channels of the set. Others may create and attach meanwhile.
 *
 * -EAGAIN: none; poll.
 */
int ivshmem_channel_set_next(struct ivshmem_channel_set *set,
			     struct ivshmem_channel **channel);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_CHANNEL_H */
