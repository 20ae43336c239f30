// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel whose memory a fuzzer overwrites.
 *
 * An input is a series of steps: calls by either end, and words written anywhere in the
 * channel. The library must stay inside the channel, return from each call and leak
 * nothing. test_fuzzers.py builds this for libFuzzer; by itself it is a test with
 * fixed inputs.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../guest/pattern.h"
#include "../guest/tap.h"
#include "../../lib/session.h"

#define SIZE	(8 << 10)
#define INPUTS	20000
#define LONGEST	512

static int fake_properties(struct ivshmem *handle, struct ivshmem_properties *out)
{
	*out = (struct ivshmem_properties){
		.size = handle->size, .vectors = 1, .page_size = handle->page,
	};
	return 0;
}

static int fake_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector)
{
	(void)handle;
	if (peer > 65535 || vector > 255)
		abort();
	return 0;
}

static void fake_kick(struct ivshmem *handle)
{
	(void)handle;
}

static int fake_listen(struct ivshmem *handle)
{
	(void)handle;
	return 0;
}

/* A handle without a server. Nothing sleeps on it. */
static const struct ivshmem_ops fake_ops = {
	.properties = fake_properties,
	.ring = fake_ring,
	.wake_all = fake_kick,
	.listen = fake_listen,
};

static struct ivshmem handle = {
	.ops = &fake_ops, .references = 1, .size = SIZE, .vectors = 1
};
static unsigned char *memory;

static const struct ivshmem_channel_options options = { .size = SIZE };

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

/* Does this lie in one of the ring buffers? */
static void check_range(const struct ivshmem_channel *channel, const void *start,
			size_t size)
{
	size_t place = (const unsigned char *)start -
		       (const unsigned char *)channel->area;

	if (place % 8 || place < CHANNEL_CONTROL || place > SIZE ||
	    size > SIZE - place)
		abort();
}

static void send_in_place(struct ivshmem_channel *channel, struct input *input)
{
	size_t size = take(input, 2) % SIZE;
	void *room;

	if (ivshmem_channel_reserve(channel, size, &room, 0))
		return;
	check_range(channel, room, size);
	memset(room, (int)size, size);
	ivshmem_channel_commit(channel, size - take(input, 1) % (size + 1),
			       take(input, 1) % 2);
}

static void receive_in_place(struct ivshmem_channel *channel)
{
	static unsigned char copy[SIZE];
	const void *message;
	size_t size;

	if (ivshmem_channel_peek(channel, &message, &size, 0))
		return;
	check_range(channel, message, size);
	if (size)
		memcpy(copy, message, size);
	ivshmem_channel_release(channel);
}

/* Words that matter are written more often than others. */
static void write_word(struct input *input)
{
	uint64_t where = take(input, 2), value = take(input, 8);
	size_t width = where & 0x8000 ? 8 : 4;

	where = where & 0x4000 ? where % SIZE : 512 + where % 1536;
	memcpy(memory + where / 8 * 8, &value, width);
}

static void copy_word(struct input *input)
{
	uint64_t from = take(input, 2) % SIZE, to = take(input, 2) % SIZE;

	memcpy(memory + to / 8 * 8, memory + from / 8 * 8, 8);
}

static void step(struct ivshmem_channel *ends[2], struct input *input)
{
	static unsigned char buffer[SIZE];
	uint64_t number = take(input, 1);
	struct ivshmem_channel **end = &ends[number / 16 % 2];

	switch (number % 16) {
	case 0: case 1:
		write_word(input);
		break;
	case 2:
		copy_word(input);
		break;
	case 3: case 4: case 5:
		send_in_place(*end, input);
		break;
	case 6: case 7: case 8:
		receive_in_place(*end);
		break;
	case 9: case 10:
		ivshmem_channel_send(*end, buffer, take(input, 2) % SIZE,
				     (unsigned int)take(input, 1) % 2, 0);
		break;
	case 11: case 12:
		ivshmem_channel_recv(*end, buffer, take(input, 2) % SIZE, 0);
		break;
	case 13:
		ivshmem_channel_flush(*end);
		break;
	case 14:
		ivshmem_channel_recv(*end, buffer, SIZE, 1);
		break;
	default:
		ivshmem_channel_close(*end);
		if (end == ends)
			ivshmem_channel_create(&handle, &options, end);
		else if (ivshmem_channel_attach(&handle, &options, 0, end))
			ivshmem_channel_create(&handle, &options, end);
	}
}

static void set_up(void)
{
	handle.page = sysconf(_SC_PAGESIZE);
	handle.memory = memfd_create("fuzz", MFD_CLOEXEC);
	handle.disconnects = calloc(65536, sizeof(*handle.disconnects));
	handle.left = calloc(65536, sizeof(*handle.left));
	if (handle.memory < 0 || ftruncate(handle.memory, SIZE) < 0 ||
	    !handle.disconnects || !handle.left)
		abort();
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      handle.memory, 0);
	if (memory == MAP_FAILED)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct ivshmem_channel *ends[2];

	if (!memory)
		set_up();
	memset(memory, 0, SIZE);
	if (ivshmem_channel_create(&handle, &options, &ends[0]) ||
	    ivshmem_channel_attach(&handle, &options, 0, &ends[1]))
		abort();
	while (input.size)
		step(ends, &input);
	ivshmem_channel_close(ends[0]);
	ivshmem_channel_close(ends[1]);
	return 0;
}

#ifndef FUZZER
int main(void)
{
	uint8_t data[LONGEST];
	uint64_t number;

	for (number = 0; number < INPUTS; number++) {
		size_t size = pattern_size(number, LONGEST);

		pattern_write(data, size, number);
		LLVMFuzzerTestOneInput(data, size);
	}
	free(handle.disconnects);
	free(handle.left);
	tap_ok(true, "the library survives %d random inputs", INPUTS);
	return tap_done();
}
#endif
