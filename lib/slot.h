/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The peer sections of a label, which docs/label-format.md specifies: the own slot, and what
 * the owners of the others say.
 *
 * Calls with a struct slots are made by one thread at a time.
 */
#ifndef IVSHMEM_SLOT_H
#define IVSHMEM_SLOT_H

#include "../src/core/label.h"
#include "../src/core/peer_area.h"
#include "handle.h"

#define SLOT_MAX	IVSHMEM_LABEL_MAX_PEERS

/* A struct ivshmem_peer_section, for the atomic accesses of this library. */
struct section {
	_Atomic uint64_t owner;
	_Atomic uint64_t generation;
	_Atomic uint64_t heartbeat;
	_Atomic uint32_t id;
	_Atomic uint16_t kind;
	_Atomic uint16_t state;
	_Atomic uint64_t name[4];
	unsigned char reserved[192];
	_Atomic uint32_t counters[];	/* of doorbells: polled.c */
};

#define SECTION_IS_SAME(field) \
	(offsetof(struct section, field) == offsetof(struct ivshmem_peer_section, field))

_Static_assert(SECTION_IS_SAME(owner) && SECTION_IS_SAME(generation) &&
	       SECTION_IS_SAME(heartbeat) && SECTION_IS_SAME(id) && SECTION_IS_SAME(kind) &&
	       SECTION_IS_SAME(state) && SECTION_IS_SAME(name) && SECTION_IS_SAME(counters) &&
	       __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout");

/* What was seen of a slot. */
struct seat {
	uint64_t owner;
	uint64_t heartbeat;
	int64_t silent;		/* ns since the heartbeat was seen to move */
	bool beats;		/* it was seen to move since the owner came */
};

struct slots {
	char *memory;		/* from the start of the region to the end of the peer area */
	size_t length;
	uint64_t identity[6];	/* words of the label that tell it from all others */
	uint64_t offset;	/* of the peer area */
	uint32_t section_size;
	uint32_t count;
	uint32_t vectors;	/* polled doorbells of each peer; can be 0 */
	uint32_t id;		/* by which others ring this program, or IVSHMEM_PEER_NO_ID */

	uint32_t own;		/* or IVSHMEM_SLOT_NONE */
	uint64_t owner;		/* what the own section says then */
	uint64_t heartbeat;
	union {
		char text[32];
		uint64_t words[4];
	} name;			/* of this program */
	int64_t looked;		/* when the others were looked at */
	struct seat seats[SLOT_MAX];
};

/* -ENODATA: the region has no label that can be used, or that has no peer area. */
int ivshmem_slots_open(struct slots *slots, struct ivshmem *handle);
void ivshmem_slots_close(struct slots *slots, struct ivshmem *handle);

static inline struct section *ivshmem_section(const struct slots *slots, uint32_t slot)
{
	return (struct section *)(void *)(slots->memory + slots->offset +
					  (uint64_t)slot * slots->section_size);
}

/* Is the label in the memory still the one that was opened? Nothing is written otherwise. */
bool ivshmem_slots_are_valid(const struct slots *slots);

/* And is the own slot still ours? */
bool ivshmem_slots_are_ours(const struct slots *slots);

/*
 * Take a slot: one that is free, else one whose owner was seen to be silent. Others see it from
 * the first beat on. False: there is none, yet.
 */
bool ivshmem_slots_claim(struct slots *slots);

/* Live on; to be called more often than every 200 ms. */
void ivshmem_slots_beat(struct slots *slots);

/* Give the own slot back, if it is still ours. */
void ivshmem_slots_leave(struct slots *slots);

/* Does no slot have an owner who may be dead, but was not yet silent for long enough? */
bool ivshmem_slots_all_live(const struct slots *slots);

/* Look at all slots: those who are there get an owner in @peers, the others 0. */
void ivshmem_slots_look(struct slots *slots, struct ivshmem_peer peers[SLOT_MAX]);

#endif /* IVSHMEM_SLOT_H */
