/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A byte stream from one side to the other, for send and recv: messages of a channel
 * (ivshmem_channel.h) in part of the region. The sender creates the channel, the
 * receiver attaches to it. Either can be there first, and find what another transfer
 * has left: the channel knows which end is alive.
 *
 * Each side begins with STREAM_HELLO. Then the sender sends STREAM_DATA and, last,
 * STREAM_END with the number of bytes and their checksum. A stream without it is
 * incomplete. The receiver answers with STREAM_VERDICT: what it has got. A side that is
 * blocked in file I/O sends STREAM_BEAT as a sign of life, and one that gives up says so
 * by STREAM_QUIT.
 *
 * Numbers are in the byte order of the machines. A channel has ends of one order only.
 */
#ifndef CTL_STREAM_H
#define CTL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ctl.h"
#include "ivshmem_channel.h"
#include "progress.h"

/* Upper half of stream_message.kind: other programs use channels as well. */
#define STREAM_FORMAT		0x32767369	/* "isv2" */
#define STREAM_UNKNOWN		UINT64_MAX	/* bytes of a HELLO */

enum stream_kind {
	STREAM_HELLO	= 1,	/* bytes: from the sender, how many will come */
	STREAM_DATA	= 2,	/* struct stream_data; all others: struct stream_note */
	STREAM_BEAT	= 3,
	STREAM_END	= 4,	/* bytes and checksum of the whole stream */
	STREAM_VERDICT	= 5,	/* the same, as received */
	STREAM_QUIT	= 6,	/* the side gives up */
	STREAM_MISMATCH	= 7,	/* the receiver has other --offset or --size */
};

/* Small enough for the caches, and for both sides to work in parallel. */
#define STREAM_CHUNK		((size_t)256 << 10)

struct stream_note {
	uint64_t kind;		/* STREAM_FORMAT << 32 | enum stream_kind */
	uint64_t bytes;
	uint64_t checksum;	/* XXH64 */
};

/* STREAM_DATA. */
struct stream_data {
	uint64_t kind;
	uint8_t bytes[STREAM_CHUNK];
};

/* The control area, 512 bytes for the receiver's messages, and the data. */
#define STREAM_MIN_WINDOW	8192

struct stream {
	const struct device *device;
	struct ivshmem_channel *channel;
	uint64_t offset;		/* of the channel in the region */
	uint64_t window;		/* its size */
	bool sending;
	size_t chunk;			/* bytes of data in a message, at most */
	int64_t timeout_ns;		/* of inactivity; IVSHMEM_FOREVER */
	int64_t active_ns;		/* last activity of either side */
	int64_t beat_ns;		/* last message sent */
	uint64_t position;		/* bytes sent or received */
	struct progress progress;
	uint64_t total;			/* bytes to come; STREAM_UNKNOWN */
	XXH64_state_t hash;		/* of the bytes up to @position */
	union {
		struct stream_note note;
		struct stream_data data;
	} in;				/* the last message received */
	size_t in_size;
	struct stream_data out;
};

/*
 * All of these return 0 or a negative errno:
 *   -ETIMEDOUT	 no activity of the other side within the timeout
 *   -EINTR	 the user has stopped the program
 *   -EPIPE	 the other side is gone
 *   -ECONNRESET another program has replaced the other side
 *   -ESTALE	 another program has replaced this side
 *   -ECANCELED	 the other side gave up
 *   -EBADMSG	 checksum mismatch
 *   -EPROTO	 invalid messages from the other side
 *   -EMSGSIZE	 the other side's window has another size
 *   -ENODEV	 the device or the server is gone
 * or another error of the channel. stream_complain() prints them.
 */
enum exit_code stream_open(struct stream *stream, const struct device *device,
			   bool sending, uint64_t offset, uint64_t window);
void stream_close(struct stream *stream);
enum exit_code stream_complain(const struct stream *stream, int error);

/* Draw how far the stream is, and that it waits for @awaited or, if NULL, the other side. */
void stream_show(struct stream *stream, const char *awaited);

/* Wait for the other side. @total: bytes to send, ignored for a receiver. */
int stream_handshake(struct stream *stream, uint64_t total);

/* Send @bytes that are in @out.bytes, up to @chunk. */
int stream_put(struct stream *stream, size_t bytes);

/* Wait for data: *@bytes in @in.data.bytes; 0 at the end of the stream. */
int stream_get(struct stream *stream, size_t *bytes);

/* Count bytes of these as received. */
void stream_advance(struct stream *stream, const uint8_t *data, size_t bytes);

/*
 * To be called in file I/O that takes long, at each signal (interrupt_calls() has them
 * come), and after it: tells the other side that this one is alive, and hears whether
 * that one has given up.
 */
int stream_beat(struct stream *stream);

/* Exchange checksums after the last byte. */
int stream_finish(struct stream *stream);
uint64_t stream_checksum(const struct stream *stream);

/* Abort: the other side gets -ECANCELED. */
void stream_give_up(struct stream *stream);

#endif /* CTL_STREAM_H */
