// SPDX-License-Identifier: GPL-2.0-only
/* A program that breaks the rules of the rings: see attacker.h. */
#include <sys/random.h>

#include "../attacker.h"
#include "../peers.h"

static struct ivshmem_rings_layout layout;
static char *memory;	/* of the partition */
static int device;
static unsigned int own;
static uint32_t hello;
static struct attacker_frame sound;
static struct victim victims[ATTACKER_VICTIMS];

static uint32_t chance(void)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		tap_bail("no random numbers");
	return number ? number : 1;
}

static void ring(const struct victim *v)
{
	dev_ring(device, v->id, ivshmem_port_vector(&layout, memory, v->port, own));
}

struct ivshmem_ring_descriptor *attacker_put(struct victim *v, const void *frame, uint32_t length,
					     const void *header, uint32_t size)
{
	struct ivshmem_ring_writer *w = &v->sender.writer;
	void *room = ivshmem_sender_reserve(&v->sender, length);

	if (!room)
		tap_bail("no room in the ring");
	memcpy(room, frame, length);
	ivshmem_sender_commit(&v->sender, length, header, size);
	return &w->area.descriptors[(w->produced - 1) % w->area.entries];
}

static struct ivshmem_ring_descriptor *put_sound(struct victim *v)
{
	static const char header[IVSHMEM_FRAME_HEADER];

	return attacker_put(v, sound.bytes, sound.length, header, sizeof(header));
}

void attacker_publish(struct victim *v)
{
	ivshmem_sender_publish(&v->sender);
	ring(v);
}

void attacker_leave(struct victim *v)
{
	static const struct ivshmem_port_words nothing;

	ivshmem_sender_publish(&v->sender);
	ivshmem_port_greet(&layout, memory, own, &nothing);
	ring(v);
}

static void bad_offset(struct victim *v)
{
	put_sound(v)->offset = layout.bytes;
	attacker_publish(v);
}

static void bad_end(struct victim *v)
{
	put_sound(v)->offset = layout.bytes - sound.length + 1;
	attacker_publish(v);
}

static void no_length(struct victim *v)
{
	put_sound(v)->length = 0;
	attacker_publish(v);
}

static void large_length(struct victim *v)
{
	put_sound(v)->length = ~0U;
	attacker_publish(v);
}

static void far_index(struct victim *v)
{
	v->sender.own->produced = (uint64_t)v->sender.session << 32 | (layout.entries + 1);
	ring(v);
}

static void index_back(struct victim *v)
{
	put_sound(v);
	attacker_publish(v);
	sleep_ms(300);
	v->sender.own->produced = (uint64_t)v->sender.session << 32 | ~0U;
	ring(v);
}

/* Say how many frames were sent to all. */
static void broadcast(uint32_t produced)
{
	struct ivshmem_port_line *line = (void *)(memory + ivshmem_rings_port_line(&layout, own));

	line->produced = (uint64_t)hello << 32 | produced;
}

void attacker_far_broadcast(struct victim *v)
{
	broadcast(layout.broadcast_entries + 1);
	ring(v);
}

/* All that this port writes, or the lines alone, is noise. */
static void noise(struct victim *v, size_t size)
{
	char *section = memory + ivshmem_rings_port_line(&layout, own);

	for (int i = 0; i < 50; i++) {
		for (size_t at = 0; at + 256 <= size; at += 256)
			if (getrandom(section + at, 256, 0) != 256)
				tap_bail("no random numbers");
		ring(v);
	}
}

static void noisy_lines(struct victim *v)
{
	noise(v, ivshmem_rings_ring(&layout, own, !own) - ivshmem_rings_port_line(&layout, own));
}

static void noisy_section(struct victim *v)
{
	noise(v, 1 << 20);
}

static const struct attack attacks_on_rings[] = {
	{ "a frame behind the slab", bad_offset, BROKEN },
	{ "a frame that ends behind it", bad_end, BROKEN },
	{ "a frame without length", no_length, BROKEN },
	{ "a frame of 4 GiB", large_length, BROKEN },
	{ "more frames than the ring has", far_index, BROKEN },
	{ "an index that goes back", index_back, BROKEN },
	{ "noise in the lines", noisy_lines, NOTHING },
	{ "noise in all of the section", noisy_section, NOTHING },
	{ 0 }
};

bool attacker_come_up(void)
{
	const struct ivshmem_port_words words = { .hello = hello = chance(), .vectors = 1 };
	unsigned int up = 0;

	ivshmem_port_clear(&layout, memory, own);
	for (int i = 0; i < ATTACKER_VICTIMS; i++) {
		struct victim *v = &victims[i];

		ivshmem_sender_init(&v->sender, &layout, memory, own, v->port, v->notes);
		ivshmem_receiver_init(&v->receiver, &layout, memory, own, v->port, hello);
	}
	broadcast(0);
	ivshmem_port_greet(&layout, memory, own, &words);
	for (int tries = 0; tries < 300000 && up < 2 * ATTACKER_VICTIMS; tries++, usleep(100)) {
		up = 0;
		for (int i = 0; i < ATTACKER_VICTIMS; i++) {
			struct victim *v = &victims[i];

			ivshmem_sender_look(&v->sender,
					    ivshmem_port_hello(&layout, memory, v->port), chance());
			ivshmem_receiver_look(&v->receiver);
			up += v->sender.state == IVSHMEM_RING_UP;
			up += v->receiver.state == IVSHMEM_RING_UP;
			if (tries % 4 == 0)
				ring(v);
		}
	}
	return up == 2 * ATTACKER_VICTIMS;
}

/* Find the partition, the own port, and the others. */
static void prepare(int fd)
{
	struct peers peers = { 0 };
	unsigned int n = 0;

	if (!peers_become(fd, &peers, 1 + ATTACKER_VICTIMS) || !peers_self(&peers))
		tap_bail("not all guests have a slot");
	own = peers_self(&peers)->slot;
	for (unsigned int i = 0; i < peers.nr; i++) {
		if (peers.at[i].slot == own)
			continue;
		victims[n].port = peers.at[i].slot;
		victims[n].id = peers.at[i].id;
		n++;
	}
	memory = (char *)dev_map(fd, dev_size(fd)) + SEGMENT_OFFSET;
	if (ivshmem_rings_parse(memory, dev_size(fd) - SEGMENT_OFFSET, &layout))
		tap_bail("the partition has no header");
	for (n = 0; n < ATTACKER_VICTIMS; n++)
		victims[n].notes = calloc(layout.entries, sizeof(*victims[n].notes));
}

static void attack(const struct attack *attacks)
{
	for (; attacks->name; attacks++) {
		tap_ok(attacker_come_up(), "%s: shake hands before", attacks->name);
		rig_ask("barrier up");
		for (int n = 0; n < ATTACKER_VICTIMS; n++)
			attacks->run(&victims[n]);
		rig_ask("barrier attacked");
	}
}

void attacker_run(int fd, struct attacker_frame frame, const struct attack *more)
{
	device = fd;
	sound = frame;
	prepare(fd);
	attack(more);
	attack(attacks_on_rings);
	ivshmem_port_clear(&layout, memory, own);
}

static void bear(const struct attack *attacks, long long (*count)(enum effect effect),
		 bool (*reaches)(void))
{
	for (; attacks->name; attacks++) {
		enum effect effect = attacks->effect;
		long long before = effect ? count(effect) : 0;
		bool grows = false;

		rig_ask("barrier up");
		for (int i = 0; effect && i < 1200 && !grows; i++, sleep_ms(100))
			grows = count(effect) > before;
		if (effect)
			tap_ok(grows, "%s: it is counted", attacks->name);
		tap_ok(reaches(), "%s: others reach each other", attacks->name);
		rig_ask("barrier attacked");
	}
}

void attacker_bear(const struct attack *more, long long (*count)(enum effect effect),
		   bool (*reaches)(void))
{
	bear(more, count, reaches);
	bear(attacks_on_rings, count, reaches);
}
