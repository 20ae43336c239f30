// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer that breaks the rules of the rings of a network: a program in guest 1 plays its port, and
 * says what no port would say. The others count it, and reach each other all the time. When its
 * guest loads the driver, that works as any other.
 */
/* rig: guests=3 devices=doorbell vectors=4 size=16M timeout=240 */
#include <sys/random.h>

#include "../../src/rings/ring.h"
#include "ethtool.h"
#include "peers.h"
#include "segment.h"

#define VICTIMS 2
#define FRAME 60	/* bytes, the least that is one of Ethernet */

/* What the others notice of an attack. */
enum effect {
	NOTHING,
	BROKEN,
	WRONG_FRAME,
};

/* A peer that is attacked, and the rings with it. */
struct victim {
	unsigned int port;
	uint32_t id;
	struct ivshmem_sender sender;
	struct ivshmem_receiver receiver;
	struct ivshmem_ring_note *notes;
};

static struct ivshmem_rings_layout layout;
static char *memory;	/* of the partition */
static int fd;
static unsigned int own;
static uint32_t hello;
static struct victim victims[VICTIMS];

static uint32_t chance(void)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		tap_bail("no random numbers");
	return number ? number : 1;
}

static void ring(const struct victim *v)
{
	dev_ring(fd, v->id, ivshmem_port_vector(&layout, memory, v->port, own));
}

/* Append a frame to the ring. Gives its descriptor, so that it can be spoilt. */
static struct ivshmem_ring_descriptor *put(struct victim *v, uint32_t length, uint8_t gso_type)
{
	struct ivshmem_ring_writer *w = &v->sender.writer;
	uint8_t header[10] = { 0, gso_type, 0, 0, 1 };
	uint8_t *frame = ivshmem_sender_reserve(&v->sender, length);

	if (!frame)
		tap_bail("no room in the ring");
	memset(frame, 0x66, length);
	frame[0] = 2;
	ivshmem_sender_commit(&v->sender, length, header, sizeof(header));
	return &w->area.descriptors[(w->produced - 1) % w->area.entries];
}

static void publish(struct victim *v)
{
	ivshmem_sender_publish(&v->sender);
	ring(v);
}

static void bad_offset(struct victim *v)
{
	put(v, FRAME, 0)->offset = layout.bytes;
	publish(v);
}

static void bad_end(struct victim *v)
{
	put(v, FRAME, 0)->offset = layout.bytes - FRAME + 1;
	publish(v);
}

static void no_length(struct victim *v)
{
	put(v, FRAME, 0)->length = 0;
	publish(v);
}

static void large_length(struct victim *v)
{
	put(v, FRAME, 0)->length = ~0U;
	publish(v);
}

static void far_index(struct victim *v)
{
	v->sender.own->produced = (uint64_t)v->sender.session << 32 | (layout.entries + 1);
	ring(v);
}

static void index_back(struct victim *v)
{
	put(v, FRAME, 0);
	publish(v);
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

static void far_broadcast(struct victim *v)
{
	broadcast(layout.broadcast_entries + 1);
	ring(v);
}

static void short_frame(struct victim *v)
{
	put(v, 13, 0);
	publish(v);
}

static void unknown_segments(struct victim *v)
{
	put(v, FRAME, 0x7f);
	publish(v);
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

static const struct {
	const char *name;
	void (*run)(struct victim *v);
	enum effect effect;
} attacks[] = {
	{ "a frame behind the slab", bad_offset, BROKEN },
	{ "a frame that ends behind it", bad_end, BROKEN },
	{ "a frame without length", no_length, BROKEN },
	{ "a frame of 4 GiB", large_length, BROKEN },
	{ "more frames than the ring has", far_index, BROKEN },
	{ "an index that goes back", index_back, BROKEN },
	{ "frames to all that are none", far_broadcast, BROKEN },
	{ "a frame without a whole header", short_frame, WRONG_FRAME },
	{ "segments of a kind that is unknown", unknown_segments, WRONG_FRAME },
	{ "noise in the lines", noisy_lines, NOTHING },
	{ "noise in all of the section", noisy_section, NOTHING },
};

#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

/* Be a port that has just started, and shake hands with the others. */
static bool come_up(void)
{
	const struct ivshmem_port_words words = { .hello = hello = chance(), .vectors = 1 };
	unsigned int up = 0;

	ivshmem_port_clear(&layout, memory, own);
	for (int i = 0; i < VICTIMS; i++) {
		struct victim *v = &victims[i];

		ivshmem_sender_init(&v->sender, &layout, memory, own, v->port, v->notes);
		ivshmem_receiver_init(&v->receiver, &layout, memory, own, v->port, hello);
	}
	broadcast(0);
	ivshmem_port_greet(&layout, memory, own, &words);
	for (int tries = 0; tries < 3000 && up < 2 * VICTIMS; tries++, sleep_ms(10)) {
		up = 0;
		for (int i = 0; i < VICTIMS; i++) {
			struct victim *v = &victims[i];

			ivshmem_sender_look(&v->sender,
					    ivshmem_port_hello(&layout, memory, v->port), chance());
			ivshmem_receiver_look(&v->receiver);
			up += v->sender.state == IVSHMEM_RING_UP;
			up += v->receiver.state == IVSHMEM_RING_UP;
			if (tries % 10 == 0)
				ring(v);
		}
	}
	return up == 2 * VICTIMS;
}

/* Find the partition, the own port, and the others. */
static void prepare(void)
{
	struct peers peers = { 0 };
	unsigned int n = 0;

	if (!peers_become(fd, &peers, 1 + VICTIMS) || !peers_self(&peers))
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
	for (n = 0; n < VICTIMS; n++)
		victims[n].notes = calloc(layout.entries, sizeof(*victims[n].notes));
}

static void attack(void)
{
	prepare();
	for (unsigned int i = 0; i < ATTACKS; i++) {
		tap_ok(come_up(), "%s: shake hands before", attacks[i].name);
		rig_ask("barrier up");
		for (int n = 0; n < VICTIMS; n++)
			attacks[i].run(&victims[n]);
		rig_ask("barrier attacked");
	}
	ivshmem_port_clear(&layout, memory, own);
}

/* Has the counter of an effect grown before long? */
static bool grows(const char *name, long long before)
{
	for (int i = 0; i < 300 && ethtool_sum("ivs0", name) == before; i++)
		sleep_ms(100);
	return ethtool_sum("ivs0", name) > before;
}

static void bear(void)
{
	static const char * const names[] = { "", "_broken", "_rx_errors" };
	int other = 2 - rig_guest();

	for (unsigned int i = 0; i < ATTACKS; i++) {
		const char *name = names[attacks[i].effect];
		long long before = attacks[i].effect ? ethtool_sum("ivs0", name) : 0;

		rig_ask("barrier up");
		if (attacks[i].effect)
			tap_ok(grows(name, before), "%s: it is counted", attacks[i].name);
		tap_ok(segment_reaches(other), "%s: others reach each other", attacks[i].name);
		rig_ask("barrier attacked");
	}
}

int main(void)
{
	bool hostile = rig_guest() == 1;

	segment_make();
	fd = dev_open();
	if (!hostile)
		segment_load();
	rig_ask("barrier loaded");
	if (hostile)
		attack();
	else
		bear();
	rig_ask("barrier over");
	if (hostile)
		segment_load();
	rig_ask("barrier healed");
	for (int guest = 0; guest < 3; guest++)
		if (guest != rig_guest())
			tap_ok(segment_reaches(guest), "in the end it reaches guest %d", guest);
	rig_ask("barrier end");
	close(fd);
	segment_unload();
	return tap_done();
}
