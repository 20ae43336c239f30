// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two guests and the host see the same bytes, and each can ring the others, by RING and
 * by WAIT with IVSHMEM_WAIT_RING.
 */
/* rig: guests=2 devices=doorbell vectors=4 size=16M */
#include "dev.h"

#define SIZE (16 << 20)

static uint32_t pattern(unsigned int guest, size_t i)
{
	return (guest + 1) * 0x9e3779b9u + i * 0x85ebca6bu;
}

/* Each guest fills half of the region and checks the other half. */
static void test_bytes(unsigned int me, uint32_t *p)
{
	size_t half = SIZE / 8, wrong = 0, i;

	for (i = 64; i < half; i++)
		p[me * half + i] = pattern(me, i);
	rig_ask("barrier filled");
	for (i = 64; i < half; i++)
		if (p[!me * half + i] != pattern(!me, i) && !wrong++)
			tap_note("word %zu is the first that is wrong", !me * half + i);
	tap_eq(wrong, 0, "the other guest's half shows what that guest wrote");
	rig_ask("barrier checked");
	if (me == 0) {
		rig_ask("memory-write 4096 0badcafe");
		tap_ok(!memcmp((char *)p + 4096, "\x0b\xad\xca\xfe", 4),
		       "the region shows what the host wrote");
	}
}

static void test_doorbells(unsigned int me, int fd, uint32_t peer)
{
	rig_ask("barrier quiet");
	if (me == 0) {
		tap_eq(dev_ring(fd, peer, 2), 0, "ring the other guest");
		tap_eq(dev_wait_vector(fd, 3, 20 * SECOND), 1, "the other guest rings back");
		tap_eq(dev_wait_vector(fd, 2, 0), -ETIMEDOUT, "no other vector fired");
	} else {
		struct ivshmem_wait w = { .vector = 1, .timeout_ns = 20 * SECOND };

		tap_eq(dev_wait_vector(fd, 2, 20 * SECOND), 1, "get a doorbell");
		tap_eq(dev_ring_wait(fd, peer, 3, &w), 0, "ring back and wait in one call");
		tap_eq(w.count, 1, "the answer came");
	}
	if (me == 0)
		tap_eq(dev_ring(fd, peer, 1), 0, "answer the other guest");
}

static void test_host(unsigned int me, int fd)
{
	uint32_t host;

	rig_ask("barrier host");
	if (me)
		return;
	host = atoi(rig_ask("peer-id"));
	tap_eq(host, 2, "the host gets the next free id");
	rig_ask("peer-ring 0 1");
	tap_eq(dev_wait_vector(fd, 1, 20 * SECOND), 1, "the host rings a guest");
	tap_eq(dev_ring(fd, host, 2), 0, "a guest rings the host");
	tap_eq(atoi(rig_ask("peer-wait 2 20")), 1, "the host gets the doorbell");
}

int main(void)
{
	unsigned int me = rig_guest();
	int fd = dev_open();
	uint32_t *p = dev_map(fd, SIZE), peer;

	p[me] = dev_info(fd).id;
	rig_ask("barrier ids");
	peer = p[!me];
	tap_ok(peer != p[me] && peer < 2, "the guests are 0 and 1");
	test_bytes(me, p);
	if (dev_interrupts(fd, "doorbells")) {
		test_doorbells(me, fd, peer);
		test_host(me, fd);
	}
	return tap_done();
}
