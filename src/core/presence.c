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
#include <linux/ctype.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include "slot.h"
#include "trace.h"

static_assert(sizeof(struct ivshmem_peer_info) == 64);

/* One look at a section. */
struct look {
	u64 owner;
	u64 heartbeat;
	u16 state;
	u32 doorbell;
	struct ivshmem_peer_info info;
};

static void copy_section(const struct ivshmem_slots *slots, unsigned int slot,
			 struct look *look)
{
	struct ivshmem_peer_section *from = ivshmem_slot_section(slots, slot);
	struct ivshmem_peer_info *info = &look->info;

	look->owner = le64_to_cpu(READ_ONCE(from->owner));
	look->heartbeat = le64_to_cpu(READ_ONCE(from->heartbeat));
	look->state = le16_to_cpu(smp_load_acquire(&from->state));	/* then the rest */
	look->doorbell = ivshmem_slot_doorbell(slots, slot);
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
	trace_ivshmem_presence(slots->idev->number, seen - slots->presence);
	spin_lock(&slots->lock);
	seen->info = *info;
	atomic64_inc(&slots->idev->peers_generation);
	spin_unlock(&slots->lock);
}

/* Look at a slot, @ms after the last time. Returns whether it has had an owner come or go. */
static bool look_at(struct ivshmem_slots *slots, unsigned int slot, u32 ms)
{
	struct ivshmem_presence *seen = &slots->presence[slot];
	struct look look;
	u32 silent = 0;
	bool turnover;

	copy_section(slots, slot, &look);
	turnover = look.owner != seen->owner || look.info.generation != seen->generation;
	if (look.owner == seen->owner && look.heartbeat == seen->heartbeat)
		silent = min_t(u32, seen->silent_ms + ms, IVSHMEM_STILL_MS);
	seen->owner = look.owner;
	seen->heartbeat = look.heartbeat;
	seen->generation = look.info.generation;
	WRITE_ONCE(seen->silent_ms, silent);
	if (!look.owner || look.state != IVSHMEM_PEER_PRESENT || silent >= IVSHMEM_SILENT_MS) {
		memset(&look.info, 0, sizeof(look.info));
		look.doorbell = IVSHMEM_PEER_NO_ID;
	}
	WRITE_ONCE(seen->doorbell, look.doorbell);
	publish(slots, seen, &look.info);
	return turnover;
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
	slots->turnover = false;
	ms = min_t(u32, ms, 2 * IVSHMEM_BEAT_MS);
	for (slot = 0; slot < slots->nr; slot++) {
		const struct ivshmem_presence *seen = &slots->presence[slot];

		if (look_at(slots, slot, ms) && slot != slots->own)
			slots->turnover = true;
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

/*
 * Notify the drivers of all nodes. The beat must not wait for what they do, nor for the
 * device_lock of a node, so this is work of its own.
 */
static void notify_fn(struct work_struct *work)
{
	struct ivshmem_device *idev = container_of(work, struct ivshmem_device, peers_work);

	mutex_lock(&idev->nodes_lock);
	if (READ_ONCE(idev->state) == IVSHMEM_LIVE)
		ivshmem_nodes_notify(idev, IVSHMEM_EVENT_PEERS);
	mutex_unlock(&idev->nodes_lock);
}

/**
 * ivshmem_presence_init() - prepare to notify drivers
 * @idev: not registered yet
 */
void ivshmem_presence_init(struct ivshmem_device *idev)
{
	atomic64_set(&idev->peers_generation, 1);
	idev->peers_notified = 1;
	INIT_WORK(&idev->peers_work, notify_fn);
}

/**
 * ivshmem_presence_end() - notify nobody any more
 * @idev: unregistered, without slots; the caller does not hold its nodes_lock
 */
void ivshmem_presence_end(struct ivshmem_device *idev)
{
	cancel_work_sync(&idev->peers_work);
}

/**
 * ivshmem_presence_notify() - notify files and drivers of who has come and gone
 * @idev: the device; the caller holds its nodes_lock
 */
void ivshmem_presence_notify(struct ivshmem_device *idev)
{
	u64 generation = ivshmem_presence_generation(idev);

	lockdep_assert_held(&idev->nodes_lock);
	if (idev->peers_notified == generation)
		return;
	idev->peers_notified = generation;
	ivshmem_peers_signal_news(idev);
	queue_work(system_freezable_wq, &idev->peers_work);
}

/**
 * ivshmem_presence_copy() - get who is present
 * @idev: the device; the caller is between ivshmem_access_try() and ivshmem_access_end()
 * @to: for them, in the order of slots
 * @room: how many there is room for
 * @generation: out: of the result
 *
 * In a task: the lock that this takes is none for interrupts.
 *
 * Return: how many are present, also if that is more than @room; or -EOPNOTSUPP
 */
int ivshmem_presence_copy(struct ivshmem_device *idev, struct ivshmem_peer_info *to,
			  unsigned int room, u64 *generation)
{
	struct ivshmem_slots *slots = ivshmem_slots_of(idev);
	unsigned int slot, nr = 0;

	might_sleep();
	if (!slots)
		return -EOPNOTSUPP;
	spin_lock(&slots->lock);
	*generation = ivshmem_presence_generation(idev);
	for (slot = 0; slot < slots->nr; slot++) {
		const struct ivshmem_presence *seen = &slots->presence[slot];

		if (!seen->info.owner)
			continue;
		if (nr < room) {
			to[nr] = seen->info;
			to[nr].silent_ms = READ_ONCE(seen->silent_ms);
		}
		nr++;
	}
	spin_unlock(&slots->lock);
	return nr;
}

/**
 * ivshmem_node_peers() - get who is present
 * @node: bound to the caller, between ivshmem_node_begin() and ivshmem_node_end()
 * @peers: for them, in the order of slots. One with IVSHMEM_PEER_SELF is this machine;
 *	without it this machine has no slot now
 * @room: how many there is room for; IVSHMEM_LABEL_MAX_PEERS are enough
 *
 * Only from a task that may sleep, such as notify() and work. See IVSHMEM_EVENT_PEERS for when to
 * call it again.
 *
 * Return: how many are present, also if that is more than @room; or -EOPNOTSUPP if the device
 * has no peer table
 */
int ivshmem_node_peers(struct ivshmem_node *node, struct ivshmem_peer_info *peers,
		       unsigned int room)
{
	u64 generation;

	return ivshmem_presence_copy(node->idev, peers, room, &generation);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_peers);

/**
 * ivshmem_node_peer_is_silent() - has a peer fallen silent, or left?
 * @node: bound to the caller, between ivshmem_node_begin() and ivshmem_node_end()
 * @slot: of the peer
 *
 * For one that is not in the table any more: it may come back with the same owner.
 *
 * Return: true if its heartbeat stopped before it was seen to leave
 */
bool ivshmem_node_peer_is_silent(struct ivshmem_node *node, unsigned int slot)
{
	struct ivshmem_slots *slots = ivshmem_slots_of(node->idev);

	if (!slots || slot >= slots->nr)
		return false;
	slot = array_index_nospec(slot, slots->nr);
	return READ_ONCE(slots->presence[slot].silent_ms) >= IVSHMEM_SILENT_MS;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_peer_is_silent);

/* Append a line, if the page has room for all of it. */
static bool show_peer(const struct ivshmem_peer_info *info, char *buf, ssize_t *n)
{
	static const char * const kinds[] = {
		[IVSHMEM_PEER_GUEST] = "guest",
		[IVSHMEM_PEER_HOST] = "host",
		[IVSHMEM_PEER_SERVER] = "server",
	};
	const char *kind = info->kind < ARRAY_SIZE(kinds) ? kinds[info->kind] : NULL;
	char line[80];
	int i, length;

	length = scnprintf(line, sizeof(line), "%u %u %s %s %u ", info->slot, info->id,
			   kind ?: "unknown",
			   info->flags & IVSHMEM_PEER_SELF ? "self" : "other", info->silent_ms);
	for (i = 0; i < sizeof(info->name) && info->name[i]; i++)
		line[length++] = isascii(info->name[i]) && isprint(info->name[i]) ?
				 info->name[i] : '?';
	if (*n + length + 1 >= PAGE_SIZE)
		return false;
	*n += sysfs_emit_at(buf, *n, "%.*s\n", length, line);
	return true;
}

/**
 * ivshmem_presence_show() - show who is present, a line for each
 * @chardev: the character device
 * @buf: of a file in sysfs
 *
 * Return: bytes written or a negative errno
 */
ssize_t ivshmem_presence_show(struct ivshmem_chardev *chardev, char *buf)
{
	struct ivshmem_peer_info *all;
	int i, idx, nr;
	ssize_t n = 0;
	u64 generation;

	all = kvcalloc(IVSHMEM_LABEL_MAX_PEERS, sizeof(*all), GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	nr = ivshmem_chardev_begin(chardev, &idx);
	if (!nr) {
		nr = ivshmem_presence_copy(chardev->idev, all, IVSHMEM_LABEL_MAX_PEERS,
					   &generation);
		ivshmem_access_end(chardev->idev, idx);
	}
	for (i = 0; i < nr && show_peer(&all[i], buf, &n); i++)
		;
	kvfree(all);
	return nr < 0 && nr != -EOPNOTSUPP ? nr : n;
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
