// SPDX-License-Identifier: GPL-2.0-only
/*
 * Message passing, the litmus test, with a mapped doorbell as the flag: what a guest
 * stored before it rang is what the other one loads after the doorbell. The barrier
 * between the two is the one that linux/ivshmem.h asks for.
 */
/* Alone: a late doorbell of an earlier test would pass for one of ours. */
/* rig: guests=2 devices=doorbell vectors=2 size=1M alone=yes */
#include <endian.h>

#include "dev.h"

#define LINES 64	/* words of the message, each in a cache line of its own */
#define LINE 64

struct shared {
	volatile uint32_t id[2];
	volatile uint32_t seen __attribute__((aligned(LINE)));	/* rounds of the reader */
	struct {
		uint32_t word __attribute__((aligned(LINE)));
	} message[LINES];
};

static inline void order_before_register(void)
{
#if defined(__x86_64__)
	asm volatile("" ::: "memory");
#elif defined(__aarch64__)
	asm volatile("dmb oshst" ::: "memory");
#else
#error "which barrier orders stores before those to a device?"
#endif
}

/* Stores in another order each time, for the compiler and processor to reorder. */
static void write_message(struct shared *shared, uint32_t round)
{
	for (uint32_t i = 0; i < LINES; i++)
		__atomic_store_n(&shared->message[(i * 7 + round) % LINES].word, round,
				 __ATOMIC_RELAXED);
}

static void test_writer(struct shared *shared, int fd, uint32_t peer, uint32_t rounds)
{
	volatile uint32_t *regs = dev_map_registers(fd);

	for (uint32_t round = 1; round <= rounds; round++) {
		write_message(shared, round);
		order_before_register();
		regs[IVSHMEM_REG_DOORBELL / 4] = htole32(IVSHMEM_DOORBELL(peer, 1));
		while (__atomic_load_n(&shared->seen, __ATOMIC_ACQUIRE) != round)
			if (dev_wait_vector(fd, 1, 60 * SECOND) < 0)
				tap_bail("no answer in round %u", round);
	}
	tap_ok(true, "%u messages written", rounds);
}

static void test_reader(struct shared *shared, int fd, uint32_t peer, uint32_t rounds)
{
	unsigned int stale = 0;

	for (uint32_t round = 1; round <= rounds; round++) {
		if (dev_wait_vector(fd, 1, 60 * SECOND) < 0)
			tap_bail("no doorbell in round %u", round);
		for (uint32_t i = 0; i < LINES; i++) {
			uint32_t word = __atomic_load_n(&shared->message[i].word,
							__ATOMIC_RELAXED);

			if (word != round && !stale++)
				tap_note("round %u: word %u is %u", round, i, word);
		}
		__atomic_store_n(&shared->seen, round, __ATOMIC_RELEASE);
		dev_ring(fd, peer, 1);
	}
	tap_eq(stale, 0, "the doorbell comes after all stores of the message");
}

int main(void)
{
	const uint32_t rounds = rig_times(20000);
	const unsigned int me = rig_guest();
	struct shared *shared;
	int fd = dev_open();

	if (!dev_interrupts(fd, "order of stores and doorbells"))
		return tap_done();
	shared = dev_map(fd, 1 << 20);
	shared->id[me] = dev_info(fd).id;
	rig_ask("barrier ids");
	if (me)
		test_reader(shared, fd, shared->id[0], rounds);
	else
		test_writer(shared, fd, shared->id[1], rounds);
	return tap_done();
}
