/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A stream of bytes from one side to the other through part of the region, as
 * send and recv use it: the layout in shared memory, and the calls.
 *
 * The part (the "window") begins with two blocks of words. Each block is
 * written by one side only and read by the other:
 *
 *	offset 0	struct stream_block, written by the sender
 *	offset 128	struct stream_block, written by the receiver
 *	offset 4096	the ring of data up to the window's end, written by the
 *			sender; byte n of the stream is at n modulo its size
 *
 * All words are little-endian and naturally aligned. The other side's words
 * are read once, by atomic loads, and checked before they are used.
 *
 * Meeting. A side clears its block, draws a random number and publishes it as
 * "hello". It copies the hello it finds in the other block into its own "echo".
 * Who finds its own, fresh hello in the other's echo knows that the other lives
 * now: old contents of the region can't know that number. From then on a
 * changed hello means that somebody else took the other side's place.
 *
 * Streaming. "position" counts the bytes put in by the sender, and taken out
 * by the receiver. The sender ends with STREAM_END and the checksum, the
 * receiver answers with its verdict and its own checksum, and stays until the
 * sender's STREAM_BYE, so that the verdict is not overwritten unread.
 *
 * Waking. Whoever changes a word adds one to its "changes" and then rings the
 * other side's doorbell, if that says that it is "waiting". The waiting side
 * sleeps as long as the other's "changes" stays what it was before it looked.
 * A side that is held up by its own file adds to "changes" four times a second
 * to show that it lives.
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
	STREAM_OPEN	= 1,	/* both: from the beginning on */
	STREAM_END	= 2,	/* sender: position and checksum are final */
	STREAM_GOOD	= 3,	/* receiver: all arrived, the checksums agree */
	STREAM_BAD	= 4,	/* receiver: they do not */
	STREAM_BYE	= 5,	/* sender: has seen the verdict */
	STREAM_GIVEN_UP	= 6,	/* both: stopped before the end */
};

struct stream_block {
	/* Set while meeting. */
	uint64_t hello;		/* 0: random number of this run; 0: not ready */
	uint64_t echo;		/* 8: the other side's hello, once seen */
	uint32_t format;	/* 16: STREAM_FORMAT */
	uint32_t id;		/* 20: whom to ring; STREAM_NO_DOORBELL */
	uint64_t window;	/* 24: bytes of the window, both must agree */
	uint64_t total;		/* 32: sender: bytes to come; STREAM_UNKNOWN */
	uint64_t reserved[3];	/* 40: zero */
	/* Change all the time. */
	uint32_t changes;	/* 64: other than before whenever a word changed */
	uint32_t waiting;	/* 68: not zero: ring after a change */
	uint32_t state;		/* 72: enum stream_state */
	uint32_t reserved2;	/* 76: zero */
	uint64_t position;	/* 80: bytes put in, or taken out */
	uint64_t checksum;	/* 88: XXH64 of them, with END, GOOD and BAD */
	uint64_t reserved3[4];	/* 96: zero */
};

static_assert(sizeof(struct stream_block) == 128, "layout");
static_assert(offsetof(struct stream_block, changes) == 64, "layout");
static_assert(offsetof(struct stream_block, checksum) == 88, "layout");

#define STREAM_RECEIVER_BLOCK	128
#define STREAM_DATA		4096
/* The blocks and as much data. */
#define STREAM_MIN_WINDOW	8192

/* What a side has read of the other's block and checked. */
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
	uint64_t hello;			/* what @mine->hello has to be */
	uint64_t other_hello;
	uint32_t other_id;
	uint32_t changes;		/* own */
	uint64_t position;		/* own */
	struct stream_view view;	/* the other's */
	int64_t timeout_ns;		/* of inactivity; IVSHMEM_FOREVER */
	int64_t active_ns;		/* when one of us was last seen to act */
	XXH64_state_t hash;		/* of the bytes up to @position */
};

/*
 * All of these give 0 or a negative errno:
 *   -ETIMEDOUT	 the other side did nothing for the timeout
 *   -EINTR	 the user stops the program
 *   -ESTALE	 somebody else took this or the other side's place
 *   -ECANCELED	 the other side gave up
 *   -EBADMSG	 the checksums differ
 *   -EPROTO	 the other side's words make no sense
 *   -EMSGSIZE	 the other side uses a window of another size
 *   -EFAULT	 (by the caller's system calls) the memory is gone
 * or what ivshmem_wait() gives. stream_complain() says it to the user.
 */
enum exit_code stream_open(struct stream *stream, const struct device *device,
			   bool sending, uint64_t offset, uint64_t window);
void stream_close(struct stream *stream);
enum exit_code stream_complain(const struct stream *stream, int error);

/* Meet the other side; @total is the sender's, and of no meaning to a receiver. */
int stream_meet(struct stream *stream, uint64_t total);
/* What the sender said; only good for showing progress. */
uint64_t stream_total(const struct stream *stream);

/*
 * Wait for room (sender) or data (receiver): *@bytes at *@start, at most a
 * chunk. No bytes and no error: the receiver has everything.
 */
int stream_wait(struct stream *stream, uint8_t **start, size_t *bytes);

/*
 * Bytes from where stream_wait() said were put in, or taken out. The checksum is
 * made of what lies in the region, which saves a copy: whoever else writes there
 * is found out unless it does so between the two uses of the same bytes.
 */
void stream_advance(struct stream *stream, size_t bytes);

/* Exchange checksums after the last byte. */
int stream_finish(struct stream *stream);
uint64_t stream_checksum(const struct stream *stream);

/* Tell the other side that no more will come. */
void stream_give_up(struct stream *stream);

/* Between these the own file may hold this side up; the other side knows. */
void stream_busy(struct stream *stream);
void stream_idle(void);

#endif /* CTL_STREAM_H */
