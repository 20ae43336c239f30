// SPDX-License-Identifier: GPL-2.0-only
/*
 * No wake-up is lost: two guests hand a word over to each other, without spinning and without a
 * timeout. After one lost doorbell both would sleep until the test times out. CYCLES=1000000
 * has them do it a million times.
 */
/* rig: guests=2 devices=doorbell vectors=2 size=1M smp=1 timeout=1200 over=pci,polled */
#include "dev.h"

static int fd;

/* The guests' ids, and the word that they hand over. */
struct shared {
	volatile uint32_t id[2];
	volatile uint32_t turn __attribute__((aligned(64)));
};

static void wait_for_change(uint32_t seen)
{
	struct ivshmem_wait w = {
		.flags = IVSHMEM_WAIT_WORD, .vector = 1, .timeout_ns = -1,
		.offset = offsetof(struct shared, turn), .expected = seen,
	};
	int ret = dev_wait(fd, &w);

	if (ret)
		tap_bail("WAIT: %s", strerror(-ret));
}

int main(void)
{
	/* Polled doorbells take as long as the poll interval. */
	const unsigned int handovers = rig_cycles(rig_over("polled") ? 5000 : 50000);
	const unsigned int me = rig_guest();
	struct shared *shared;

	fd = dev_open();
	if (!dev_interrupts(fd, "handing a word over"))
		return tap_done();
	shared = dev_map(fd, 1 << 20);
	shared->id[me] = dev_info(fd).id;
	rig_ask("barrier ids");

	uint32_t peer = shared->id[!me], turn;
	unsigned int mine = 0;

	tap_ok(peer != shared->id[me], "the guests have different ids");
	for (;;) {
		turn = __atomic_load_n(&shared->turn, __ATOMIC_ACQUIRE);
		if (turn >= handovers)
			break;
		if (turn % 2 != me) {
			wait_for_change(turn);
			continue;
		}
		__atomic_store_n(&shared->turn, turn + 1, __ATOMIC_RELEASE);
		dev_ring(fd, peer, 1);
		mine++;
	}
	tap_eq(mine, handovers / 2, "this guest made every other hand-over");
	tap_eq(shared->turn, handovers, "%u hand-overs, and no wake-up was lost", handovers);
	return tap_done();
}
