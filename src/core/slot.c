// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slot of this machine in the peer area of a label: takes it, keeps it, gives it back
 *
 * A work item, the beat, does all of it ten times a second. It looks first whether the label
 * in the memory is still the one that was checked: a tool that formats the region has other plans
 * for these bytes, so nothing is written until the label is the same again or a rescan comes.
 *
 * The beat does not run while the machine sleeps, and does nothing during a reset. A slot
 * that others took meanwhile is noticed, and another one taken. So is another heartbeat than
 * the last one: a snapshot of the machine was restored, or a double of it runs. Then the slot
 * gets another owner, so that the peers do not go on with what this machine does not know.
 */
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/utsname.h>
#include <asm/sync_bitops.h>
#include "slot.h"
#include "trace.h"

static_assert(offsetof(struct ivshmem_peer_section, counters) == IVSHMEM_LABEL_RUNG_OFFSET);

/* In the log of the kernel, about the slots of a device. */
#define LINES_PER_MINUTE	6

/* Fields of a header that say what is where for peers. */
static const struct {
	u8 at;
	u8 length;
} identity[] = {
	{ 0, sizeof(IVSHMEM_LABEL_MAGIC) - 1 },
	{ IVSHMEM_LABEL_AT_VERSION, sizeof(u16) },
	{ IVSHMEM_LABEL_AT_INCOMPATIBLE, sizeof(u64) },
	{ IVSHMEM_LABEL_AT_UUID, 16 },
	{ IVSHMEM_LABEL_AT_PEERS_OFFSET, IVSHMEM_SLOTS_HEADER - IVSHMEM_LABEL_AT_PEERS_OFFSET },
};

static struct workqueue_struct *beat_wq;

int __init ivshmem_slots_init(void)
{
	/* A late heartbeat costs the slot. Asleep, a machine has no devices to access. */
	beat_wq = alloc_workqueue("ivshmem_beat", WQ_UNBOUND | WQ_HIGHPRI | WQ_FREEZABLE, 0);
	return beat_wq ? 0 : -ENOMEM;
}

void ivshmem_slots_exit(void)
{
	destroy_workqueue(beat_wq);
}

static bool same_header(const u8 *header, const u8 *other)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(identity); i++)
		if (memcmp(header + identity[i].at, other + identity[i].at, identity[i].length))
			return false;
	return true;
}

/*
 * Where to log to, or NULL: peers can make all of it happen again and again. Node 0 is there
 * as long as the beat.
 */
static struct device *log_device(struct ivshmem_slots *slots)
{
	return __ratelimit(&slots->log) ? &slots->idev->nodes[0]->dev : NULL;
}

static void set_own(struct ivshmem_slots *slots, int slot)
{
	if (slot != slots->own)
		trace_ivshmem_slot(slots->idev->number, slot);
	WRITE_ONCE(slots->own, slot);
}

static u64 read_owner(const struct ivshmem_slots *slots, unsigned int slot)
{
	return le64_to_cpu(READ_ONCE(ivshmem_slot_section(slots, slot)->owner));
}

/* Replace the owner of a slot, unless it is another one by now. */
static bool swap_owner(const struct ivshmem_slots *slots, unsigned int slot, u64 from, u64 to)
{
	u64 *owner = (u64 __force *)&ivshmem_slot_section(slots, slot)->owner;
	u64 old = (u64 __force)cpu_to_le64(from);

	/* Also where a kernel with one processor has patched out its locks: others are rivals. */
	return sync_cmpxchg(owner, old, (u64 __force)cpu_to_le64(to)) == old;
}

static u64 read_heartbeat(const struct ivshmem_slots *slots, unsigned int slot)
{
	return le64_to_cpu(READ_ONCE(ivshmem_slot_section(slots, slot)->heartbeat));
}

/* Does this machine have the slot, by a label that is still there? */
static bool is_ours(const struct ivshmem_slots *slots, unsigned int slot)
{
	return same_header(slots->idev->memory.mem, slots->header) &&
	       read_owner(slots, slot) == slots->nonce;
}

/**
 * ivshmem_slots_own() - find the section that this machine may write to
 * @slots: the slots; the caller is inside the device
 *
 * Return: the slot, or -1: there is none, or it belongs to somebody else by now
 */
int ivshmem_slots_own(const struct ivshmem_slots *slots)
{
	int own = READ_ONCE(slots->own);

	return own >= 0 && is_ours(slots, own) ? own : -1;
}

/**
 * ivshmem_slots_doorbell() - by what do others ring this machine's interrupts?
 * @idev: the device; the caller is inside
 *
 * Return: a doorbell id; IVSHMEM_PEER_NO_ID if it has no interrupts, or does not know its id
 */
u32 ivshmem_slots_doorbell(struct ivshmem_device *idev)
{
	return idev->can_ring && idev->nr_vectors ? idev->transport->id(idev) :
						    IVSHMEM_PEER_NO_ID;
}

/*
 * Say who has the slot, where that is not what it says already: the id may come late, the
 * host name changes, and others may have written here.
 */
static void write_self(const struct ivshmem_slots *slots, struct ivshmem_peer_section *own)
{
	const char *from = init_utsname()->nodename;
	__le32 id = cpu_to_le32(ivshmem_slots_doorbell(slots->idev));
	__le16 kind = cpu_to_le16(IVSHMEM_PEER_GUEST);
	char name[sizeof(own->name)] = "";

	memcpy(name, from, strnlen(from, sizeof(name)));
	if (READ_ONCE(own->id) != id)
		WRITE_ONCE(own->id, id);
	if (READ_ONCE(own->kind) != kind)
		WRITE_ONCE(own->kind, kind);
	if (memcmp(own->name, name, sizeof(name)))
		memcpy(own->name, name, sizeof(name));
}

static void write_heartbeat(struct ivshmem_slots *slots, struct ivshmem_peer_section *own)
{
	__le16 present = cpu_to_le16(IVSHMEM_PEER_PRESENT);

	write_self(slots, own);
	WRITE_ONCE(own->heartbeat, cpu_to_le64(++slots->heartbeat));
	if (READ_ONCE(own->state) != present)
		smp_store_release(&own->state, present);	/* last: others read it first */
}

static void move_in(struct ivshmem_slots *slots, unsigned int slot)
{
	struct ivshmem_peer_section *own = ivshmem_slot_section(slots, slot);
	u64 generation = le64_to_cpu(READ_ONCE(own->generation));

	WRITE_ONCE(own->state, 0);
	WRITE_ONCE(own->generation, cpu_to_le64(generation + 1));
	write_heartbeat(slots, own);
}

/* May a slot be taken from this owner? */
static bool has_left(const struct ivshmem_slots *slots, unsigned int slot, u64 owner)
{
	const struct ivshmem_presence *seen = &slots->presence[slot];

	return owner == seen->owner && read_heartbeat(slots, slot) == seen->heartbeat &&
	       seen->silent_ms >= IVSHMEM_STILL_MS;
}

/*
 * Take the lowest slot that is free, or was this machine's before the label was another one;
 * or else one whose owner has left without a word.
 */
static int take(const struct ivshmem_slots *slots, u64 nonce)
{
	unsigned int slot;
	u64 owner;

	for (slot = 0; slot < slots->nr; slot++) {
		owner = read_owner(slots, slot);
		if ((!owner || owner == slots->nonce) &&
		    swap_owner(slots, slot, owner, nonce))
			return slot;
	}
	for (slot = 0; slot < slots->nr; slot++) {
		owner = read_owner(slots, slot);
		if (owner && has_left(slots, slot, owner) &&
		    swap_owner(slots, slot, owner, nonce))
			return slot;
	}
	return -1;
}

static bool is_owner(const struct ivshmem_slots *slots, u64 nonce)
{
	unsigned int slot;

	for (slot = 0; slot < slots->nr; slot++)
		if (read_owner(slots, slot) == nonce)
			return true;
	return false;
}

/* A number that nobody has: doubles of a machine draw the same ones. */
static u64 draw(const struct ivshmem_slots *slots)
{
	u64 nonce;

	do {
		get_random_bytes(&nonce, sizeof(nonce));
	} while (!nonce || is_owner(slots, nonce));
	return nonce;
}

static void claim(struct ivshmem_slots *slots)
{
	u64 nonce = draw(slots);
	int slot = take(slots, nonce);
	struct device *log;

	if (slot < 0) {
		log = slots->full ? NULL : log_device(slots);
		slots->full = true;
		if (log)
			dev_warn(log, "all %u slots for peers are taken: others do not see this machine\n",
				 slots->nr);
		return;
	}
	slots->full = false;
	slots->nonce = nonce;
	ivshmem_bells_claimed(slots, slot);
	move_in(slots, slot);
	set_own(slots, slot);
	log = log_device(slots);
	if (log)
		dev_info(log, "slot %d of %u for peers\n", slot, slots->nr);
}

static void give_back(const struct ivshmem_slots *slots, unsigned int slot)
{
	WRITE_ONCE(ivshmem_slot_section(slots, slot)->state, 0);
	swap_owner(slots, slot, slots->nonce, 0);
}

/* Is the own slot still this machine's, as it has left it? */
static bool keeps(struct ivshmem_slots *slots)
{
	int own = slots->own;
	struct device *log;
	bool taken;

	if (own < 0)
		return false;
	taken = read_owner(slots, own) != slots->nonce;
	if (!taken && read_heartbeat(slots, own) == slots->heartbeat)
		return true;
	log = log_device(slots);
	if (log && taken)
		dev_info(log, "slot %d was taken by another peer\n", own);
	else if (log)
		dev_info(log, "slot %d has an old heartbeat: a slot is taken again\n", own);
	set_own(slots, -1);
	if (!taken)
		give_back(slots, own);
	return false;
}

static bool label_is_foreign(struct ivshmem_slots *slots)
{
	bool foreign = !same_header(slots->idev->memory.mem, slots->header);
	struct device *log;

	if (foreign && !slots->foreign) {
		log = log_device(slots);
		if (log)
			dev_info(log, "the label in the memory is another one: no peers until a rescan\n");
		set_own(slots, -1);
		ivshmem_presence_forget(slots);
	}
	slots->foreign = foreign;
	return foreign;
}

/* Called inside the device. */
static void beat(struct ivshmem_slots *slots)
{
	if (label_is_foreign(slots))
		return;
	if (keeps(slots))
		write_heartbeat(slots, ivshmem_slot_section(slots, slots->own));
	else
		claim(slots);
	ivshmem_presence_look(slots);
}

static void beat_fn(struct work_struct *work)
{
	struct ivshmem_slots *slots = container_of(to_delayed_work(work), struct ivshmem_slots,
						   beat);
	int idx, ret = ivshmem_access_try(slots->idev, &idx);

	if (!ret) {
		beat(slots);
		ivshmem_bells_update(slots);
		ivshmem_access_end(slots->idev, idx);
	}
	/* Who holds the lock may wait for this work; then the next beat notifies. */
	if (mutex_trylock(&slots->idev->nodes_lock)) {
		ivshmem_presence_notify(slots->idev);
		mutex_unlock(&slots->idev->nodes_lock);
	}
	ivshmem_bells_tidy(slots->idev);
	if (ret != -ENODEV)
		queue_delayed_work(beat_wq, &slots->beat, msecs_to_jiffies(IVSHMEM_BEAT_MS));
}

/* End the beat, and give back the slot. */
static void leave(struct ivshmem_slots *slots)
{
	int idx, slot;

	cancel_delayed_work_sync(&slots->beat);
	slot = slots->own;
	set_own(slots, -1);
	if (slot < 0 || ivshmem_access_try(slots->idev, &idx))
		return;
	if (is_ours(slots, slot))
		give_back(slots, slot);
	ivshmem_access_end(slots->idev, idx);
}

static struct ivshmem_slots *current_slots(struct ivshmem_device *idev)
{
	return rcu_dereference_protected(idev->slots, lockdep_is_held(&idev->slots_lock));
}

static void free_slots(struct ivshmem_slots *slots)
{
	kvfree(slots->seen);
	kvfree(slots);
}

/* End the device's slots. Who still uses them is waited for. */
static void end(struct ivshmem_device *idev)
{
	struct ivshmem_slots *slots = current_slots(idev);

	if (!slots)
		return;
	leave(slots);
	ivshmem_bells_end(idev);
	rcu_assign_pointer(idev->slots, NULL);
	atomic64_inc(&idev->peers_generation);
	synchronize_srcu(&idev->srcu);
	free_slots(slots);
}

static struct ivshmem_slots *slots_alloc(struct ivshmem_device *idev,
					 const struct ivshmem_label *label, const u8 *copy)
{
	struct ivshmem_slots *slots;

	slots = kvzalloc(struct_size(slots, presence, label->peers), GFP_KERNEL);
	if (!slots)
		return NULL;
	slots->idev = idev;
	slots->offset = label->peers_offset;
	slots->size = label->peer_size;
	slots->nr = label->peers;
	slots->bell_vectors = label->bell_vectors;
	memcpy(slots->header, copy, sizeof(slots->header));
	slots->own = -1;
	slots->looked = jiffies;
	ratelimit_state_init(&slots->log, 60 * HZ, LINES_PER_MINUTE);
	ratelimit_set_flags(&slots->log, RATELIMIT_MSG_ON_RELEASE);
	INIT_DELAYED_WORK(&slots->beat, beat_fn);
	spin_lock_init(&slots->lock);
	return slots;
}

/* Why a device with a peer area does not use it, or NULL. */
static const char *obstacle(const struct ivshmem_device *idev)
{
	if (idev->transport->peer_per_file)
		return "each open file is a peer";
	if (idev->memory.cache != IVSHMEM_CACHE_WB)
		return "the memory is not mapped write-back";
	return NULL;
}

/* Give the device the slots of a label that has some. */
static const char *replace(struct ivshmem_device *idev, const struct ivshmem_label *label,
			   const u8 *copy)
{
	struct ivshmem_slots *slots = current_slots(idev);
	const char *why_not = obstacle(idev);

	if (slots && same_header(slots->header, copy))
		return NULL;
	end(idev);
	if (why_not)
		return why_not;
	slots = slots_alloc(idev, label, copy);
	if (!slots || ivshmem_bells_begin(slots)) {
		kvfree(slots);
		return "there is no memory";
	}
	rcu_assign_pointer(idev->slots, slots);
	atomic64_inc(&idev->peers_generation);
	return NULL;
}

/**
 * ivshmem_slots_apply() - give a device the slots of its label
 * @idev: the device, LIVE; the caller holds its nodes_lock
 * @label: its label; one without a peer area ends the slots
 * @copy: the fixed part that @label was read from
 *
 * Slots that are the same in it go on. Others need ivshmem_slots_begin().
 *
 * Return: NULL, or why the device does not use the peer area
 */
const char *ivshmem_slots_apply(struct ivshmem_device *idev, const struct ivshmem_label *label,
				const u8 *copy)
{
	const char *why_not = NULL;

	mutex_lock(&idev->slots_lock);
	if (label->peers)
		why_not = replace(idev, label, copy);
	else
		end(idev);
	mutex_unlock(&idev->slots_lock);
	return why_not;
}

/**
 * ivshmem_slots_begin() - take a slot
 * @idev: with its node 0; the caller holds its nodes_lock
 *
 * Nothing happens if the device has no slots, or has a slot.
 */
void ivshmem_slots_begin(struct ivshmem_device *idev)
{
	struct ivshmem_slots *slots;

	mutex_lock(&idev->slots_lock);
	slots = current_slots(idev);
	if (slots)
		queue_delayed_work(beat_wq, &slots->beat, 0);
	mutex_unlock(&idev->slots_lock);
}

/**
 * ivshmem_slots_leave() - give back the slot
 * @idev: still LIVE, so that peers see it
 */
void ivshmem_slots_leave(struct ivshmem_device *idev)
{
	struct ivshmem_slots *slots;

	mutex_lock(&idev->slots_lock);
	slots = current_slots(idev);
	if (slots)
		leave(slots);
	mutex_unlock(&idev->slots_lock);
}

/**
 * ivshmem_slots_free() - free the slots
 * @idev: unregistered; nobody is inside
 */
void ivshmem_slots_free(struct ivshmem_device *idev)
{
	mutex_lock(&idev->slots_lock);
	end(idev);
	mutex_unlock(&idev->slots_lock);
}
