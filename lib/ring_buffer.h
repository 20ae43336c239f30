/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The layout of a channel in shared memory, and the two ends of one ring: what
 * happens for every message. docs/library.md tells why it is as it is.
 *
 * A ring is a row of records, each a 64-bit header and the message, padded to
 * eight bytes. The header is the only thing that tells of a message: 0 where
 * none is yet. So the producer writes the message and a 0 where the next header
 * will be, and then, last, the header. The consumer tells by a position how far
 * the room is free again. Positions count bytes from the begin of a session and
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
#define CHANNEL_VERSION	1
#define CHANNEL_CONTROL	4096	/* bytes before the first ring */
#define CHANNEL_ALIGN	128	/* what two machines write apart lies apart */
#define CHANNEL_NO_ID	UINT32_MAX	/* this end cannot ring */

#define RING_HEADER	8	/* bytes before a message; what records align to */
#define RING_OVERHEAD	16	/* a header, and the 0 behind the record */
#define RING_MINIMUM	256
#define RING_MAXIMUM	(UINT64_C(1) << 47)
#define RING_EMPTY	UINT64_C(0)
#define RING_PAD	UINT64_MAX	/* nothing from here to the ring's end */
/* Any other header is the number of the message's bytes plus one. */

/*
 * What one end says about one direction: written by that end only. In its
 * three parts: who it is, words for sleeping and waking, and the hot one.
 */
struct ring_half {
	_Alignas(CHANNEL_ALIGN)
	_Atomic uint64_t hello;	/* names this end in this session; 0: nobody */
	_Atomic uint64_t echo;	/* the other's hello that it has accepted */
	_Atomic uint64_t closed;	/* the last hello that said good-bye */
	_Atomic uint32_t id;	/* whom to ring, and which vector */
	_Atomic uint32_t vector;

	_Alignas(CHANNEL_ALIGN)
	_Atomic uint32_t bell;	/* changes before each ring; the other sleeps on it */
	_Atomic uint32_t asleep;	/* 0: awake; else a number for each sleep */
	_Atomic uint64_t want;	/* producer: the position to wake it at */

	_Alignas(CHANNEL_ALIGN)
	_Atomic uint64_t position;	/* consumer: all before is free again */
};

enum { RING_PRODUCER, RING_CONSUMER };

/* At the begin of the range. Ring 0 is the creator's to write, 1 to read. */
struct channel_area {
	_Atomic uint64_t magic;
	_Atomic uint32_t version;
	uint32_t reserved;
	_Atomic uint64_t size;	/* of the range */
	_Atomic uint64_t capacity[2];	/* of the rings, which follow each other */

	unsigned char unused[512 - 40];
	struct ring_half halves[2][2];	/* of each ring */
};

_Static_assert(sizeof(struct ring_half) == 3 * CHANNEL_ALIGN, "the layout");
_Static_assert(offsetof(struct channel_area, halves) == 512, "the layout");
_Static_assert(sizeof(struct channel_area) <= CHANNEL_CONTROL, "the layout");

static inline _Atomic uint64_t *ring_header(unsigned char *data, uint64_t offset)
{
	return (void *)(data + offset);
}

/* What a message takes, without the 0 behind it. */
static inline uint64_t ring_record(uint64_t size)
{
	return (RING_HEADER + size + RING_HEADER - 1) &
	       ~(uint64_t)(RING_HEADER - 1);
}

/*
 * The producer's own view. Positions are split into the one where the ring's
 * begin is in this round, and an offset.
 */
struct ring_producer {
	unsigned char *data;
	uint64_t offset;	/* where the next record will be */
	uint64_t stop;		/* where it must end at the latest */
	uint64_t capacity;
	uint64_t base;		/* position of the ring's begin */
	uint64_t limit;		/* positions before this are free */
	_Atomic uint64_t *held;	/* first header of a batch not shown yet, or NULL */
	uint64_t held_value;
};

/* The 0 behind the record wants room as well, be it in the next round. */
static inline void ring_set_stop(struct ring_producer *ring)
{
	uint64_t free = ring->limit - ring->base - RING_HEADER;

	ring->stop = free < ring->capacity ? free : ring->capacity;
}

static inline void ring_producer_start(struct ring_producer *ring,
				       unsigned char *data, uint64_t capacity)
{
	*ring = (struct ring_producer){
		.data = data, .capacity = capacity, .limit = capacity,
	};
	ring_set_stop(ring);
}

/* Where a message of this size can be written, or NULL if that has to wait. */
static inline void *ring_reserve(const struct ring_producer *ring, uint64_t size)
{
	uint64_t room = ring->stop - ring->offset;

	/* Any size may be asked for: without the first check it could wrap. */
	if (size >= room || ring_record(size) > room)
		return NULL;
	return ring->data + ring->offset + RING_HEADER;
}

/* Show all that is held. Whoever shows must look whether the consumer is asleep. */
static inline void ring_show(struct ring_producer *ring)
{
	atomic_store_explicit(ring->held, ring->held_value,
			      memory_order_seq_cst);
	ring->held = NULL;
}

/* Add a record, and show it with all that was held, or hold it for later. */
static inline void ring_add(struct ring_producer *ring, uint64_t header,
			    uint64_t record, bool hold)
{
	_Atomic uint64_t *place = ring_header(ring->data, ring->offset);
	uint64_t next = ring->offset + record;

	if (next == ring->capacity) {
		next = 0;
		ring->base += ring->capacity;
		ring_set_stop(ring);
	}
	atomic_store_explicit(ring_header(ring->data, next), RING_EMPTY,
			      memory_order_relaxed);
	ring->offset = next;
	if (!hold && !ring->held) {
		atomic_store_explicit(place, header, memory_order_seq_cst);
		return;
	}
	if (ring->held) {
		/* Not visible before the one that is held. */
		atomic_store_explicit(place, header, memory_order_relaxed);
	} else {
		ring->held = place;
		ring->held_value = header;
	}
	if (!hold)
		ring_show(ring);
}

/* What the consumer's position must reach, so that reserving can go on. */
static inline uint64_t ring_wanted(const struct ring_producer *ring, uint64_t size)
{
	uint64_t end = ring->offset + ring_record(size);

	/* If it does not fit before the ring's end, a pad comes first. */
	if (end > ring->capacity)
		end = ring->capacity;
	end += ring->base + RING_HEADER;
	return end > ring->capacity ? end - ring->capacity : 0;
}

/* Where the message needs a pad before it, add that as soon as it fits. */
static inline bool ring_pad(struct ring_producer *ring, uint64_t size)
{
	uint64_t rest = ring->capacity - ring->offset;

	if (ring_record(size) <= rest || ring->stop != ring->capacity)
		return false;
	ring_add(ring, RING_PAD, rest, false);
	return true;
}

/* Take note of the consumer's position. False: it makes no sense. */
static inline bool ring_freed(struct ring_producer *ring, uint64_t position)
{
	uint64_t known = ring->limit - ring->capacity;

	if (position - known > ring->base + ring->offset - known)
		return false;
	ring->limit = position + ring->capacity;
	ring_set_stop(ring);
	return true;
}

/* The consumer's own view. */
struct ring_consumer {
	unsigned char *data;
	uint64_t offset;	/* where the next record is */
	uint64_t capacity;
	uint64_t base;		/* position of the ring's begin */
	uint64_t record;	/* what the message looked at takes, or 0 */
	uint64_t size;		/* its bytes */
};

/* Empty the ring. The producer must not be at work in it. */
static inline void ring_consumer_start(struct ring_consumer *ring,
				       unsigned char *data, uint64_t capacity)
{
	*ring = (struct ring_consumer){ .data = data, .capacity = capacity };
	atomic_store_explicit(ring_header(data, 0), RING_EMPTY,
			      memory_order_relaxed);
}

/* All before this is free. */
static inline uint64_t ring_position(const struct ring_consumer *ring)
{
	return ring->base + ring->offset;
}

static inline uint64_t ring_load(const struct ring_consumer *ring)
{
	return atomic_load_explicit(ring_header(ring->data, ring->offset),
				    memory_order_acquire);
}

/* Whether that is the header of a message which fits. */
static inline bool ring_is_message(const struct ring_consumer *ring,
				   uint64_t header)
{
	/* The largest that can be sent leaves the 0 behind it some room. */
	uint64_t before = ring->offset ? ring->offset : RING_HEADER;

	return header - 1 <= ring->capacity - RING_HEADER - before;
}

static inline void *ring_message(const struct ring_consumer *ring)
{
	return ring->data + ring->offset + RING_HEADER;
}

/* Done with a record of that many bytes. */
static inline void ring_skip(struct ring_consumer *ring, uint64_t record)
{
	ring->record = 0;
	ring->offset += record;
	if (ring->offset != ring->capacity)
		return;
	ring->offset = 0;
	ring->base += ring->capacity;
}

enum ring_look { RING_NOTHING, RING_MESSAGE, RING_NONSENSE };

/* Look at the next message; then record and size are set. */
static inline enum ring_look ring_look(struct ring_consumer *ring)
{
	uint64_t header = ring_load(ring);

	if (header == RING_PAD && ring->offset) {
		ring_skip(ring, ring->capacity - ring->offset);
		header = ring_load(ring);
	}
	if (header == RING_EMPTY)
		return RING_NOTHING;
	if (!ring_is_message(ring, header))
		return RING_NONSENSE;
	ring->size = header - 1;
	ring->record = ring_record(ring->size);
	return RING_MESSAGE;
}

#endif /* IVSHMEM_RING_BUFFER_H */
