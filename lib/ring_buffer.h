/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The layout of a channel in shared memory, and the two ends of one ring buffer:
 * what happens for every message. docs/library.md tells why it is as it is.
 *
 * A buffer is a row of records, each a 64-bit header and the message, padded to
 * eight bytes. The header is the only thing that tells of a message: 0 where
 * none is yet. So the producer writes the message and a 0 where the next header
 * will be, and then, last, the header. The consumer tells by a position how far
 * the room is free again. Positions count bytes from the start of a session and
 * never wrap.
 *
 * Whatever the other side writes is read once, and checked.
 *
 * Ordering. The header is stored, and the consumer's word "asleep" loaded after
 * it, with sequential consistency; the consumer stores "asleep" and loads the
 * header in the same way. One of the two sees the other, so that no wake-up is
 * lost, and no fence is needed. All else is release and acquire.
 */
#ifndef IVSHMEM_RING_BUFFER_H
#define IVSHMEM_RING_BUFFER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CHANNEL_MAGIC	UINT64_C(0x6c6e6863766d6873)	/* "shmvchnl" */
#define CHANNEL_VERSION	2
#define CHANNEL_CONTROL	4096	/* bytes before the first buffer */
#define CHANNEL_ALIGN	128	/* what two machines write apart lies apart */
#define CHANNEL_NO_ID	UINT32_MAX	/* this end has no doorbells */

#define BUFFER_HEADER	8	/* bytes before a message; what records align to */
#define BUFFER_OVERHEAD	16	/* a header, and the 0 behind the record */
#define BUFFER_MINIMUM	256
#define BUFFER_MAXIMUM	(UINT64_C(1) << 47)
#define BUFFER_EMPTY	UINT64_C(0)
#define BUFFER_PAD	UINT64_MAX	/* nothing from here to the buffer's end */
/* Any other header is the number of the message's bytes plus one. */

/*
 * What one end says about one direction: written by that end only. In its
 * three parts: who it is, words for sleeping and waking, and the hot one.
 */
struct buffer_half {
	_Alignas(CHANNEL_ALIGN)
	_Atomic uint64_t hello;	/* names this end in this session; 0: nobody */
	_Atomic uint64_t echo;	/* the other's hello that it has accepted */
	_Atomic uint64_t closed;	/* the last hello that said good-bye */
	_Atomic uint32_t id;	/* whom to ring, and which vector */
	_Atomic uint32_t vector;
	_Atomic uint64_t ready;	/* a bit of the region to be set before; 0: none */

	_Alignas(CHANNEL_ALIGN)
	_Atomic uint32_t doorbell;	/* changes when the other is rung; it sleeps on this */
	_Atomic uint32_t asleep;	/* 0: awake; else a number for each sleep */
	_Atomic uint64_t want;	/* producer: the position to wake it at */

	_Alignas(CHANNEL_ALIGN)
	_Atomic uint64_t position;	/* consumer: all before is free again */
};

enum { BUFFER_PRODUCER, BUFFER_CONSUMER };

/* At the begin of the range. Buffer 0 is the creator's to write, 1 to read. */
struct channel_area {
	_Atomic uint64_t magic;
	_Atomic uint32_t version;
	uint32_t reserved;
	_Atomic uint64_t size;	/* of the range */
	_Atomic uint64_t capacity[2];	/* of the buffers, which follow each other */

	unsigned char unused[512 - 40];
	struct buffer_half halves[2][2];	/* of each buffer */
};

_Static_assert(sizeof(struct buffer_half) == 3 * CHANNEL_ALIGN, "the layout");
_Static_assert(offsetof(struct channel_area, halves) == 512, "the layout");
_Static_assert(sizeof(struct channel_area) <= CHANNEL_CONTROL, "the layout");

static inline _Atomic uint64_t *buffer_header(unsigned char *data, uint64_t offset)
{
	return (void *)(data + offset);
}

/* What a message takes, without the 0 behind it. */
static inline uint64_t buffer_record(uint64_t size)
{
	return (BUFFER_HEADER + size + BUFFER_HEADER - 1) &
	       ~(uint64_t)(BUFFER_HEADER - 1);
}

/*
 * The producer's own view. Positions are split into the one where the buffer's
 * begin is in this round, and an offset.
 */
struct buffer_producer {
	unsigned char *data;
	uint64_t offset;	/* where the next record will be */
	uint64_t stop;		/* where it must end at the latest */
	uint64_t capacity;
	uint64_t base;		/* position of the buffer's begin */
	uint64_t limit;		/* positions before this are free */
	_Atomic uint64_t *held;	/* first header of a batch not shown yet, or NULL */
	uint64_t held_value;
};

/* The 0 behind the record wants room as well, be it in the next round. */
static inline void buffer_set_stop(struct buffer_producer *buffer)
{
	uint64_t free = buffer->limit - buffer->base - BUFFER_HEADER;

	buffer->stop = free < buffer->capacity ? free : buffer->capacity;
}

static inline void buffer_producer_start(struct buffer_producer *buffer,
					 unsigned char *data, uint64_t capacity)
{
	*buffer = (struct buffer_producer){
		.data = data, .capacity = capacity, .limit = capacity,
	};
	buffer_set_stop(buffer);
}

/* Where a message of this size can be written, or NULL if that has to wait. */
static inline void *buffer_reserve(const struct buffer_producer *buffer, uint64_t size)
{
	uint64_t room = buffer->stop - buffer->offset;

	/* Any size may be asked for: without the first check it could wrap. */
	if (size >= room || buffer_record(size) > room)
		return NULL;
	return buffer->data + buffer->offset + BUFFER_HEADER;
}

/* Publish all that is held. The caller must then wake the consumer if it is asleep. */
static inline void buffer_show(struct buffer_producer *buffer)
{
	atomic_store_explicit(buffer->held, buffer->held_value,
			      memory_order_seq_cst);
	buffer->held = NULL;
}

/* Add a record, and show it with all that was held, or hold it for later. */
static inline void buffer_add(struct buffer_producer *buffer, uint64_t header,
			      uint64_t record, bool hold)
{
	_Atomic uint64_t *place = buffer_header(buffer->data, buffer->offset);
	uint64_t next = buffer->offset + record;

	if (next == buffer->capacity) {
		next = 0;
		buffer->base += buffer->capacity;
		buffer_set_stop(buffer);
	}
	atomic_store_explicit(buffer_header(buffer->data, next), BUFFER_EMPTY,
			      memory_order_relaxed);
	buffer->offset = next;
	if (!hold && !buffer->held) {
		atomic_store_explicit(place, header, memory_order_seq_cst);
		return;
	}
	if (buffer->held) {
		/* Not visible before the one that is held. */
		atomic_store_explicit(place, header, memory_order_relaxed);
	} else {
		buffer->held = place;
		buffer->held_value = header;
	}
	if (!hold)
		buffer_show(buffer);
}

/* What the consumer's position must reach, so that reserving can go on. */
static inline uint64_t buffer_wanted(const struct buffer_producer *buffer, uint64_t size)
{
	uint64_t end = buffer->offset + buffer_record(size);

	/* If it does not fit before the buffer's end, a pad comes first. */
	if (end > buffer->capacity)
		end = buffer->capacity;
	end += buffer->base + BUFFER_HEADER;
	return end > buffer->capacity ? end - buffer->capacity : 0;
}

/* Where the message needs a pad before it, add that as soon as it fits. */
static inline bool buffer_pad(struct buffer_producer *buffer, uint64_t size)
{
	uint64_t rest = buffer->capacity - buffer->offset;

	if (buffer_record(size) <= rest || buffer->stop != buffer->capacity)
		return false;
	buffer_add(buffer, BUFFER_PAD, rest, false);
	return true;
}

/* Take note of the consumer's position. False: it makes no sense. */
static inline bool buffer_freed(struct buffer_producer *buffer, uint64_t position)
{
	uint64_t known = buffer->limit - buffer->capacity;

	if (position - known > buffer->base + buffer->offset - known)
		return false;
	buffer->limit = position + buffer->capacity;
	buffer_set_stop(buffer);
	return true;
}

/* The consumer's own view. */
struct buffer_consumer {
	unsigned char *data;
	uint64_t offset;	/* where the next record is */
	uint64_t capacity;
	uint64_t base;		/* position of the buffer's begin */
	uint64_t record;	/* what the message looked at takes, or 0 */
	uint64_t size;		/* its bytes */
};

/* Empty the buffer. The producer must not be at work in it. */
static inline void buffer_consumer_start(struct buffer_consumer *buffer,
					 unsigned char *data, uint64_t capacity)
{
	*buffer = (struct buffer_consumer){ .data = data, .capacity = capacity };
	atomic_store_explicit(buffer_header(data, 0), BUFFER_EMPTY,
			      memory_order_relaxed);
}

/* All before this is free. */
static inline uint64_t buffer_position(const struct buffer_consumer *buffer)
{
	return buffer->base + buffer->offset;
}

static inline uint64_t buffer_load(const struct buffer_consumer *buffer)
{
	return atomic_load_explicit(buffer_header(buffer->data, buffer->offset),
				    memory_order_acquire);
}

/* Whether that is the header of a message which fits. */
static inline bool buffer_is_message(const struct buffer_consumer *buffer,
				     uint64_t header)
{
	/* The largest that can be sent leaves the 0 behind it some room. */
	uint64_t before = buffer->offset ? buffer->offset : BUFFER_HEADER;

	return header - 1 <= buffer->capacity - BUFFER_HEADER - before;
}

static inline void *buffer_message(const struct buffer_consumer *buffer)
{
	return buffer->data + buffer->offset + BUFFER_HEADER;
}

/* Done with a record of that many bytes. */
static inline void buffer_skip(struct buffer_consumer *buffer, uint64_t record)
{
	buffer->record = 0;
	buffer->offset += record;
	if (buffer->offset != buffer->capacity)
		return;
	buffer->offset = 0;
	buffer->base += buffer->capacity;
}

enum buffer_look { BUFFER_NOTHING, BUFFER_MESSAGE, BUFFER_NONSENSE };

/* Look at the next message; then record and size are set. */
static inline enum buffer_look buffer_look(struct buffer_consumer *buffer)
{
	uint64_t header = buffer_load(buffer);

	if (header == BUFFER_PAD && buffer->offset) {
		buffer_skip(buffer, buffer->capacity - buffer->offset);
		header = buffer_load(buffer);
	}
	if (header == BUFFER_EMPTY)
		return BUFFER_NOTHING;
	if (!buffer_is_message(buffer, header))
		return BUFFER_NONSENSE;
	buffer->size = header - 1;
	buffer->record = buffer_record(buffer->size);
	return BUFFER_MESSAGE;
}

#endif /* IVSHMEM_RING_BUFFER_H */
