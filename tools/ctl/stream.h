/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A byte stream from one side to the other through part of the region, for send
 * and recv: layout in shared memory, protocol and functions.
 *
 * The part (the "window") starts with two blocks of words. Each is written by one
 * side and read by the other:
 *
 *	offset 0	struct stream_block, written by the sender
 *	offset 128	struct stream_block, written by the receiver
 *	offset 4096	a circular buffer up to the window's end, written by the
 *			sender; byte n of the stream is at n modulo its size
 *
 * All words are little-endian and naturally aligned. Each side reads the other's
 * words once, by atomic loads, and checks them before use.
 *
 * Handshake. Each side initializes its block and publishes a random number as
 * "hello". It copies the other side's hello to its own "echo". A side that reads its
 * own hello in the other's echo knows that the other is alive, because stale
 * contents of the region cannot contain that number. From then on, a different
 * hello means that another program has replaced the other side.
 *
 * Streaming. "position" counts the bytes that the sender has written or the
 * receiver has read. The sender finishes with STREAM_END and its checksum. The
 * receiver answers with its verdict and its own checksum and stays until
 * STREAM_BYE, so that the next receiver does not overwrite the verdict unread.
 *
 * Wakeups. After changing a word, a side increments its "changes" and rings the
 * other side's doorbell if that is "waiting". The waiting side sleeps while the
 * other's "changes" is unchanged since it read the words. A side that is blocked
 * in file I/O increments "changes" four times a second as a sign of life.
 */
#ifndef CTL_STREAM_H
#define CTL_STREAM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ctl.h"

#define STREAM_FORMAT		0x31767369	/* "isv1" */
#define STREAM_NO_DOORBELL	0xffffffff	/* stream_block.id */
#define STREAM_UNKNOWN		UINT64_MAX	/* stream_block.total */

/* stream_block.state */
enum stream_state {
	STREAM_OPEN	= 1,	/* both: initial state */
	STREAM_END	= 2,	/* sender: position and checksum are final */
	STREAM_GOOD	= 3,	/* receiver: complete, checksums match */
	STREAM_BAD	= 4,	/* receiver: checksum mismatch */
	STREAM_BYE	= 5,	/* sender: has read the verdict */
	STREAM_GIVEN_UP	= 6,	/* both: aborted */
};

struct stream_block {
	/* Set during the handshake. */
	uint64_t hello;		/* 0: random number of this session; 0: not ready */
	uint64_t echo;		/* 8: copy of the other side's hello */
	uint32_t format;	/* 16: STREAM_FORMAT */
	uint32_t id;		/* 20: peer to ring or STREAM_NO_DOORBELL */
	uint64_t window;	/* 24: bytes of the window, must match */
	uint64_t total;		/* 32: sender: bytes to come; STREAM_UNKNOWN */
	uint64_t reserved[3];	/* 40: zero */
	/* Updated during the transfer. */
	uint32_t changes;	/* 64: incremented after any change */
	uint32_t waiting;	/* 68: nonzero: ring after a change */
	uint32_t state;		/* 72: enum stream_state */
	uint32_t reserved2;	/* 76: zero */
	uint64_t position;	/* 80: bytes written or read */
	uint64_t checksum;	/* 88: XXH64 of them, with END, GOOD and BAD */
	uint64_t reserved3[4];	/* 96: zero */
};

static_assert(sizeof(struct stream_block) == 128, "layout");
static_assert(offsetof(struct stream_block, changes) == 64, "layout");
static_assert(offsetof(struct stream_block, checksum) == 88, "layout");

#define STREAM_RECEIVER_BLOCK	128
#define STREAM_DATA		4096
/* The blocks and an equal amount of data. */
#define STREAM_MIN_WINDOW	8192

/* The other side's words, read once and checked. */
struct stream_view {
	uint32_t state;
	uint64_t position;
	uint64_t checksum;
};

struct stream {
	const struct device *device;
	struct mapping mapping;
	uint64_t offset;		/* of the window in the region */
	uint64_t window;
	uint8_t *data;
	uint64_t capacity;		/* bytes at @data */
	bool sending;
	struct stream_block *mine;
	struct stream_block *other;
	uint64_t hello;			/* expected value of @mine->hello */
	uint64_t other_hello;
	uint32_t other_id;
	uint32_t changes;		/* own */
	uint64_t position;		/* own */
	struct stream_view view;	/* the other's */
	int64_t timeout_ns;		/* of inactivity; IVSHMEM_FOREVER */
	int64_t active_ns;		/* last activity of either side */
	XXH64_state_t hash;		/* of the bytes up to @position */
};

/*
 * All of these return 0 or a negative errno:
 *   -ETIMEDOUT	 no activity of the other side within the timeout
 *   -EINTR	 the user has stopped the program
 *   -ESTALE	 another program has replaced this or the other side
 *   -ECANCELED	 the other side gave up
 *   -EBADMSG	 checksum mismatch
 *   -EPROTO	 invalid words from the other side
 *   -EMSGSIZE	 the other side's window has another size
 *   -EFAULT	 (from the caller's system calls) the memory is gone
 * or an error of ivshmem_wait(). stream_complain() prints them.
 */
enum exit_code stream_open(struct stream *stream, const struct device *device,
			   bool sending, uint64_t offset, uint64_t window);
void stream_close(struct stream *stream);
enum exit_code stream_complain(const struct stream *stream, int error);

/* Handshake. @total: bytes to send, ignored for a receiver. */
int stream_handshake(struct stream *stream, uint64_t total);
/* The sender's @total, unverified: for progress output only. */
uint64_t stream_total(const struct stream *stream);

/*
 * Wait for room (sender) or data (receiver): *@bytes at *@start, at most a chunk.
 * *@bytes is 0 at the end of the stream.
 */
int stream_wait(struct stream *stream, uint8_t **start, size_t *bytes);

/*
 * Commit bytes written to or read from *@start. The checksum is computed in the
 * region, which saves a copy: it misses another program's write only between the
 * two accesses to the same bytes.
 */
void stream_advance(struct stream *stream, size_t bytes);

/* Exchange checksums after the last byte. */
int stream_finish(struct stream *stream);
uint64_t stream_checksum(const struct stream *stream);

/* Abort: the other side gets -ECANCELED. */
void stream_give_up(struct stream *stream);

/* Between these two, SIGALRM shows that this side is alive though its file blocks. */
void stream_busy(struct stream *stream);
void stream_idle(void);

#endif /* CTL_STREAM_H */
