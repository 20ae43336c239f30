// SPDX-License-Identifier: GPL-2.0-only
/*
 * Machines with interrupts, which look at polled doorbells only while a peer without is there.
 * What such a peer has rung is heard all the same, however soon it leaves, and however much it
 * is. Each of them also answers to the number of its slot.
 */
/* rig: guests=2 devices=doorbell vectors=64 size=1M timeout=300 */
#include <pthread.h>

#include "peers.h"

#define SIZE (1UL << 20)
#define SLOTS 16
#define VECTORS 64
/* More of them than one look takes. */
#define CROWD 13

static struct ivshmem_label label;
static struct peers seen;
static unsigned int own;
static int fd;

static uint64_t place(unsigned int slot, size_t offset)
{
	return label.peers_offset + slot * label.peer_size + offset;
}

/* The host writes into the section of a slot, as the peer that has it. */
static void host_write(unsigned int slot, size_t offset, const void *bytes, size_t n)
{
	char digits[2 * 256 + 1];

	for (size_t i = 0; i < n; i++)
		sprintf(digits + 2 * i, "%02x", ((const unsigned char *)bytes)[i]);
	rig_ask("memory-write %llu %s", (unsigned long long)place(slot, offset), digits);
}

/* It counts a doorbell of @nr vectors from @first on for this machine. */
static void host_count(unsigned int slot, unsigned int first, unsigned int nr)
{
	static uint32_t counters[VECTORS];
	const size_t rung = offsetof(struct ivshmem_peer_section, counters);

	for (unsigned int i = 0; i < nr; i++)
		counters[i] = 1;
	host_write(slot, rung + 4 * (SLOTS + own * VECTORS + first), counters, 4 * nr);
	host_write(slot, rung + 4 * own, counters, 4);
}

/* It has the slot, or has left it. */
static void host_has(unsigned int slot, bool present)
{
	const struct ivshmem_peer_section peer = {
		.owner = present ? 100 + slot : 0, .generation = 1, .heartbeat = now_ns(),
		.id = IVSHMEM_PEER_NO_ID, .kind = IVSHMEM_PEER_HOST,
		.state = present ? IVSHMEM_PEER_PRESENT : 0, .name = "passing",
	};

	host_write(slot, 0, &peer, offsetof(struct ivshmem_peer_section, reserved));
}

/* How many vectors from @first on were rung once. */
static unsigned int heard(unsigned int first, unsigned int nr)
{
	unsigned int n = 0;

	sleep_ms(1000);
	for (unsigned int i = 0; i < nr; i++)
		n += dev_wait_vector(fd, first + i, SECOND / 1000) == 1;
	return n;
}

static void *sleep_for_doorbell(void *vector)
{
	return (void *)(long)dev_wait_vector(fd, (long)vector, 20 * SECOND);
}

/* Between two looks at who is there a peer comes, rings and leaves. */
static void test_passer_by(void)
{
	long looks = atol(dev_attribute("ivshmem0", "looks"));
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, sleep_for_doorbell, (void *)7L);
	sleep_ms(500);
	host_count(15, 7, 1);
	host_has(15, false);
	pthread_join(thread, &result);
	tap_eq((long)result, 1, "a peer that has left at once wakes a task");
	tap_ok(atol(dev_attribute("ivshmem0", "looks")) <= looks + 3, "a look or two are enough");
}

static void test_crowd(void)
{
	for (unsigned int i = 1; i <= CROWD; i++)
		host_count(i, i, 1);
	host_has(14, false);
	tap_eq(heard(1, CROWD), CROWD, "all of %d peers are heard", CROWD);
}

static void test_all_vectors(void)
{
	host_has(14, true);
	tap_ok(peers_become(fd, &seen, 2), "a peer without interrupts comes");
	sleep_ms(300);
	host_has(14, true);
	host_count(14, 0, VECTORS);
	host_has(14, false);
	tap_ok(peers_become(fd, &seen, 1), "it leaves");
	tap_eq(heard(0, VECTORS), VECTORS, "and all of its %d doorbells are heard", VECTORS);
}

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
		own = peers_self(&seen)->slot;
		test_passer_by();
		test_crowd();
		test_all_vectors();
	}
	rig_ask("barrier labelled");
	if (!first)
		tap_eq(file_write(LABEL_RESCAN, "1"), 0, "read the label");
	test_slots();
	return tap_done();
}
