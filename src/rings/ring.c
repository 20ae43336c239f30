// SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later
/*
 * Rings from one port to another: the handshake, and what happens for every frame
 *
 * docs/ring-format.md tells why it is as it is. The driver and the tools share this file.
 */
#include "ring.h"
#include "words.h"
#include "writer.h"

/* What is wanted of an end that is not to ring: an index that was passed. */
#define WANTS_NOTHING	(~0U)

static struct ivshmem_ring_line *line_of(const struct ivshmem_rings_layout *layout, void *memory,
					 unsigned int port, unsigned int other)
{
	return memory + ivshmem_rings_line(layout, port, other);
}

static struct ivshmem_port_line *port_line(const struct ivshmem_rings_layout *layout,
					   void *memory, unsigned int port)
{
	return memory + ivshmem_rings_port_line(layout, port);
}

void ivshmem_port_clear(const struct ivshmem_rings_layout *layout, void *memory,
			unsigned int own)
{
	struct ivshmem_port_line *port = port_line(layout, memory, own);
	struct ivshmem_ring_line *line;
	unsigned int other;

	number_store(&port->hello, 0);
	position_store(&port->produced, 0, 0);
	number_store(&port->oldest, 0);
	number_store(&port->features, 0);
	number_store(&port->vectors, 0);
	for (other = 0; other < layout->ports; other++) {
		line = line_of(layout, memory, own, other);
		position_store(&line->produced, 0, 0);
		number_store(&line->answers, 0);
		number_store(&line->want_room, 0);
		position_store(&line->consumed, 0, 0);
		number_store(&line->want_frames, 0);
		number_store(&line->want_broadcast, 0);
	}
}

void ivshmem_port_greet(const struct ivshmem_rings_layout *layout, void *memory,
			unsigned int own, const struct ivshmem_port_words *words)
{
	struct ivshmem_port_line *port = port_line(layout, memory, own);

	number_store(&port->features, words->features);
	number_store(&port->vectors, words->vectors);
	word_release(&port->hello, cpu_to_le32(words->hello));
}

__u32 ivshmem_port_hello(const struct ivshmem_rings_layout *layout, const void *memory,
			 unsigned int port)
{
	const struct ivshmem_port_line *line = memory + ivshmem_rings_port_line(layout, port);

	return le32_to_cpu(word_acquire(&line->hello));
}

__u32 ivshmem_port_features(const struct ivshmem_rings_layout *layout, const void *memory,
			    unsigned int port)
{
	const struct ivshmem_port_line *line = memory + ivshmem_rings_port_line(layout, port);

	return number_load(&line->features);
}

__u32 ivshmem_port_vector(const struct ivshmem_rings_layout *layout, const void *memory,
			  unsigned int port, unsigned int own)
{
	const struct ivshmem_port_line *line = memory + ivshmem_rings_port_line(layout, port);
	__u32 vectors = number_load(&line->vectors);

	return vectors ? own % vectors : 0;
}

void ivshmem_sender_init(struct ivshmem_sender *s, const struct ivshmem_rings_layout *layout,
			 void *memory, unsigned int own, unsigned int other,
			 struct ivshmem_ring_note *notes)
{
	*s = (struct ivshmem_sender) {
		.own = line_of(layout, memory, own, other),
		.other = line_of(layout, memory, other, own),
		.state = IVSHMEM_RING_DOWN,
	};
	writer_init(&s->writer, area_of(layout, memory, own, other), notes);
}

/* Begin a session for the receiver's hello. All that was in the ring is lost. */
static void greet(struct ivshmem_sender *s, __u32 random)
{
	while (!random || random == s->session)
		random++;
	s->session = random;
	word_store(&s->state, IVSHMEM_RING_GREETING);
	writer_init(&s->writer, s->writer.area, s->writer.notes);
	number_store(&s->own->want_room, WANTS_NOTHING);
	position_store(&s->own->produced, 0, 0);
	fence_write();	/* no position of the session before is seen with this hello: is_mine() */
	number_store(&s->own->answers, s->hello);
	position_store(&s->own->produced, s->session, 0);
}

bool ivshmem_sender_stirs(const struct ivshmem_sender *s, __u32 hello)
{
	return hello != s->hello || (word_load(&s->state) == IVSHMEM_RING_GREETING &&
				     position_load(&s->other->consumed).session == s->session);
}

unsigned int ivshmem_sender_look(struct ivshmem_sender *s, __u32 hello, __u32 random)
{
	unsigned int down = s->state == IVSHMEM_RING_UP ? IVSHMEM_LOOK_DOWN : 0;
	struct position consumed;

	if (hello != s->hello) {
		s->hello = hello;
		word_store(&s->state, IVSHMEM_RING_DOWN);
		if (!hello)
			return down;
		greet(s, random);
		return down | IVSHMEM_LOOK_RING;
	}
	if (s->state != IVSHMEM_RING_GREETING)
		return 0;
	consumed = position_load(&s->other->consumed);
	if (consumed.session != s->session)
		return 0;
	if (consumed.index) {
		word_store(&s->state, IVSHMEM_RING_BROKEN);
		return IVSHMEM_LOOK_BROKEN;
	}
	word_store(&s->state, IVSHMEM_RING_UP);
	return IVSHMEM_LOOK_UP;
}

void *ivshmem_sender_reserve(struct ivshmem_sender *s, __u32 length)
{
	return writer_reserve(&s->writer, length);
}

void ivshmem_sender_commit(struct ivshmem_sender *s, __u32 length, const void *header,
			   __u32 size)
{
	writer_commit(&s->writer, length, header, size);
}

bool ivshmem_sender_publish(struct ivshmem_sender *s)
{
	struct ivshmem_ring_writer *w = &s->writer;
	__u32 old = w->published;

	if (old == w->produced)
		return false;
	w->published = w->produced;
	position_store(&s->own->produced, s->session, w->produced);
	fence_full();	/* produce first, look then: pairs with ivshmem_receiver_want_frames() */
	return passed(number_load(&s->other->want_frames), old, w->produced);
}

unsigned int ivshmem_sender_reclaim(struct ivshmem_sender *s, struct ivshmem_reclaimed *done)
{
	struct position consumed = position_load(&s->other->consumed);
	struct ivshmem_ring_writer *w = &s->writer;

	*done = (struct ivshmem_reclaimed){ .frames = 0 };
	if (consumed.session != s->session) {
		word_store(&s->state, IVSHMEM_RING_DOWN);
		return IVSHMEM_LOOK_DOWN;
	}
	if (consumed.index - w->oldest > w->published - w->oldest) {
		word_store(&s->state, IVSHMEM_RING_BROKEN);
		return IVSHMEM_LOOK_BROKEN;
	}
	while (w->oldest != consumed.index) {
		done->frames++;
		done->bytes += writer_free(w);
	}
	return 0;
}

bool ivshmem_sender_want_room(struct ivshmem_sender *s)
{
	const struct ivshmem_ring_writer *w = &s->writer;
	struct position consumed;

	number_store(&s->own->want_room, w->oldest + (w->published - w->oldest) / 2);
	fence_full();	/* want first, look then: pairs with ivshmem_receiver_publish() */
	consumed = position_load(&s->other->consumed);
	return consumed.session != s->session || consumed.index != w->oldest;
}

void ivshmem_receiver_init(struct ivshmem_receiver *r, const struct ivshmem_rings_layout *layout,
			   void *memory, unsigned int own, unsigned int other, __u32 hello)
{
	*r = (struct ivshmem_receiver) {
		.area = area_of(layout, memory, other, own),
		.own = line_of(layout, memory, own, other),
		.other = line_of(layout, memory, other, own),
		.state = IVSHMEM_RING_DOWN,
		.hello = hello,
	};
}

/* The sender sees that nothing more is read. */
void ivshmem_receiver_break(struct ivshmem_receiver *r)
{
	word_store(&r->state, IVSHMEM_RING_BROKEN);
	position_store(&r->own->consumed, 0, 0);
}

static unsigned int break_ring(struct ivshmem_receiver *r)
{
	ivshmem_receiver_break(r);
	return IVSHMEM_LOOK_BROKEN;
}

/* Has the sender begun a session for this port, as it is up now? */
static bool is_mine(const struct ivshmem_receiver *r, __u32 session)
{
	if (!session || number_load(&r->other->answers) != r->hello)
		return false;
	fence_read();	/* pairs with greet(): the position was the session's before */
	return position_load(&r->other->produced).session == session;
}

static unsigned int accept_session(struct ivshmem_receiver *r, struct position produced)
{
	r->session = produced.session;
	r->consumed = 0;
	r->published = 0;
	r->produced = 0;
	if (produced.index)
		return break_ring(r);
	word_store(&r->state, IVSHMEM_RING_UP);
	number_store(&r->own->want_frames, WANTS_NOTHING);
	position_store(&r->own->consumed, r->session, 0);
	return IVSHMEM_LOOK_UP | IVSHMEM_LOOK_RING;
}

unsigned int ivshmem_receiver_look(struct ivshmem_receiver *r)
{
	struct position produced = position_load(&r->other->produced);
	unsigned int down = r->state == IVSHMEM_RING_UP ? IVSHMEM_LOOK_DOWN : 0;

	if (produced.session == r->session) {
		if (r->state != IVSHMEM_RING_UP)
			return 0;
		if (produced.index - r->consumed > r->area.entries ||
		    produced.index - r->consumed < r->produced - r->consumed)
			return break_ring(r);
		r->produced = produced.index;
		return 0;
	}
	if (is_mine(r, produced.session))
		return accept_session(r, produced);
	word_store(&r->state, IVSHMEM_RING_DOWN);
	r->session = 0;
	return down;
}

bool ivshmem_receiver_peek(struct ivshmem_receiver *r, struct ivshmem_frame *frame)
{
	/* A new session waits until the next look. */
	if (r->state == IVSHMEM_RING_UP && r->consumed == r->produced &&
	    position_load(&r->other->produced).session == r->session)
		ivshmem_receiver_look(r);
	if (r->state != IVSHMEM_RING_UP || r->consumed == r->produced)
		return false;
	if (area_read(&r->area, r->consumed, frame))
		return true;
	break_ring(r);
	return false;
}

void ivshmem_receiver_next(struct ivshmem_receiver *r)
{
	r->consumed++;
}

void ivshmem_receiver_skip(struct ivshmem_receiver *r)
{
	r->consumed = r->produced;
}

bool ivshmem_receiver_publish(struct ivshmem_receiver *r)
{
	__u32 old = r->published;

	if (r->state != IVSHMEM_RING_UP || old == r->consumed)
		return false;
	r->published = r->consumed;
	position_store(&r->own->consumed, r->session, r->consumed);
	fence_full();	/* consume first, look then: pairs with ivshmem_sender_want_room() */
	return passed(number_load(&r->other->want_room), old, r->consumed);
}

bool ivshmem_receiver_want_frames(struct ivshmem_receiver *r)
{
	struct position produced;

	number_store(&r->own->want_frames, r->consumed);
	fence_full();	/* want first, look then: pairs with ivshmem_sender_publish() */
	produced = position_load(&r->other->produced);
	if (produced.session != r->session)
		return r->session || is_mine(r, produced.session);
	return r->state == IVSHMEM_RING_UP && produced.index != r->consumed;
}
