// SPDX-License-Identifier: GPL-2.0-only
/*
 * A port whose peer is a fuzzer: it writes anything into its own section.
 *
 * An input is a series of steps: calls of the port, calls of a peer that follows the rules, and
 * words that such a peer would not write. The port must
 * return from each call, give frames that lie in a slab of the peer, and write nothing outside
 * of its own section: all else is mapped read-only for it. test_fuzzers.py builds this for
 * libFuzzer; by itself it is a test with fixed inputs.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/segment.h"
#include "../guest/pattern.h"
#include "../guest/tap.h"
#include "../../src/rings/words.h"

#define ENTRIES	16
#define BYTES	4096
#define OWN	0
#define PEER	1
#define INPUTS	20000
#define LONGEST	512

static struct ivshmem_rings_layout layout;
static unsigned char *written;	/* as the peer sees the segment */
static struct end port, peer;
static volatile unsigned char last;	/* byte that was read */

/* Take bytes of the input, or zeros after its end. */
struct input {
	const uint8_t *bytes;
	size_t size;
};

static uint64_t take(struct input *input, size_t size)
{
	uint64_t value = 0;

	if (size > input->size)
		size = input->size;
	memcpy(&value, input->bytes, size);
	input->bytes += size;
	input->size -= size;
	return value;
}

static void make_segment(void)
{
	int fd = memfd_create("segment", 0);
	unsigned char *read;
	size_t size;

	layout = segment_layout(2, ENTRIES, BYTES);
	size = segment_size(&layout);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		abort();
	written = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	read = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (written == MAP_FAILED || read == MAP_FAILED)
		abort();
	if (mprotect(read + ivshmem_rings_port_line(&layout, OWN), layout.section_size,
		     PROT_READ | PROT_WRITE))
		abort();
	close(fd);
	end_init(&port, &layout, read, OWN, PEER);
	end_init(&peer, &layout, written, PEER, OWN);
}

/* Is all of the frame in the slab? Reads it, as a client does. */
static void check_frame(const struct ivshmem_frame *frame, const struct ivshmem_ring_area *area)
{
	const unsigned char *at = frame->data;

	if (!frame->length || frame->length > IVSHMEM_FRAME_MAX || at < area->slab ||
	    at + frame->length > area->slab + area->bytes)
		abort();
	for (uint32_t i = 0; i < frame->length; i++)
		last = at[i];
}

static void receive(void)
{
	struct ivshmem_frame frame;

	end_look(&port, true);
	if (ivshmem_receiver_peek(&port.receiver, &frame)) {
		check_frame(&frame, &port.receiver.area);
		ivshmem_receiver_next(&port.receiver);
	}
	if (ivshmem_listener_peek(&port.listener, &frame)) {
		check_frame(&frame, &port.listener.area);
		ivshmem_listener_next(&port.listener);
	}
}

static void reclaim(void)
{
	struct ivshmem_reclaimed done;

	if (port.sender.state != IVSHMEM_RING_UP)
		return;
	ivshmem_sender_reclaim(&port.sender, &done);
	if (done.frames > ENTRIES || done.bytes > ENTRIES * BYTES)
		abort();
}

static void send(uint32_t size)
{
	if (port.sender.state != IVSHMEM_RING_UP)
		return;
	end_send(&port, size);
	ivshmem_sender_publish(&port.sender);
	ivshmem_sender_want_room(&port.sender);
}

/* A value that an honest peer could have written, or nearly. */
static uint64_t plausible(struct input *input)
{
	uint32_t index = port.receiver.consumed + (uint32_t)take(input, 1) - 16;

	switch (take(input, 1) % 6) {
	case 0:
		return port.hello;
	case 1:
		return (uint64_t)port.sender.session << 32 |
		       (port.sender.writer.oldest + (uint32_t)take(input, 1) % 18);
	case 2:
		return (uint64_t)port.receiver.session << 32 | index;
	case 3:
		return (uint64_t)port.listener.session << 32 | (port.listener.next + index % 18);
	case 4:
		return port.listener.next + index % 18;
	default:
		return take(input, 8);
	}
}

/* The peer writes: mostly to a word that matters. */
static void write_word(struct input *input)
{
	uint64_t value = plausible(input);
	size_t size = take(input, 1) % 2 ? 8 : 4;
	size_t at = ivshmem_rings_port_line(&layout, PEER);
	size_t place = take(input, 2);

	if (place % 4 == 0)
		at = ivshmem_rings_line(&layout, PEER, OWN) + place / 4 % 128;
	else if (place % 4 == 1)
		at = ivshmem_rings_ring(&layout, PEER, OWN) + place / 4 % (ENTRIES * 32);
	else if (place % 4 == 2)
		at = ivshmem_rings_ring(&layout, PEER, 2) + place / 4 % (ENTRIES * 32);
	else
		at += place / 4 % 32;
	memcpy(written + (at & ~(size - 1)), &value, size);
}

/* What the peer does when it follows the rules, as far as its own words still allow it. */
static void be_honest(struct input *input)
{
	struct ivshmem_reclaimed done;

	switch (take(input, 1) % 8) {
	case 0:
		end_start(&peer);
		break;
	case 1:
	case 2:
		end_send(&peer, 1 + (uint32_t)take(input, 2) % BYTES);
		ivshmem_sender_publish(&peer.sender);
		break;
	case 3:
		end_receive(&peer);
		ivshmem_receiver_publish(&peer.receiver);
		break;
	case 4:
		end_cast(&peer, 1 + (uint32_t)take(input, 2) % BYTES);
		ivshmem_caster_publish(&peer.caster);
		break;
	case 5:
		if (peer.sender.state == IVSHMEM_RING_UP)
			ivshmem_sender_reclaim(&peer.sender, &done);
		break;
	default:
		end_look(&peer, true);
	}
}

static void step(struct input *input)
{
	switch (take(input, 1) % 16) {
	case 0:
		end_look(&port, take(input, 1) % 4);
		break;
	case 1:
		receive();
		break;
	case 2:
		ivshmem_receiver_publish(&port.receiver);
		ivshmem_receiver_want_frames(&port.receiver);
		ivshmem_listener_want_frames(&port.listener);
		break;
	case 3:
		send((uint32_t)take(input, 2));
		break;
	case 4:
		reclaim();
		break;
	case 5:
		end_cast(&port, (uint32_t)take(input, 2));
		ivshmem_caster_wakes(&port.caster, ivshmem_caster_publish(&port.caster),
				     port.sender.other);
		break;
	case 6:
		if (ivshmem_port_vector(&layout, port.memory, PEER, OWN) > OWN)
			abort();
		ivshmem_sender_stirs(&port.sender, port.sender.hello);
		break;
	case 7:
		write_word(input);
		break;
	default:
		be_honest(input);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };

	if (!written)
		make_segment();
	memset(written, 0, segment_size(&layout));
	end_start(&port);
	end_start(&peer);
	while (input.size)
		step(&input);
	return 0;
}

#ifndef FUZZER
int main(void)
{
	uint8_t data[LONGEST];

	for (uint64_t number = 0; number < INPUTS; number++) {
		size_t size = number % LONGEST;

		pattern_write(data, size, number);
		LLVMFuzzerTestOneInput(data, size);
	}
	tap_ok(true, "a port survives %d random peers", INPUTS);
	return tap_done();
}
#endif
