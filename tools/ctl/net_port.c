// SPDX-License-Identifier: GPL-2.0-only
/*
 * A port of a segment: see net_port.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net_port.h"

#define BUDGET		64	/* frames of one port before the next one has its turn */

static uint32_t random_number(void)
{
	uint32_t number;

	do {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			abort();	/* not for so few bytes */
	} while (!number);
	return number;
}

static bool has_broadcast(const struct port *port)
{
	return port->layout.broadcast_entries;
}

/* Who is not there does not hear it. */
static void ring(const struct port *port, unsigned int peer)
{
	const struct link *link = &port->links[peer];

	if (link->owner)
		ivshmem_ring(port->seat->handle, link->id,
			     ivshmem_port_vector(&port->layout, port->memory, peer,
						 (unsigned int)port->own));
}

static void ring_all(const struct port *port)
{
	for (unsigned int peer = 0; peer < port->layout.ports; peer++)
		if ((int)peer != port->own)
			ring(port, peer);
}

/* Coming and going */

bool port_open(struct port *port)
{
	const struct ivshmem_rings_layout *layout = &port->layout;
	size_t notes = (size_t)layout->ports * layout->entries + layout->broadcast_entries;

	port->own = -1;
	port->links = calloc(layout->ports, sizeof(*port->links));
	port->notes = calloc(notes, sizeof(*port->notes));
	port->copy = malloc(IVSHMEM_FRAME_MAX);
	return port->links && port->notes && port->copy;
}

static void set_state(struct port *port, unsigned int peer, enum ivshmem_ring_state state)
{
	struct link *link = &port->links[peer];

	if (link->state == state)
		return;
	link->state = state;
	link->waits = false;
	port->ops->link(port, peer, state);
}

/* As the weaker of the two rings is. The ring to all has no say: it breaks for itself. */
static enum ivshmem_ring_state both(const struct link *link)
{
	if (!link->owner)
		return IVSHMEM_RING_DOWN;
	if (link->sender.state == IVSHMEM_RING_BROKEN ||
	    link->receiver.state == IVSHMEM_RING_BROKEN)
		return IVSHMEM_RING_BROKEN;
	if (link->sender.state == IVSHMEM_RING_UP && link->receiver.state == IVSHMEM_RING_UP)
		return IVSHMEM_RING_UP;
	return IVSHMEM_RING_DOWN;
}

/* The part of the handshake that has its turn. */
static void shake_hands(struct port *port, unsigned int peer)
{
	struct link *link = &port->links[peer];
	uint32_t hello = 0;
	unsigned int bits = 0;

	if (link->owner)
		hello = ivshmem_port_hello(&port->layout, port->memory, peer);
	if (ivshmem_sender_stirs(&link->sender, hello))
		bits = ivshmem_sender_look(&link->sender, hello, random_number());
	if (link->owner)
		bits |= ivshmem_receiver_look(&link->receiver);
	if (bits & IVSHMEM_LOOK_RING)
		ring(port, peer);
	set_state(port, peer, both(link));
}

static void init_link(struct port *port, unsigned int peer)
{
	const struct ivshmem_rings_layout *layout = &port->layout;
	unsigned int own = (unsigned int)port->own;
	struct link *link = &port->links[peer];

	ivshmem_sender_init(&link->sender, layout, port->memory, own, peer,
			    &port->notes[(size_t)peer * layout->entries]);
	ivshmem_receiver_init(&link->receiver, layout, port->memory, own, peer, port->hello);
	if (has_broadcast(port))
		ivshmem_listener_init(&link->listener, layout, port->memory, own, peer);
}

static void start(struct port *port, unsigned int own)
{
	const struct ivshmem_rings_layout *layout = &port->layout;
	struct ivshmem_port_words words = {
		.hello = random_number(), .features = port->features, .vectors = port->vectors,
	};

	port->own = (int)own;
	port->hello = words.hello;
	ivshmem_port_clear(layout, port->memory, own);
	if (has_broadcast(port))
		ivshmem_caster_init(&port->caster, layout, port->memory, own, port->hello,
				    &port->notes[(size_t)layout->ports * layout->entries]);
	for (unsigned int peer = 0; peer < layout->ports; peer++)
		if (peer != own)
			init_link(port, peer);
	ivshmem_port_greet(layout, port->memory, own, &words);
	ring_all(port);
}

/* Nothing is written any more: the section may belong to somebody else. */
static void stop(struct port *port)
{
	port->own = -1;
	port->cast = false;
	for (unsigned int peer = 0; peer < port->layout.ports; peer++) {
		port->links[peer].unpublished = false;
		set_state(port, peer, IVSHMEM_RING_DOWN);
	}
}

void port_close(struct port *port)
{
	if (port->own >= 0 && !port_is_lost(port)) {
		ivshmem_port_greet(&port->layout, port->memory, (unsigned int)port->own,
				   &(struct ivshmem_port_words){ .hello = 0 });
		ring_all(port);
	}
	free(port->links);
	free(port->notes);
	free(port->copy);
}

bool port_is_lost(const struct port *port)
{
	uint8_t header[IVSHMEM_RINGS_HEADER_SIZE], wanted[IVSHMEM_RINGS_HEADER_SIZE];

	ivshmem_rings_build(wanted, &port->layout);
	memcpy(header, port->memory, sizeof(header));
	if (memcmp(header, wanted, sizeof(header)))
		return true;
	if (port->own < 0)
		return seat_is_stale(port->seat);
	return ivshmem_port_hello(&port->layout, port->memory, (unsigned int)port->own) !=
	       port->hello;
}

/* Another peer that had the slot before is gone, even if what it wrote is still there. */
static void note_owner(struct port *port, unsigned int peer, const struct ivshmem_peer *known)
{
	struct link *link = &port->links[peer];
	uint64_t owner = known ? known->owner : 0;

	link->id = known ? known->id : 0;
	if (owner == link->owner)
		return;
	link->owner = 0;
	if (port->own >= 0)
		shake_hands(port, peer);
	link->owner = owner;
}

static const struct ivshmem_peer *peer_in(const struct ivshmem_peer *peers, int count,
					  unsigned int slot, bool self)
{
	for (int i = 0; i < count; i++)
		if (peers[i].slot == slot && !peers[i].self == !self)
			return &peers[i];
	return NULL;
}

static int own_port(const struct port *port, const struct ivshmem_peer *peers, int count)
{
	for (unsigned int slot = 0; slot < port->layout.ports; slot++)
		if (peer_in(peers, count, slot, true))
			return (int)slot;
	return -1;
}

int port_follow(struct port *port)
{
	struct ivshmem_peer peers[SEATS];
	int count = seat_look(port->seat, peers);
	int own;

	if (count < 0)
		return count;
	own = own_port(port, peers, count);
	if (own != port->own)
		stop(port);
	for (unsigned int peer = 0; peer < port->layout.ports; peer++)
		note_owner(port, peer, peer_in(peers, count, peer, false));
	if (own == port->own)
		return 0;
	if (own >= 0)
		start(port, (unsigned int)own);
	port->ops->own(port);
	return 0;
}

/* Receiving */

static unsigned int receive(struct port *port, unsigned int peer)
{
	struct ivshmem_receiver *receiver = &port->links[peer].receiver;
	struct ivshmem_frame frame;
	unsigned int count = 0;

	while (count < BUDGET && ivshmem_receiver_peek(receiver, &frame)) {
		port->ops->deliver(port, peer, &frame);
		ivshmem_receiver_next(receiver);
		count++;
	}
	if (count && ivshmem_receiver_publish(receiver))
		ring(port, peer);
	return count;
}

/* Its sender does not wait, so a frame counts only if it was still whole after it was copied. */
static unsigned int listen(struct port *port, unsigned int peer)
{
	struct ivshmem_listener *listener = &port->links[peer].listener;
	bool broken = listener->state == IVSHMEM_RING_BROKEN;
	uint64_t missed = listener->missed;
	struct ivshmem_frame frame;
	unsigned int count = 0;

	while (count < BUDGET && ivshmem_listener_peek(listener, &frame)) {
		memcpy(port->copy, frame.data, frame.length);
		frame.data = port->copy;
		if (ivshmem_listener_next(listener))
			port->ops->deliver(port, peer, &frame);
		count++;
	}
	port->missed += listener->missed - missed;
	if (!broken && listener->state == IVSHMEM_RING_BROKEN)
		port->ops->deaf(port, peer);
	return count;
}

/* Take back room that was waited for. */
static bool reclaim(struct link *link)
{
	struct ivshmem_reclaimed done = { 0 };

	if (!link->waits)
		return false;
	ivshmem_sender_reclaim(&link->sender, &done);
	link->waits = link->sender.state == IVSHMEM_RING_UP && !done.frames;
	return link->waits && ivshmem_sender_want_room(&link->sender);
}

static bool poll_ring(struct port *port, unsigned int peer)
{
	struct ivshmem_receiver *receiver = &port->links[peer].receiver;

	return receive(port, peer) == BUDGET ||
	       (receiver->state == IVSHMEM_RING_UP && ivshmem_receiver_want_frames(receiver));
}

static bool poll_broadcast(struct port *port, unsigned int peer)
{
	struct ivshmem_listener *listener = &port->links[peer].listener;

	return listen(port, peer) == BUDGET ||
	       (listener->state == IVSHMEM_RING_UP && ivshmem_listener_want_frames(listener));
}

static bool poll_link(struct port *port, unsigned int peer)
{
	struct link *link = &port->links[peer];
	bool more = false;

	shake_hands(port, peer);
	if (link->receiver.state == IVSHMEM_RING_UP)
		more = poll_ring(port, peer);
	if (has_broadcast(port) && link->owner)
		more |= poll_broadcast(port, peer);
	more |= reclaim(link);
	set_state(port, peer, both(link));
	return more;
}

bool port_poll(struct port *port, uint32_t vector)
{
	bool more = false;

	if (port->own < 0)
		return false;
	for (unsigned int peer = vector; peer < port->layout.ports; peer += port->vectors)
		if ((int)peer != port->own)
			more |= poll_link(port, peer);
	return more;
}

/* Sending */

static bool send_to_all(struct port *port, const void *header, size_t header_size,
			const void *frame, uint32_t length)
{
	void *room = NULL;

	if (has_broadcast(port))
		room = ivshmem_caster_reserve(&port->caster, length);
	if (!room) {
		port->dropped++;
		return true;
	}
	memcpy(room, frame, length);
	ivshmem_caster_commit(&port->caster, length, header, (uint32_t)header_size);
	port->cast = true;
	port->sent++;
	return true;
}

static void *reserve(struct link *link, uint32_t length)
{
	struct ivshmem_reclaimed done = { 0 };
	void *room = ivshmem_sender_reserve(&link->sender, length);

	if (room)
		return room;
	ivshmem_sender_reclaim(&link->sender, &done);
	return link->sender.state == IVSHMEM_RING_UP ?
		ivshmem_sender_reserve(&link->sender, length) : NULL;
}

static void publish(struct port *port, unsigned int peer)
{
	struct link *link = &port->links[peer];

	if (!link->unpublished)
		return;
	link->unpublished = false;
	if (link->sender.state == IVSHMEM_RING_UP && ivshmem_sender_publish(&link->sender))
		ring(port, peer);
}

/* There is room, or the receiver makes some and rings, or the link is not up. */
static void *wait_for_room(struct port *port, unsigned int peer, uint32_t length)
{
	struct link *link = &port->links[peer];
	void *room = reserve(link, length);

	if (room || link->sender.state != IVSHMEM_RING_UP)
		return room;
	publish(port, peer);
	while (!room && link->sender.state == IVSHMEM_RING_UP &&
	       ivshmem_sender_want_room(&link->sender))
		room = reserve(link, length);
	link->waits = !room;
	return room;
}

bool port_send(struct port *port, unsigned int to, const void *header, size_t header_size,
	       const void *frame, uint32_t length)
{
	struct link *link;
	void *room;

	if (to == port->layout.ports)
		return send_to_all(port, header, header_size, frame, length);
	link = &port->links[to];
	if (length > port->layout.bytes) {
		port->dropped++;
		return true;
	}
	room = wait_for_room(port, to, length);
	if (room) {
		memcpy(room, frame, length);
		ivshmem_sender_commit(&link->sender, length, header, (uint32_t)header_size);
		link->unpublished = true;
		port->sent++;
		return true;
	}
	if (link->sender.state == IVSHMEM_RING_UP)
		return false;
	set_state(port, to, both(link));
	port->dropped++;
	return true;
}

static void publish_to_all(struct port *port)
{
	uint32_t old = ivshmem_caster_publish(&port->caster);

	port->cast = false;
	for (unsigned int peer = 0; peer < port->layout.ports; peer++)
		if ((int)peer != port->own && port->links[peer].owner &&
		    ivshmem_caster_wakes(&port->caster, old, port->links[peer].sender.other))
			ring(port, peer);
}

void port_flush(struct port *port)
{
	if (port->own < 0)
		return;
	for (unsigned int peer = 0; peer < port->layout.ports; peer++)
		publish(port, peer);
	if (port->cast)
		publish_to_all(port);
}
