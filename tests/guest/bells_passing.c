// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machines with interrupts, which look at polled doorbells only while a peer without is there.
 * What such a peer has rung is heard all the same, however soon it leaves, and however much it
 * is. Each of them also answers to the number of its slot.
 */
/* rig: guests=2 devices=doorbell vectors=64 size=1M timeout=300 */
#include "peers.h"

#define SIZE (1UL << 20)
#define SLOTS 16
#define VECTORS 64

static struct ivshmem_label label;
static struct peers seen;
static int fd;

/* Interrupts do what counters cannot: the other machine does not look. */
static void test_slots(void)
{
	const struct ivshmem_peer_info *self;

	tap_ok(peers_become(fd, &seen, 2), "both are there");
	self = peers_self(&seen);
	rig_ask("barrier seen");
	tap_ok(self->id < 0xff00, "this guest has interrupts");
	tap_eq(dev_ring(fd, 0xff00 + seen.at[self == &seen.at[0]].slot, 63), 0,
	       "ring the other one by its slot");
	tap_eq(dev_wait_vector(fd, 63, 30 * SECOND), 1, "and be rung by it");
	tap_eq(dev_ring(fd, 0xff00 + self->slot, 62), 0, "ring oneself by the slot");
	tap_eq(dev_wait_vector(fd, 62, 30 * SECOND), 1, "and hear it");
	rig_ask("barrier slots");
}

int main(void)
{
	bool first = !rig_guest();

	label = label_new(SIZE);
	label_add_peers(&label, SLOTS, VECTORS);
	fd = dev_open();
	if (!dev_interrupts(fd, "interrupts and polled doorbells at once"))
		return tap_done();
	if (first) {
		label_store(dev_map(fd, SIZE), &label);
		tap_eq(file_write(LABEL_RESCAN, "1"), 0, "a label");
		tap_ok(peers_become(fd, &seen, 1), "the first one is there");
	}
	rig_ask("barrier labelled");
	if (!first)
		tap_eq(file_write(LABEL_RESCAN, "1"), 0, "read the label");
	test_slots();
	return tap_done();
}
