// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The peer sections of a label: claim, heartbeat, loss.
 *
 * All that is there, the label itself included, is in the hands of strangers. A field is
 * copied once; where the sections are is what the label said when it was checked. Before each
 * write the label is compared: a tool may have formatted the region, or removed the label, and
 * the bytes belong to somebody else now.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "park.h"
#include "partition.h"
#include "slot.h"

#define FREE		0
#define ABSENT		0
#define MILLISECOND	INT64_C(1000000)
#define STEP_NS		(200 * MILLISECOND)	/* the most that passes between two looks */

/* Where those words are in the label. */
static const size_t identity_at[] = {
	0, IVSHMEM_LABEL_AT_INCOMPATIBLE, IVSHMEM_LABEL_AT_UUID, IVSHMEM_LABEL_AT_UUID + 8,
	IVSHMEM_LABEL_AT_PEERS_OFFSET, IVSHMEM_LABEL_AT_PEER_SIZE,
};

#define IDENTITY_WORDS	(sizeof(identity_at) / sizeof(identity_at[0]))

static void identify(struct slots *slots, const struct ivshmem_label *label)
{
	memcpy(&slots->identity[0], IVSHMEM_LABEL_MAGIC, 8);
	slots->identity[1] = 0;		/* a label with features is not read */
	memcpy(&slots->identity[2], label->uuid, sizeof(label->uuid));
	slots->identity[4] = label->peers_offset;
	slots->identity[5] = label->peer_size | (uint64_t)label->peers << 32 |
			     (uint64_t)label->bell_vectors << 48;
}

/* The program's, and its process. */
static void choose_name(struct slots *slots)
{
	const int room = sizeof(slots->name.text) - 1;
	char process[16];
	int length = snprintf(process, sizeof(process), ":%d", (int)getpid());

	snprintf(slots->name.text, sizeof(slots->name.text), "%.*s%s", room - length,
		 program_invocation_short_name, process);
}

int ivshmem_slots_open(struct slots *slots, struct ivshmem *handle)
{
	struct ivshmem_label label;
	int error = ivshmem_read_label(handle, &label);
	void *memory;

	if (error == -ENODATA || error == -EBADMSG || (!error && !label.peers))
		return -ENODATA;
	if (error)
		return error;
	slots->length = label.peers_offset + (uint64_t)label.peers * label.peer_size;
	error = ivshmem_map(handle, 0, slots->length, &memory);
	if (error)
		return error;
	slots->memory = memory;
	slots->offset = label.peers_offset;
	slots->section_size = label.peer_size;
	slots->count = label.peers;
	slots->vectors = label.bell_vectors;
	slots->id = IVSHMEM_PEER_NO_ID;
	slots->own = IVSHMEM_SLOT_NONE;
	identify(slots, &label);
	choose_name(slots);
	return 0;
}

void ivshmem_slots_close(struct slots *slots, struct ivshmem *handle)
{
	if (slots->memory)
		ivshmem_unmap(handle, slots->memory, slots->length);
}

bool ivshmem_slots_are_valid(const struct slots *slots)
{
	const void *version = slots->memory + IVSHMEM_LABEL_AT_VERSION;
	size_t n;

	if (atomic_load((const _Atomic uint16_t *)version) != IVSHMEM_LABEL_VERSION)
		return false;
	for (n = 0; n < IDENTITY_WORDS; n++) {
		const void *word = slots->memory + identity_at[n];

		if (atomic_load((const _Atomic uint64_t *)word) != slots->identity[n])
			return false;
	}
	return true;
}

bool ivshmem_slots_are_ours(const struct slots *slots)
{
	return slots->own != IVSHMEM_SLOT_NONE && ivshmem_slots_are_valid(slots) &&
	       atomic_load(&ivshmem_section(slots, slots->own)->owner) == slots->owner;
}

/* The own slot */

static bool draw(uint64_t *owner)
{
	do {
		if (getrandom(owner, sizeof(*owner), 0) != sizeof(*owner))
			return false;
	} while (*owner == FREE);
	return true;
}

/*
 * Say who has the slot, where that is not what it says already: a peer that was stopped in the
 * midst of its heartbeat may write to a slot that it has lost.
 */
static void write_self(struct slots *slots, struct section *section)
{
	int n;

	if (atomic_load(&section->id) != slots->id)
		atomic_store(&section->id, slots->id);
	if (atomic_load(&section->kind) != IVSHMEM_KIND_PROGRAM)
		atomic_store(&section->kind, IVSHMEM_KIND_PROGRAM);
	for (n = 0; n < 4; n++)
		if (atomic_load(&section->name[n]) != slots->name.words[n])
			atomic_store(&section->name[n], slots->name.words[n]);
	atomic_store(&section->heartbeat, ++slots->heartbeat);
	if (atomic_load(&section->state) != IVSHMEM_PEER_PRESENT)
		atomic_store(&section->state, IVSHMEM_PEER_PRESENT);
}

/* Take it from @former, or where nobody has it. */
static bool take(struct slots *slots, uint32_t slot, uint64_t former)
{
	struct section *section = ivshmem_section(slots, slot);

	if (!ivshmem_slots_are_valid(slots) || !draw(&slots->owner) ||
	    !ivshmem_try_replace(&section->owner, former, slots->owner))
		return false;
	/* Who was there before was present. */
	atomic_store(&section->state, ABSENT);
	atomic_fetch_add(&section->generation, 1);
	slots->heartbeat = atomic_load(&section->heartbeat);
	slots->own = slot;
	return true;
}

bool ivshmem_slots_claim(struct slots *slots)
{
	uint32_t slot;

	slots->own = IVSHMEM_SLOT_NONE;
	for (slot = 0; slot < slots->count; slot++)
		if (atomic_load(&ivshmem_section(slots, slot)->owner) == FREE &&
		    take(slots, slot, FREE))
			return true;
	for (slot = 0; slot < slots->count; slot++)
		if (slots->seats[slot].silent >= IVSHMEM_STILL_MS * MILLISECOND &&
		    take(slots, slot, slots->seats[slot].owner))
			return true;
	return false;
}

void ivshmem_slots_beat(struct slots *slots)
{
	if (ivshmem_slots_are_ours(slots))
		write_self(slots, ivshmem_section(slots, slots->own));
}

void ivshmem_slots_leave(struct slots *slots)
{
	struct section *section;

	if (!ivshmem_slots_are_ours(slots))
		return;
	section = ivshmem_section(slots, slots->own);
	atomic_store(&section->state, ABSENT);
	ivshmem_try_replace(&section->owner, slots->owner, FREE);
	slots->own = IVSHMEM_SLOT_NONE;
}

/* The others */

/*
 * How long the heartbeat has stood still, in time during which this program has looked: it may
 * have been stopped itself, and the machine with all of them.
 */
static int64_t silence(struct seat *seat, uint64_t owner, uint64_t heartbeat, int64_t passed)
{
	if (seat->owner != owner) {
		*seat = (struct seat){ .owner = owner, .heartbeat = heartbeat };
	} else if (seat->heartbeat != heartbeat) {
		seat->heartbeat = heartbeat;
		seat->silent = 0;
		seat->beats = true;
	} else if (owner != FREE) {
		seat->silent += passed;
	}
	return seat->silent;
}

bool ivshmem_slots_all_live(const struct slots *slots)
{
	uint32_t slot;

	for (slot = 0; slot < slots->count; slot++)
		if (!slots->seats[slot].beats)
			return false;
	return true;
}

/* Not their id in the section if they have none, or one that nobody can have. */
static uint32_t number_of(uint32_t slot, uint32_t id)
{
	return id <= IVSHMEM_MAX_PEER ? id : IVSHMEM_PEER_FIRST_ID + slot;
}

static void look_at(struct slots *slots, uint32_t slot, int64_t passed, struct ivshmem_peer *peer)
{
	struct section *section = ivshmem_section(slots, slot);
	uint64_t owner = atomic_load(&section->owner);
	int64_t silent = silence(&slots->seats[slot], owner, atomic_load(&section->heartbeat),
				 passed);
	bool self = slot == slots->own && owner == slots->owner;
	uint64_t name[4];
	int n;

	if (owner == FREE || atomic_load(&section->state) != IVSHMEM_PEER_PRESENT ||
	    (silent >= IVSHMEM_SILENT_MS * MILLISECOND && !self))
		return;
	for (n = 0; n < 4; n++)
		name[n] = atomic_load(&section->name[n]);
	*peer = (struct ivshmem_peer){
		.id = number_of(slot, atomic_load(&section->id)),
		.slot = slot,
		.kind = atomic_load(&section->kind),
		.self = self,
		.owner = owner,
		.generation = atomic_load(&section->generation),
		.silent_ns = silent,
	};
	memcpy(peer->name, name, sizeof(name));
}

/* Where the label has changed nobody is known to be there. */
void ivshmem_slots_look(struct slots *slots, struct ivshmem_peer peers[SLOT_MAX])
{
	int64_t time = ivshmem_now();
	int64_t passed = time - slots->looked;
	uint32_t slot;

	memset(peers, 0, SLOT_MAX * sizeof(*peers));
	slots->looked = time;
	if (!ivshmem_slots_are_valid(slots))
		return;
	for (slot = 0; slot < slots->count; slot++)
		look_at(slots, slot, passed < STEP_NS ? passed : STEP_NS, &peers[slot]);
}
