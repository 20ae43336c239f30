/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A segment in plain memory, and two of its ports as both ends of their rings.
 */
#ifndef SEGMENT_H
#define SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../src/rings/ring.h"

/**
 * struct end - a port and its rings to one other
 * @layout: of the segment
 * @memory: the segment as this end sees it
 * @own: its number
 * @other: that of the other end
 * @hello: of the last start
 * @random: state of its random numbers
 * @looks: IVSHMEM_LOOK_* since that was cleared
 * @sent: frames that were sent, for their patterns
 * @got: frames that were received
 * @heard: frames to all that were whole
 * @bad: frames among them that were wrong
 */
struct end {
	struct ivshmem_rings_layout layout;
	void *memory;
	unsigned int own;
	unsigned int other;
	uint32_t hello;
	uint64_t random;
	unsigned int looks;
	struct ivshmem_sender sender;
	struct ivshmem_receiver receiver;
	struct ivshmem_caster caster;
	struct ivshmem_listener listener;
	struct ivshmem_ring_note notes[IVSHMEM_RINGS_MAX_ENTRIES];
	struct ivshmem_ring_note caster_notes[IVSHMEM_RINGS_MAX_ENTRIES];
	uint64_t sent;
	uint64_t got;
	uint64_t heard;
	uint64_t bad;
};

/* A valid layout of @ports with rings of this size, and broadcast rings of the same. */
struct ivshmem_rings_layout segment_layout(unsigned int ports, uint32_t entries, uint32_t bytes);

/* Bytes of the partition. */
size_t segment_size(const struct ivshmem_rings_layout *layout);

/* Be a port that has never started. */
void end_init(struct end *end, const struct ivshmem_rings_layout *layout, void *memory,
	      unsigned int own, unsigned int other);

/* Start, or start anew after a death. */
void end_start(struct end *end);

/* Do both parts of the handshake. Gives IVSHMEM_LOOK_*. */
unsigned int end_look(struct end *end, bool present);

/* Can frames go both ways? Looks by turns until they can, or a few times. */
bool ends_meet(struct end *a, struct end *b);

/* Send the next frame of a size; false if there is no room. Does not publish. */
bool end_send(struct end *end, uint32_t size);

/* Receive a frame and check it; false if there is none. Does not publish. */
bool end_receive(struct end *end);

/* The same to and from all; true also if a frame was overwritten meanwhile. */
bool end_cast(struct end *end, uint32_t size);
bool end_hear(struct end *end);

#endif
