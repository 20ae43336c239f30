// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring from one port to another (src/rings/ring.c), with both ends in one memory: frames of all
 * sizes, a full ring, indexes that wrap, who is rung when, a handshake with deaths at any
 * step, and each rule that the other end can break.
 */
#include "common/segment.h"
#include "../guest/pattern.h"
#include "../guest/tap.h"
#include "../../src/rings/words.h"

#define ENTRIES	16
#define BYTES	4096
#define A	2
#define B	0

static struct ivshmem_rings_layout layout;
static void *memory;
static struct end a, b;

static struct ivshmem_ring_line *line(unsigned int port, unsigned int other)
{
	return (void *)((char *)memory + ivshmem_rings_line(&layout, port, other));
}

static void begin(uint32_t entries, uint32_t bytes)
{
	free(memory);
	layout = segment_layout(3, entries, bytes);
	memory = calloc(1, segment_size(&layout));
	end_init(&a, &layout, memory, A, B);
	end_init(&b, &layout, memory, B, A);
	end_start(&a);
	end_start(&b);
}

static void begin_up(uint32_t entries, uint32_t bytes)
{
	begin(entries, bytes);
	if (!ends_meet(&a, &b))
		tap_ok(false, "the ends meet");
}

/* Send a frame and receive it. */
static bool passes(uint32_t size)
{
	struct ivshmem_reclaimed done;
	uint64_t bad = b.bad;

	if (!end_send(&a, size))
		return false;
	ivshmem_sender_publish(&a.sender);
	if (!end_receive(&b))
		return false;
	ivshmem_receiver_publish(&b.receiver);
	return b.bad == bad && !ivshmem_sender_reclaim(&a.sender, &done) && done.frames == 1 &&
	       done.bytes == size;
}

static void test_sizes(void)
{
	uint32_t size;

	begin_up(ENTRIES, BYTES);
	for (size = 1; size <= BYTES && passes(size); size++)
		;
	tap_eq(size, BYTES + 1, "frames of all sizes pass, up to the whole slab");
	tap_ok(!ivshmem_sender_reserve(&a.sender, BYTES + 1), "a larger one has no room");
	tap_ok(!ivshmem_sender_reserve(&a.sender, 0), "nor has an empty one");
	begin_up(ENTRIES, 256 << 10);
	tap_ok(passes(IVSHMEM_FRAME_MAX), "the longest frame passes");
	tap_ok(!ivshmem_sender_reserve(&a.sender, IVSHMEM_FRAME_MAX + 1),
	       "one byte more is too long");
	tap_ok(!ivshmem_sender_reserve(&a.sender, UINT32_MAX), "so is the largest number");
}

/* Fill and drain the ring by chance. Gives how many frames were received. */
static uint64_t churn(uint64_t rounds)
{
	struct ivshmem_reclaimed done;
	uint64_t sent = 0, state = 7, first = b.got;

	while (rounds--) {
		uint32_t steps = pattern_next(&state) % (2 * ENTRIES);

		while (steps-- && end_send(&a, 1 + (uint32_t)pattern_size(sent, BYTES - 1)))
			sent++;
		ivshmem_sender_publish(&a.sender);
		steps = pattern_next(&state) % (2 * ENTRIES);
		while (steps-- && end_receive(&b))
			;
		ivshmem_receiver_publish(&b.receiver);
		ivshmem_sender_reclaim(&a.sender, &done);
	}
	while (end_receive(&b))
		;
	ivshmem_receiver_publish(&b.receiver);
	ivshmem_sender_reclaim(&a.sender, &done);
	return b.got - first == sent ? sent : 0;
}

/* As if so many frames had gone before. */
static void set_index(uint32_t index)
{
	a.sender.writer.produced = index;
	a.sender.writer.published = index;
	a.sender.writer.oldest = index;
	b.receiver.consumed = index;
	b.receiver.published = index;
	b.receiver.produced = index;
	position_store(&line(A, B)->produced, a.sender.session, index);
	position_store(&line(B, A)->consumed, a.sender.session, index);
}

static void test_churn(void)
{
	begin_up(ENTRIES, BYTES);
	tap_ok(churn(20000) > 20000 && !b.bad, "frames of random sizes arrive in order");
	tap_eq(a.sender.writer.used, 0, "in the end all of the slab is free");
	set_index(UINT32_MAX - 100);
	tap_ok(churn(200) > 200 && !b.bad && a.sender.writer.produced < 10000,
	       "indexes wrap at 32 bits");
}

static void test_full(void)
{
	struct ivshmem_reclaimed done;
	unsigned int n = 0;

	begin_up(ENTRIES, BYTES);
	while (end_send(&a, 1))
		n++;
	tap_eq(n, ENTRIES, "the ring has room for as many frames as descriptors");
	tap_ok(!end_receive(&b), "what is not published is not received");
	ivshmem_sender_publish(&a.sender);
	ivshmem_sender_reclaim(&a.sender, &done);
	tap_eq(done.frames, 0, "nothing was read yet");
	end_receive(&b);
	ivshmem_receiver_publish(&b.receiver);
	tap_ok(!end_send(&a, 1), "room that was not reclaimed is no room");
	ivshmem_sender_reclaim(&a.sender, &done);
	tap_ok(done.frames == 1 && end_send(&a, 1) && !end_send(&a, 1),
	       "a frame that was read makes room for one");
}

static void test_doorbells(void)
{
	struct ivshmem_reclaimed done;
	unsigned int i, rung = 0;

	begin_up(ENTRIES, BYTES);
	end_send(&a, 1);
	tap_ok(!ivshmem_sender_publish(&a.sender), "who polls is not rung");
	tap_ok(ivshmem_receiver_want_frames(&b.receiver), "a frame that is there needs no doorbell");
	end_receive(&b);
	tap_ok(!ivshmem_receiver_want_frames(&b.receiver), "when all is read it waits");
	end_send(&a, 1);
	tap_ok(ivshmem_sender_publish(&a.sender), "then it is rung");
	end_send(&a, 1);
	tap_ok(!ivshmem_sender_publish(&a.sender), "once");
	tap_ok(!ivshmem_sender_publish(&a.sender), "without a frame there is no doorbell");
	while (end_receive(&b))
		;
	ivshmem_receiver_publish(&b.receiver);
	ivshmem_sender_reclaim(&a.sender, &done);
	for (i = 0; i < 8; i++)
		end_send(&a, 1);
	ivshmem_sender_publish(&a.sender);
	tap_ok(!ivshmem_sender_want_room(&a.sender), "nothing was read yet, so the sender waits");
	for (i = 0; i < 4 && end_receive(&b); i++)
		rung += ivshmem_receiver_publish(&b.receiver);
	tap_eq(rung, 0, "it is not rung while less than half was read");
	end_receive(&b);
	tap_ok(ivshmem_receiver_publish(&b.receiver), "it is rung behind the half");
	tap_ok(ivshmem_sender_want_room(&a.sender), "what was read can be reclaimed at once");
}

/* Steps of a life: either end looks, dies, starts, or sees the other as gone for a while. */
static void live(uint64_t *state)
{
	struct end *end = pattern_next(state) % 2 ? &a : &b;

	switch (pattern_next(state) % 8) {
	case 0:
		end_start(end);
		break;
	case 1:
		end_look(end, false);
		break;
	case 2:
		/* It dies while it starts. */
		ivshmem_port_clear(&layout, memory, end->own);
		end_start(end);
		break;
	case 3:
		if (end->sender.state == IVSHMEM_RING_UP && end_send(end, 100))
			ivshmem_sender_publish(&end->sender);
		break;
	case 4:
		end_receive(end);
		ivshmem_receiver_publish(&end->receiver);
		break;
	default:
		end_look(end, true);
	}
}

static bool frames_pass(struct end *from, struct end *to)
{
	from->sent = 0;
	to->got = 0;
	to->bad = 0;
	while (end_receive(to))
		;
	from->sent = 0;
	to->got = 0;
	to->bad = 0;
	if (!end_send(from, 77))
		return false;
	ivshmem_sender_publish(&from->sender);
	return end_receive(to) && !to->bad;
}

static void test_lives(void)
{
	unsigned int lives, failed = 0;
	uint64_t state = 3;

	begin(ENTRIES, BYTES);
	for (lives = 0; lives < 20000; lives++) {
		unsigned int steps = pattern_next(&state) % 12;

		while (steps--)
			live(&state);
		/* An end that no longer knows of the other learns that it is present. */
		end_look(&a, false);
		end_look(&b, false);
		failed += !ends_meet(&a, &b) || !frames_pass(&a, &b) || !frames_pass(&b, &a);
	}
	tap_eq(failed, 0, "after %u lives with deaths at any step the ends meet again", lives);
}

static void test_handshake(void)
{
	begin(ENTRIES, BYTES);
	tap_ok(end_look(&a, true) & IVSHMEM_LOOK_RING, "who sees a new port rings it");
	tap_ok(a.sender.state == IVSHMEM_RING_GREETING, "and waits for its answer");
	tap_ok(ivshmem_receiver_want_frames(&b.receiver), "a session is news for that");
	tap_ok(ivshmem_receiver_look(&b.receiver) & IVSHMEM_LOOK_RING, "it accepts, and rings as well");
	end_look(&b, true);
	tap_ok(end_look(&a, true) & IVSHMEM_LOOK_UP, "then the ring is up");
	tap_ok(end_look(&b, true) & IVSHMEM_LOOK_UP, "and so is the other");
	tap_eq(end_look(&a, true) | end_look(&b, true), 0, "nothing else happens");
	end_start(&b);
	tap_ok(end_look(&a, true) & IVSHMEM_LOOK_DOWN, "a port that starts anew ends the session");
	tap_ok(ends_meet(&a, &b), "another session begins");
	tap_ok(end_look(&a, false) & IVSHMEM_LOOK_DOWN, "a port that is gone ends it");
	tap_ok(ends_meet(&a, &b), "one that was only late begins another");
	end_start(&a);
	tap_ok(ivshmem_receiver_want_frames(&b.receiver), "the end of a session is news");
	tap_ok(end_look(&b, true) & IVSHMEM_LOOK_DOWN &&
	       !ivshmem_receiver_want_frames(&b.receiver), "once");
	end_look(&a, true);
	tap_ok(!end_receive(&b) && b.receiver.state == IVSHMEM_RING_DOWN &&
	       ivshmem_receiver_look(&b.receiver) & IVSHMEM_LOOK_RING,
	       "a session that is found while frames are read is accepted at the next look");
	ends_meet(&a, &b);
	end_start(&a);
	end_look(&a, true);
	tap_ok(!end_receive(&b) && ivshmem_receiver_look(&b.receiver) & IVSHMEM_LOOK_RING,
	       "so is one that follows another");
	begin(ENTRIES, BYTES);
	end_look(&a, true);
	end_start(&b);
	tap_ok(!(end_look(&b, true) & IVSHMEM_LOOK_UP) && b.receiver.state == IVSHMEM_RING_DOWN,
	       "a session for a port before is not accepted");
}

/* A word of the other end that breaks a rule, and what must come of it. */
static void break_produced(uint32_t index)
{
	position_store(&line(A, B)->produced, a.sender.session, index);
}

static void break_consumed(uint32_t index)
{
	position_store(&line(B, A)->consumed, a.sender.session, index);
}

static void expect_broken_receiver(const char *what)
{
	struct ivshmem_reclaimed done;

	end_look(&b, true);
	end_receive(&b);
	tap_ok(b.receiver.state == IVSHMEM_RING_BROKEN, "%s breaks the ring", what);
	tap_ok(!end_receive(&b) && !ivshmem_receiver_publish(&b.receiver) && !end_look(&b, true),
	       "nothing is read any more");
	tap_ok(ivshmem_sender_reclaim(&a.sender, &done) == IVSHMEM_LOOK_DOWN &&
	       !ivshmem_sender_look(&a.sender, b.hello, 1), "the sender sees it and waits");
	end_start(&a);
	tap_ok(ends_meet(&a, &b) && frames_pass(&a, &b), "it heals when the other starts anew");
}

static void test_broken_descriptors(void)
{
	static const struct {
		const char *what;
		uint32_t offset;
		uint32_t length;
	} bad[] = {
		{ "a frame of no bytes", 0, 0 },
		{ "an offset at the end of the slab", BYTES, 1 },
		{ "the largest offset", UINT32_MAX, 64 },
		{ "a frame that ends behind the slab", BYTES - 64, 65 },
		{ "a frame longer than the slab", 0, BYTES + 1 },
		{ "the largest length", 64, UINT32_MAX },
	};
	struct ivshmem_ring_descriptor *d;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		begin_up(ENTRIES, BYTES);
		end_send(&a, 64);
		d = a.sender.writer.area.descriptors;
		number_store(&d->offset, bad[i].offset);
		number_store(&d->length, bad[i].length);
		ivshmem_sender_publish(&a.sender);
		expect_broken_receiver(bad[i].what);
	}
	begin_up(ENTRIES, 256 << 10);
	end_send(&a, 64);
	number_store(&a.sender.writer.area.descriptors->length, IVSHMEM_FRAME_MAX + 1);
	ivshmem_sender_publish(&a.sender);
	expect_broken_receiver("a frame longer than any");
}

static void test_broken_positions(void)
{
	struct ivshmem_reclaimed done;

	begin_up(ENTRIES, BYTES);
	while (end_send(&a, 64))
		;
	break_produced(ENTRIES + 1);
	expect_broken_receiver("an index further ahead than the ring is long");
	begin_up(ENTRIES, BYTES);
	for (int i = 0; i < 3; i++)
		end_send(&a, 64);
	ivshmem_sender_publish(&a.sender);
	end_look(&b, true);
	break_produced(1);
	expect_broken_receiver("an index that goes back");
	begin(ENTRIES, BYTES);
	end_look(&a, true);
	end_send(&a, 64);
	break_produced(1);
	expect_broken_receiver("a session that begins with a frame");

	begin_up(ENTRIES, BYTES);
	end_send(&a, 1);
	ivshmem_sender_publish(&a.sender);
	break_consumed(2);
	tap_ok(ivshmem_sender_reclaim(&a.sender, &done) == IVSHMEM_LOOK_BROKEN &&
	       a.sender.state == IVSHMEM_RING_BROKEN, "to read ahead breaks the ring");
	tap_ok(!end_look(&a, true), "it stays so");
	end_start(&b);
	tap_ok(ends_meet(&a, &b) && frames_pass(&a, &b), "it heals when the other starts anew");
	passes(1);
	break_consumed(0);
	tap_ok(ivshmem_sender_reclaim(&a.sender, &done) == IVSHMEM_LOOK_BROKEN,
	       "to go back breaks the ring");
	begin(ENTRIES, BYTES);
	end_look(&a, true);
	break_consumed(1);
	tap_ok(end_look(&a, true) & IVSHMEM_LOOK_BROKEN, "so does to read what was never sent");
}

int main(void)
{
	test_handshake();
	test_sizes();
	test_churn();
	test_full();
	test_doorbells();
	test_lives();
	test_broken_descriptors();
	test_broken_positions();
	free(memory);
	return tap_done();
}
