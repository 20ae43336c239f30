// SPDX-License-Identifier: GPL-2.0-only
/*
 * Message passing, the litmus test, with a mapped doorbell as the flag: what a guest
 * stored before it rang is what the other one loads after the doorbell. The barrier
 * between the two is the one that linux/ivshmem.h asks for: here, and in the library's
 * ivshmem_ring(), which the other half of the rounds calls.
 */
/* Alone: a late doorbell of an earlier test would pass for one of ours. */
/* rig: guests=2 devices=doorbell vectors=2 size=1M alone=yes */
#include <endian.h>
#include <ivshmem.h>

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

static int fd;
static uint32_t peer;
static volatile uint32_t *registers;
static struct ivshmem *handle;		/* of the library */

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

static void ring_by_hand(void)
{
	order_before_register();
	registers[IVSHMEM_REG_DOORBELL / 4] = htole32(IVSHMEM_DOORBELL(peer, 1));
}

static void ring_by_library(void)
{
	ivshmem_ring(handle, peer, 1);
}

static void write_messages(struct shared *shared, uint32_t from, uint32_t to,
			   void (*ring)(void))
{
	for (uint32_t round = from; round <= to; round++) {
		write_message(shared, round);
		ring();
		while (__atomic_load_n(&shared->seen, __ATOMIC_ACQUIRE) != round)
			if (dev_wait_vector(fd, 1, 60 * SECOND) < 0)
				tap_bail("no answer in round %u", round);
	}
}

static void test_writer(struct shared *shared, uint32_t rounds)
{
	struct ivshmem_properties properties = { 0 };

	registers = dev_map_registers(fd);
	if (ivshmem_open(&handle, RIG_DEVICE, 0))
		tap_bail("the library cannot open the device");
	ivshmem_get_properties(handle, &properties);
	tap_ok(properties.mapped_registers, "the library rings by the mapped register");
	write_messages(shared, 1, rounds / 2, ring_by_hand);
	tap_ok(true, "%u messages written", rounds / 2);
	write_messages(shared, rounds / 2 + 1, rounds, ring_by_library);
	tap_ok(true, "the others announced by the library");
	ivshmem_close(handle);
}

static void test_reader(struct shared *shared, uint32_t rounds)
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

	fd = dev_open();
	if (!dev_interrupts(fd, "order of stores and doorbells"))
		return tap_done();
	shared = dev_map(fd, 1 << 20);
	shared->id[me] = dev_info(fd).id;
	rig_ask("barrier ids");
	peer = shared->id[!me];
	if (me)
		test_reader(shared, rounds);
	else
		test_writer(shared, rounds);
	return tap_done();
}
