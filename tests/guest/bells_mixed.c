// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine with interrupts and one without have the same memory. Each rings the other, and
 * they hand a word over. The one with interrupts looks at polled doorbells only while the other
 * is there.
 */
/* rig: guests=2 devices=mixed vectors=4 size=1M timeout=240 */
#include "peers.h"

#define SIZE (1UL << 20)
#define WORD (512UL << 10)

static int fd;
static struct peers seen;

/* Without the other one, nobody looks. */
static void test_alone(void)
{
	const char *before;
	long looks;

	before = dev_attribute("ivshmem0", "looks");
	looks = atol(before);
	tap_eq(dev_wait_vector(fd, 0, SECOND / 2), -ETIMEDOUT, "wait alone");
	tap_eq(atol(dev_attribute("ivshmem0", "looks")), looks, "interrupts need no looks");
}

static uint32_t other_id(void)
{
	const struct ivshmem_peer_info *self = peers_self(&seen);

	return seen.at[self == &seen.at[0]].id;
}

static void hand_over(unsigned int turns, unsigned int me, uint32_t peer)
{
	volatile uint32_t *word = dev_map_at(fd, WORD, PAGE);
	unsigned int mine = 0, lost = 0;
	uint32_t now;

	while ((now = __atomic_load_n(word, __ATOMIC_ACQUIRE)) < turns && !lost) {
		struct ivshmem_wait w = {
			.flags = IVSHMEM_WAIT_WORD, .vector = 1, .timeout_ns = 60 * SECOND,
			.offset = WORD, .expected = now,
		};

		if (now % 2 != me) {
			lost = dev_wait(fd, &w) < 0;
			continue;
		}
		__atomic_store_n(word, now + 1, __ATOMIC_RELEASE);
		dev_ring(fd, peer, 1);
		mine++;
	}
	tap_eq(lost, 0, "no wake-up is lost");
	tap_eq(mine, turns / 2, "this guest made every other hand-over");
}

int main(void)
{
	const int turns = rig_times(10000);
	bool first = !rig_guest();
	struct ivshmem_label label = label_new(SIZE);
	struct ivshmem_info info;
	bool interrupts;
	char *region;

	fd = dev_open();
	info = dev_info(fd);
	interrupts = info.vectors;
	region = dev_map(fd, SIZE);
	if (first) {
		label_add_peers(&label, 4, 4);
		label_store(region, &label);
		tap_eq(file_write(LABEL_RESCAN, "1"), 0, "a label");
		tap_ok(peers_become(fd, &seen, 1), "the first one is there");
		if (interrupts)
			test_alone();
	}
	rig_ask("barrier labelled");
	if (!first) {
		tap_eq(file_write(LABEL_RESCAN, "1"), 0, "read the label");
		close(fd);
		fd = dev_open();
	}
	tap_ok(peers_become(fd, &seen, 2), "both are there");
	rig_ask("barrier seen");
	info = dev_info(fd);
	tap_ok(first && interrupts ? info.id < 0xff00 : info.id >= 0xff00, "the own id is %#x",
	       info.id);
	tap_ok(info.features & IVSHMEM_FEATURE_POLLED, "doorbells can be polled");
	tap_eq(peers_self(&seen)->id, info.id, "peers have it as well");
	tap_eq(dev_ring_self(fd, 2), 0, "ring oneself");
	tap_eq(dev_wait_vector(fd, 2, 30 * SECOND), 1, "and hear it");
	hand_over(turns, !first, other_id());
	rig_ask("barrier over");
	/* A slot is a number to ring, too, whatever else the peer has. */
	dev_ring(fd, 0xff00 + seen.at[peers_self(&seen) == &seen.at[0]].slot, 3);
	tap_eq(dev_wait_vector(fd, 3, 30 * SECOND), 1, "rung by the slot");
	rig_ask("barrier slots");
	return tap_done();
}
