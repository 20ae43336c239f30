/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem: the slots of a labelled device, shared by slot.c, presence.c and bell.c
 *
 * docs/label-format.md specifies the peer area. Its geometry comes from the label that was
 * checked, and is never read again.
 */
#ifndef IVSHMEM_SLOT_H
#define IVSHMEM_SLOT_H

#include <linux/ratelimit.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include "core.h"
#include "peer_area.h"

/* Bytes of a label's header up to the end of bell_vectors. */
#define IVSHMEM_SLOTS_HEADER	(IVSHMEM_LABEL_AT_BELL_VECTORS + 2)

/**
 * struct ivshmem_presence - what was seen of a slot
 * @owner: the peer that had it when this machine looked last; 0: it was free
 * @heartbeat: that was seen then
 * @generation: that was seen then
 * @silent_ms: how long this machine has seen it stand still
 * @doorbell: the doorbell id of a peer that is present, else IVSHMEM_PEER_NO_ID
 * @info: for programs; all 0 if no peer is present. Under slots->lock
 *
 * Written by the beat alone. @doorbell is read with READ_ONCE().
 */
struct ivshmem_presence {
	u64 owner;
	u64 heartbeat;
	u64 generation;
	u32 silent_ms;
	u32 doorbell;
	struct ivshmem_peer_info info;
};

/**
 * struct ivshmem_slots - the peer area of a device
 * @idev: the device (constant)
 * @offset: where the sections begin in the region (constant)
 * @size: bytes of each (constant)
 * @nr: how many there are (constant)
 * @bell_vectors: polled doorbells of each peer (constant)
 * @header: of the label that was checked (constant)
 * @own: the slot of this machine, which it may write to; or -1. Written by the beat, read
 *	with READ_ONCE()
 * @polled: how many other peers are present that have no doorbell id; likewise
 * @turnover: another slot got or lost its owner between the last two looks at who is there: a
 *	peer may have come, rung and left
 * @foreign: the label in the memory is another one, so nothing is written
 * @full: there was no free slot; it is in the log
 * @nonce: the owner of the own slot
 * @heartbeat: of the own slot
 * @log: limits the lines in the log
 * @looked: jiffies of the last look at others
 * @seen: the doorbells that were seen, see bell.c; NULL if there are none. With the next one
 *	under a lock of bell.c
 * @first: the slot where the next look at doorbells begins
 * @beat: looks after all of that, each IVSHMEM_BEAT_MS
 * @lock: protects @presence[].info, and the device's generation of it
 * @presence: what was seen of each slot
 *
 * Found by idev->slots between ivshmem_access_try() and ivshmem_access_end(). From @turnover
 * to @looked only the beat uses it.
 */
struct ivshmem_slots {
	struct ivshmem_device *idev;
	u64 offset;
	u32 size;
	u16 nr;
	u16 bell_vectors;
	u8 header[IVSHMEM_SLOTS_HEADER];
	int own;
	unsigned int polled;
	bool turnover;
	bool foreign;
	bool full;
	u64 nonce;
	u64 heartbeat;
	struct ratelimit_state log;
	unsigned long looked;
	__le32 *seen;
	unsigned int first;
	struct delayed_work beat;
	spinlock_t lock;	/* info */
	struct ivshmem_presence presence[];
};

/* The section of a slot; called inside the device. */
static inline struct ivshmem_peer_section *
ivshmem_slot_section(const struct ivshmem_slots *slots, unsigned int slot)
{
	return slots->idev->memory.mem + slots->offset + (size_t)slot * slots->size;
}

/* The doorbell id that a peer tells now. A number that no doorbell has is none, either. */
static inline u32 ivshmem_slot_doorbell(const struct ivshmem_slots *slots, unsigned int slot)
{
	u32 id = le32_to_cpu(READ_ONCE(ivshmem_slot_section(slots, slot)->id));

	return id > IVSHMEM_MAX_PEER ? IVSHMEM_PEER_NO_ID : id;
}

u32 ivshmem_slots_doorbell(struct ivshmem_device *idev);

/* The device's slots, or NULL; called inside the device. */
static inline struct ivshmem_slots *ivshmem_slots_of(struct ivshmem_device *idev)
{
	return srcu_dereference(idev->slots, &idev->srcu);
}

/* slot.c */
int ivshmem_slots_own(const struct ivshmem_slots *slots);

/* bell.c */
int ivshmem_bells_begin(struct ivshmem_slots *slots);
void ivshmem_bells_claimed(struct ivshmem_slots *slots, unsigned int own);
void ivshmem_bells_update(struct ivshmem_slots *slots);

/* presence.c */
void ivshmem_presence_look(struct ivshmem_slots *slots);
void ivshmem_presence_forget(struct ivshmem_slots *slots);

#endif /* IVSHMEM_SLOT_H */
