// SPDX-License-Identifier: GPL-2.0-only
#include "../../guest/pattern.h"
#include "segment.h"

struct ivshmem_rings_layout segment_layout(unsigned int ports, uint32_t entries, uint32_t bytes)
{
	struct ivshmem_rings_layout layout = {
		.section_offset = IVSHMEM_RINGS_PAGE,
		.entries = entries,
		.bytes = bytes,
		.broadcast_entries = entries,
		.broadcast_bytes = bytes,
		.ports = (uint16_t)ports,
	};

	layout.section_size = ivshmem_rings_section_size(&layout);
	return layout;
}

size_t segment_size(const struct ivshmem_rings_layout *layout)
{
	return layout->section_offset + layout->ports * layout->section_size;
}

void end_init(struct end *end, const struct ivshmem_rings_layout *layout, void *memory,
	      unsigned int own, unsigned int other)
{
	memset(end, 0, sizeof(*end));
	end->layout = *layout;
	end->memory = memory;
	end->own = own;
	end->other = other;
	end->random = pattern_seed(own + 1);
}

void end_start(struct end *end)
{
	struct ivshmem_port_words words = { .vectors = 1 };
	uint32_t random = (uint32_t)pattern_next(&end->random);

	while (!random || random == end->hello)
		random++;
	end->hello = random;
	words.hello = random;
	ivshmem_port_clear(&end->layout, end->memory, end->own);
	ivshmem_caster_init(&end->caster, &end->layout, end->memory, end->own, end->hello,
			    end->caster_notes);
	ivshmem_sender_init(&end->sender, &end->layout, end->memory, end->own, end->other,
			    end->notes);
	ivshmem_receiver_init(&end->receiver, &end->layout, end->memory, end->own, end->other,
			      end->hello);
	ivshmem_listener_init(&end->listener, &end->layout, end->memory, end->own, end->other);
	ivshmem_port_greet(&end->layout, end->memory, end->own, &words);
}

unsigned int end_look(struct end *end, bool present)
{
	uint32_t hello = present ? ivshmem_port_hello(&end->layout, end->memory, end->other) : 0;
	unsigned int look;

	look = ivshmem_sender_look(&end->sender, hello, (uint32_t)pattern_next(&end->random));
	look |= ivshmem_receiver_look(&end->receiver);
	end->looks |= look;
	return look;
}

static bool is_up(const struct end *end)
{
	return end->sender.state == IVSHMEM_RING_UP && end->receiver.state == IVSHMEM_RING_UP;
}

bool ends_meet(struct end *a, struct end *b)
{
	for (int i = 0; i < 4; i++) {
		end_look(a, true);
		end_look(b, true);
	}
	return is_up(a) && is_up(b);
}

bool end_send(struct end *end, uint32_t size)
{
	void *room = ivshmem_sender_reserve(&end->sender, size);

	if (!room)
		return false;
	pattern_write(room, size, end->sent);
	ivshmem_sender_commit(&end->sender, size, &end->sent, sizeof(end->sent));
	end->sent++;
	return true;
}

/* Does a frame have the contents of the number in its header? */
static bool is_whole(const struct ivshmem_frame *frame, uint64_t *number)
{
	memcpy(number, frame->header, sizeof(*number));
	return pattern_matches(frame->data, frame->length, *number);
}

bool end_receive(struct end *end)
{
	struct ivshmem_frame frame;
	uint64_t number;

	if (!ivshmem_receiver_peek(&end->receiver, &frame))
		return false;
	end->bad += !is_whole(&frame, &number) || number != end->got;
	end->got++;
	ivshmem_receiver_next(&end->receiver);
	return true;
}

bool end_cast(struct end *end, uint32_t size)
{
	void *room = ivshmem_caster_reserve(&end->caster, size);

	if (!room)
		return false;
	pattern_write(room, size, end->sent);
	ivshmem_caster_commit(&end->caster, size, &end->sent, sizeof(end->sent));
	end->sent++;
	return true;
}

bool end_hear(struct end *end)
{
	struct ivshmem_frame frame;
	uint64_t number;
	bool whole;

	if (!ivshmem_listener_peek(&end->listener, &frame))
		return false;
	whole = is_whole(&frame, &number);
	if (!ivshmem_listener_next(&end->listener))
		return true;
	end->bad += !whole || number < end->got;
	end->got = number + 1;
	end->heard++;
	return true;
}
