// SPDX-License-Identifier: GPL-2.0-only
/*
 * Presence: which peers are there
 *
 * The beat (slot.c) looks at the sections of all slots. A peer is present while its state
 * says so and its heartbeat moves. Only time in which this machine looked counts: after a
 * pause of its own it does not take all others for dead.
 *
 * What a section says is copied once, and nothing depends on its truth.
 */
#include <linux/jiffies.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include "slot.h"

static_assert(sizeof(struct ivshmem_peer_info) == 64);

/* One look at a section. */
struct look {
	u64 owner;
	u64 heartbeat;
	u16 state;
	u32 doorbell;
	struct ivshmem_peer_info info;
};

/* A number that no doorbell has is none, either. */
static u32 doorbell_of(u32 id)
{
	return id > IVSHMEM_MAX_PEER ? IVSHMEM_PEER_NO_ID : id;
}

static void copy_section(const struct ivshmem_slots *slots, unsigned int slot,
			 struct look *look)
{
	struct ivshmem_peer_section *from = ivshmem_slot_section(slots, slot);
	struct ivshmem_peer_info *info = &look->info;

	look->owner = le64_to_cpu(READ_ONCE(from->owner));
	look->heartbeat = le64_to_cpu(READ_ONCE(from->heartbeat));
	look->state = le16_to_cpu(smp_load_acquire(&from->state));	/* then the rest */
	look->doorbell = doorbell_of(le32_to_cpu(READ_ONCE(from->id)));
	*info = (struct ivshmem_peer_info) {
		.owner = look->owner,
		.generation = le64_to_cpu(READ_ONCE(from->generation)),
		.id = look->doorbell,
		.slot = slot,
		.kind = min_t(u16, le16_to_cpu(READ_ONCE(from->kind)), U8_MAX),
		.flags = slot == slots->own ? IVSHMEM_PEER_SELF : 0,
	};
	if (look->doorbell == IVSHMEM_PEER_NO_ID)
		info->id = IVSHMEM_PEER_FIRST_ID + slot;
	memcpy(info->name, from->name, sizeof(info->name));
}

/* Let programs see what has changed of a slot. */
static void publish(struct ivshmem_slots *slots, struct ivshmem_presence *seen,
		    const struct ivshmem_peer_info *info)
{
	if (!memcmp(&seen->info, info, sizeof(*info)))
		return;
	spin_lock(&slots->lock);
	seen->info = *info;
	atomic64_inc(&slots->idev->peers_generation);
	spin_unlock(&slots->lock);
}

/* Look at a slot, @ms after the last time. */
static void look_at(struct ivshmem_slots *slots, unsigned int slot, u32 ms)
{
	struct ivshmem_presence *seen = &slots->presence[slot];
	struct look look;
	u32 silent = 0;

	copy_section(slots, slot, &look);
	if (look.owner == seen->owner && look.heartbeat == seen->heartbeat)
		silent = min_t(u32, seen->silent_ms + ms, IVSHMEM_STILL_MS);
	seen->owner = look.owner;
	seen->heartbeat = look.heartbeat;
	WRITE_ONCE(seen->silent_ms, silent);
	if (!look.owner || look.state != IVSHMEM_PEER_PRESENT || silent >= IVSHMEM_SILENT_MS) {
		memset(&look.info, 0, sizeof(look.info));
		look.doorbell = IVSHMEM_PEER_NO_ID;
	}
	WRITE_ONCE(seen->doorbell, look.doorbell);
	publish(slots, seen, &look.info);
}

/**
 * ivshmem_presence_look() - look who is there
 * @slots: the slots; called by the beat, inside the device
 */
void ivshmem_presence_look(struct ivshmem_slots *slots)
{
	u32 ms = jiffies_to_msecs(jiffies - slots->looked);
	unsigned int slot, polled = 0;

	slots->looked = jiffies;
	ms = min_t(u32, ms, 2 * IVSHMEM_BEAT_MS);
	for (slot = 0; slot < slots->nr; slot++) {
		const struct ivshmem_presence *seen = &slots->presence[slot];

		look_at(slots, slot, ms);
		polled += seen->info.owner && slot != slots->own &&
			  seen->doorbell == IVSHMEM_PEER_NO_ID;
	}
	WRITE_ONCE(slots->polled, polled);
}

/**
 * ivshmem_presence_forget() - take it that nobody is there
 * @slots: the slots; called by the beat
 */
void ivshmem_presence_forget(struct ivshmem_slots *slots)
{
	static const struct ivshmem_peer_info nobody;
	unsigned int slot;

	WRITE_ONCE(slots->polled, 0);
	for (slot = 0; slot < slots->nr; slot++) {
		WRITE_ONCE(slots->presence[slot].doorbell, IVSHMEM_PEER_NO_ID);
		publish(slots, &slots->presence[slot], &nobody);
	}
}

/**
 * ivshmem_slot_of() - find the slot that rings for a number
 * @idev: the device; the caller is between ivshmem_access_try() and ivshmem_access_end()
 * @id: what RING was given
 *
 * A number that names a slot names no other, whatever peers announce.
 *
 * Return: the slot, or -1
 */
int ivshmem_slot_of(struct ivshmem_device *idev, u32 id)
{
	struct ivshmem_slots *slots = ivshmem_slots_of(idev);
	unsigned int slot;

	if (!slots)
		return -1;
	if (id - IVSHMEM_PEER_FIRST_ID < slots->nr)
		return array_index_nospec(id - IVSHMEM_PEER_FIRST_ID, slots->nr);
	for (slot = 0; slot < slots->nr; slot++)
		if (READ_ONCE(slots->presence[slot].doorbell) == id)
			return slot;
	return -1;
}
