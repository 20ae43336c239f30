// SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later
/*
 * Rings from one port to all: the sender waits for nobody
 *
 * A frame that is overwritten while it is copied is noticed afterwards: the sender moves the
 * index of its oldest frame first. The driver and the tools share this file.
 */
#include "ring.h"
#include "words.h"
#include "writer.h"

/* Attempts to get behind a sender that overtakes, before the listener tries again later. */
#define ATTEMPTS	4

void ivshmem_caster_init(struct ivshmem_caster *c, const struct ivshmem_rings_layout *layout,
			 void *memory, unsigned int own, __u32 hello,
			 struct ivshmem_ring_note *notes)
{
	*c = (struct ivshmem_caster) {
		.own = memory + ivshmem_rings_port_line(layout, own),
		.session = hello,
	};
	writer_init(&c->writer, area_of(layout, memory, own, layout->ports), notes);
	number_store(&c->own->oldest, 0);
	position_store(&c->own->produced, hello, 0);
}

void *ivshmem_caster_reserve(struct ivshmem_caster *c, __u32 length)
{
	struct ivshmem_ring_writer *w = &c->writer;
	__u32 oldest = w->oldest;
	void *room = writer_reserve(w, length);

	if (!length || length > IVSHMEM_FRAME_MAX || length > w->area.bytes)
		return NULL;
	while (!room && w->oldest != w->published) {
		writer_free(w);
		room = writer_reserve(w, length);
	}
	if (w->oldest != oldest) {
		number_store(&c->own->oldest, w->oldest);
		fence_write();	/* before the frame: pairs with is_lost() */
	}
	return room;
}

void ivshmem_caster_commit(struct ivshmem_caster *c, __u32 length, const void *header,
			   __u32 size)
{
	writer_commit(&c->writer, length, header, size);
}

__u32 ivshmem_caster_publish(struct ivshmem_caster *c)
{
	struct ivshmem_ring_writer *w = &c->writer;
	__u32 old = w->published;

	w->published = w->produced;
	position_store(&c->own->produced, c->session, w->produced);
	fence_full();	/* produce first, look then: pairs with ivshmem_listener_want_frames() */
	return old;
}

bool ivshmem_caster_wakes(const struct ivshmem_caster *c, __u32 old,
			  const struct ivshmem_ring_line *other)
{
	return passed(number_load(&other->want_broadcast), old, c->writer.published);
}

void ivshmem_listener_init(struct ivshmem_listener *l, const struct ivshmem_rings_layout *layout,
			   void *memory, unsigned int own, unsigned int other)
{
	*l = (struct ivshmem_listener) {
		.area = area_of(layout, memory, other, layout->ports),
		.own = memory + ivshmem_rings_line(layout, own, other),
		.other = memory + ivshmem_rings_port_line(layout, other),
		.state = IVSHMEM_RING_DOWN,
		.missed = l->missed,
	};
}

/* Follow the sender's session. What it sent before it was seen first is not for this port. */
static void follow(struct ivshmem_listener *l, struct position produced)
{
	if (produced.session != l->session) {
		l->session = produced.session;
		l->next = produced.index;
		l->state = produced.session ? IVSHMEM_RING_UP : IVSHMEM_RING_DOWN;
	}
	l->produced = produced.index;
}

/*
 * Was the next frame overwritten, or may it have been? Then go on at the oldest one. One
 * that was not, and is wrong all the same, breaks the ring.
 */
static bool is_lost(struct ivshmem_listener *l)
{
	struct position produced;
	__u32 oldest;

	fence_read();	/* the copy first: pairs with ivshmem_caster_reserve() */
	oldest = number_load(&l->other->oldest);
	fence_read();	/* then the index that cannot be behind the oldest */
	produced = position_load(&l->other->produced);
	if (produced.session != l->session) {
		follow(l, produced);
		return true;
	}
	if (ahead(oldest, l->next) <= 0)
		return false;
	l->missed += oldest - l->next;
	l->next = oldest;
	l->produced = produced.index;
	return true;
}

bool ivshmem_listener_peek(struct ivshmem_listener *l, struct ivshmem_frame *frame)
{
	unsigned int i;

	follow(l, position_load(&l->other->produced));
	for (i = 0; i < ATTEMPTS; i++) {
		if (l->state != IVSHMEM_RING_UP || l->produced == l->next)
			return false;
		if (l->produced - l->next <= l->area.entries &&
		    area_read(&l->area, l->next, frame))
			return true;
		if (!is_lost(l))
			l->state = IVSHMEM_RING_BROKEN;
	}
	return false;
}

bool ivshmem_listener_next(struct ivshmem_listener *l)
{
	if (is_lost(l))
		return false;
	l->next++;
	return true;
}

bool ivshmem_listener_want_frames(struct ivshmem_listener *l)
{
	struct position produced;

	number_store(&l->own->want_broadcast, l->next);
	fence_full();	/* want first, look then: pairs with ivshmem_caster_publish() */
	produced = position_load(&l->other->produced);
	if (produced.session != l->session)
		return true;
	return l->state == IVSHMEM_RING_UP && produced.index != l->next;
}
