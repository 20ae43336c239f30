// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring from one port to all (src/rings/broadcast.c): who lags behind is skipped and counted, and
 * never gets a frame that was overwritten while it was copied.
 */
#include "common/segment.h"
#include "../guest/pattern.h"
#include "../guest/tap.h"
#include "../../src/rings/words.h"

#define ENTRIES	16
#define BYTES	4096
#define A	1
#define B	2

static struct ivshmem_rings_layout layout;
static void *memory;
static struct end a, b;

static struct ivshmem_port_line *port_line(unsigned int port)
{
	return (void *)((char *)memory + ivshmem_rings_port_line(&layout, port));
}

static void begin(void)
{
	free(memory);
	layout = segment_layout(3, ENTRIES, BYTES);
	memory = calloc(1, segment_size(&layout));
	end_init(&a, &layout, memory, A, B);
	end_init(&b, &layout, memory, B, A);
	end_start(&a);
	end_start(&b);
	end_hear(&b);
}

static void cast(unsigned int frames, uint32_t size)
{
	while (frames--) {
		end_cast(&a, size);
		ivshmem_caster_publish(&a.caster);
	}
}

/* Gives how many frames were whole. */
static uint64_t hear_all(void)
{
	uint64_t first = b.heard;

	while (end_hear(&b))
		;
	return b.heard - first;
}

static void test_frames(void)
{
	uint32_t size, got = 0;

	begin();
	for (size = 1; size <= BYTES; size++) {
		cast(1, size);
		got += hear_all();
	}
	tap_ok(got == BYTES && !b.bad && !b.listener.missed, "frames of all sizes are heard");
	tap_ok(!ivshmem_caster_reserve(&a.caster, BYTES + 1), "a larger one has no room");
	tap_ok(!ivshmem_caster_reserve(&a.caster, 0), "nor has an empty one");
	tap_ok(!ivshmem_caster_reserve(&a.caster, UINT32_MAX), "nor has the largest number");
	cast(1, 64);
	tap_eq(hear_all(), 1, "the ring is as good as before");
}

static void test_first(void)
{
	begin();
	ivshmem_listener_init(&b.listener, &layout, memory, B, A);
	cast(3, 64);
	tap_eq(hear_all(), 0, "what was sent before a listener came is not for it");
	cast(2, 64);
	tap_eq(hear_all(), 2, "what is sent later is");
}

static void test_laps(void)
{
	begin();
	cast(ENTRIES, 64);
	tap_ok(hear_all() == ENTRIES && !b.listener.missed, "a full ring is heard");
	cast(ENTRIES + 3, 64);
	tap_eq(hear_all(), ENTRIES, "of more than that, the newest are heard");
	tap_eq(b.listener.missed, 3, "and the others counted");
	begin();
	cast(5, 1000);
	tap_eq(hear_all(), 4, "a slab that is too small for all has the newest, too");
	tap_eq(b.listener.missed, 1, "and the other is counted");
	cast(2, 64);
	cast(1, BYTES);
	tap_ok(hear_all() == 1 && b.listener.missed == 3 && !b.bad,
	       "a frame as large as the slab is alone in it");
}

static void test_torn(void)
{
	struct ivshmem_frame frame;

	begin();
	cast(1, 1000);
	ivshmem_listener_peek(&b.listener, &frame);
	cast(3, 1000);
	tap_ok(ivshmem_listener_next(&b.listener), "a frame that stays is whole");
	ivshmem_listener_peek(&b.listener, &frame);
	cast(3, 1000);
	tap_ok(!ivshmem_listener_next(&b.listener), "one that is overwritten is not");
	tap_eq(b.listener.missed, 2, "it is missed with those before the oldest");
	ivshmem_listener_peek(&b.listener, &frame);
	ivshmem_caster_reserve(&a.caster, BYTES);
	tap_ok(!ivshmem_listener_next(&b.listener),
	       "nor is one whose room was given away before anything is published");

	begin();
	cast(3, 64);
	ivshmem_listener_peek(&b.listener, &frame);
	end_start(&a);
	tap_ok(!ivshmem_listener_next(&b.listener), "nor one whose sender started anew");
	cast(1, 64);
	b.got = 0;
	tap_ok(hear_all() == 1 && !b.bad, "then its frames are heard");
}

static void test_unpublished(void)
{
	unsigned int n = 0;

	begin();
	while (n < 100 && end_cast(&a, 64))
		n++;
	tap_eq(n, ENTRIES, "what is not published is not given up");
	ivshmem_caster_publish(&a.caster);
	tap_ok(end_cast(&a, 64), "when it is, there is room");
}

static void test_doorbells(void)
{
	const struct ivshmem_ring_line *line;
	uint32_t old;

	begin();
	line = (void *)((char *)memory + ivshmem_rings_line(&layout, B, A));
	cast(1, 64);
	tap_ok(ivshmem_listener_want_frames(&b.listener), "a frame that is there needs no doorbell");
	hear_all();
	tap_ok(!ivshmem_listener_want_frames(&b.listener), "when all is heard it waits");
	end_cast(&a, 64);
	old = ivshmem_caster_publish(&a.caster);
	tap_ok(ivshmem_caster_wakes(&a.caster, old, line), "then it is rung");
	end_cast(&a, 64);
	old = ivshmem_caster_publish(&a.caster);
	tap_ok(!ivshmem_caster_wakes(&a.caster, old, line), "once");
	begin();
	end_start(&a);
	tap_ok(ivshmem_listener_want_frames(&b.listener), "another session is news");
	hear_all();
	tap_ok(!ivshmem_listener_want_frames(&b.listener), "once");
}

/* Frames and their oldest index wrap, with a listener that lags behind by chance. */
static void test_wraps(void)
{
	uint32_t index = UINT32_MAX - 1000;
	uint64_t state = 5, first;

	begin();
	a.caster.writer.produced = index;
	a.caster.writer.published = index;
	a.caster.writer.oldest = index;
	b.listener.next = index;
	number_store(&port_line(A)->oldest, index);
	position_store(&port_line(A)->produced, a.hello, index);
	first = a.sent;
	for (int i = 0; i < 1000; i++) {
		cast(pattern_next(&state) % 20, 1 + (uint32_t)pattern_size(a.sent, BYTES - 1));
		if (pattern_next(&state) % 2)
			hear_all();
	}
	hear_all();
	tap_ok(a.caster.writer.produced < index && b.listener.next == a.caster.writer.produced,
	       "indexes wrap at 32 bits");
	tap_ok(!b.bad && b.got == a.sent && b.listener.missed && b.listener.missed < a.sent - first,
	       "of %llu frames %llu are missed, and the others whole",
	       (unsigned long long)(a.sent - first), (unsigned long long)b.listener.missed);
}

static void expect_broken(const char *what)
{
	hear_all();
	tap_ok(b.listener.state == IVSHMEM_RING_BROKEN, "%s breaks the ring", what);
	cast(1, 64);
	tap_ok(!hear_all() && !ivshmem_listener_want_frames(&b.listener), "nothing is read any more");
	end_start(&a);
	hear_all();
	b.got = 0;
	cast(1, 64);
	tap_eq(hear_all(), 1, "it heals when the other starts anew");
}

static void test_broken(void)
{
	begin();
	cast(1, 64);
	number_store(&a.caster.writer.area.descriptors->offset, BYTES);
	expect_broken("an offset behind the slab");
	begin();
	cast(1, 64);
	number_store(&a.caster.writer.area.descriptors->length, 0);
	expect_broken("a frame of no bytes");
	begin();
	while (end_cast(&a, 64))
		;
	position_store(&port_line(A)->produced, a.hello, ENTRIES + 1);
	expect_broken("an index too far ahead of the oldest frame");
	begin();
	cast(1, 64);
	position_store(&port_line(A)->produced, a.hello, UINT32_MAX);
	expect_broken("an index that goes back");
	begin();
	cast(1, 64);
	number_store(&port_line(A)->oldest, 5);
	expect_broken("an oldest frame that is not there yet");
}

int main(void)
{
	test_frames();
	test_first();
	test_laps();
	test_torn();
	test_unpublished();
	test_doorbells();
	test_wraps();
	test_broken();
	free(memory);
	return tap_done();
}
