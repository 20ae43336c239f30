// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traffic of a port: the handshakes, and frames out and in
 *
 * Everything here runs with bottom halves disabled, inside a port that is up. A sender is used by
 * its client, and in its handshake by the context that polls; receivers by the latter alone.
 */
#include <linux/device.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include "core/compat.h"
#include "inside.h"

/* Frames from one port before the turn of the next. */
#define TURN	16

/* Enter the port, and the device, until leave(). */
static int enter(struct ivshmem_port *port, int *idx)
{
	rcu_read_lock();
	/* After this what come_up() has built is seen. */
	if (smp_load_acquire(&port->running) && !ivshmem_node_begin(port->node, idx)) {
		/* Else the slot is another machine's by now, and so is the section. */
		if (ivshmem_port_hello(&port->layout, port->memory, port->own) ==
		    port->words.hello) {
			/* Sparse cannot follow a lock that is taken conditionally. */
			__release(RCU);
			return 0;
		}
		ivshmem_node_end(port->node, *idx);
	}
	rcu_read_unlock();
	return -ENETDOWN;
}

static void leave(struct ivshmem_port *port, int idx)
{
	ivshmem_node_end(port->node, idx);
	__acquire(RCU);
	rcu_read_unlock();
}

/**
 * ivshmem_port_ring() - ring a port
 * @port: up, or about to go down; the caller is inside the device
 * @peer: another port; nothing happens if nobody is there
 */
void ivshmem_port_ring(struct ivshmem_port *port, unsigned int peer)
{
	struct port_link *link = &port->links[peer];
	u32 id = READ_ONCE(link->id);

	if (id == PORT_ABSENT)
		return;
	atomic64_inc(&link->rings);
	ivshmem_node_ring(port->node, id,
			  ivshmem_port_vector(&port->layout, port->memory, peer, port->own));
}

/**
 * ivshmem_port_tell() - tell the client whether a link is up
 * @port: polled by the caller, or down; BH
 * @peer: the other port
 * @up: whether it is; nothing happens if the client knows
 */
void ivshmem_port_tell(struct ivshmem_port *port, unsigned int peer, bool up)
{
	struct port_link *link = &port->links[peer];

	if (up == link->up)
		return;
	if (up) {
		WRITE_ONCE(link->features,
			   ivshmem_port_features(&port->layout, port->memory, peer));
		WRITE_ONCE(link->ups, link->ups + 1);
	}
	WRITE_ONCE(link->up, up);
	port->ops->link(port->data, peer, up);
}

static void note_broken(struct ivshmem_port *port, unsigned int peer)
{
	atomic64_inc(&port->links[peer].broken);
	if (__ratelimit(&port->log))
		dev_warn(ivshmem_node_dev(port->node),
			 "port %u broke the rules of its ring: nothing goes until it starts again\n",
			 peer);
}

static bool is_present(const struct ivshmem_port *port, unsigned int peer)
{
	return READ_ONCE(port->links[peer].id) != PORT_ABSENT;
}

/* What the port of a peer says now, if there is one. */
static u32 hello_of(const struct ivshmem_port *port, unsigned int peer)
{
	return is_present(port, peer) ?
	       ivshmem_port_hello(&port->layout, port->memory, peer) : 0;
}

/* Are both rings of a link up? */
static bool is_up(const struct port_link *link)
{
	return READ_ONCE(link->sender.state) == IVSHMEM_RING_UP &&
	       link->receiver.state == IVSHMEM_RING_UP;
}

/* Is there something for settle()? */
static bool sender_stirs(const struct ivshmem_port *port, unsigned int peer)
{
	const struct port_link *link = &port->links[peer];

	return READ_ONCE(link->again) ||
	       ivshmem_sender_stirs(&link->sender, hello_of(port, peer)) ||
	       link->up != is_up(link);
}

static void look_at_sender(struct ivshmem_port *port, unsigned int peer)
{
	struct port_link *link = &port->links[peer];
	bool again = xchg(&link->again, false);
	u32 random = get_random_u32();
	unsigned int look = 0;

	spin_lock(&link->lock);
	if (again)
		look = ivshmem_sender_look(&link->sender, 0, random);
	look |= ivshmem_sender_look(&link->sender, hello_of(port, peer), random);
	spin_unlock(&link->lock);
	if (look & IVSHMEM_LOOK_RING)
		ivshmem_port_ring(port, peer);
	if (look & IVSHMEM_LOOK_BROKEN)
		note_broken(port, peer);
}

/* Tell whether the link is up, after its rings may have changed. */
static void settle(struct ivshmem_port *port, unsigned int peer)
{
	if (sender_stirs(port, peer))
		look_at_sender(port, peer);
	ivshmem_port_tell(port, peer, is_up(&port->links[peer]));
}

/* A link ends as a whole: with the ring from a port, also what is in the ring to it. */
static void lose(struct ivshmem_port *port, unsigned int peer)
{
	struct port_link *link = &port->links[peer];

	if (!link->up)
		return;
	spin_lock(&link->lock);
	ivshmem_sender_look(&link->sender, 0, 0);	/* it greets again */
	spin_unlock(&link->lock);
	ivshmem_port_tell(port, peer, false);
}

static void look_at_receiver(struct ivshmem_port *port, unsigned int peer)
{
	unsigned int look = ivshmem_receiver_look(&port->links[peer].receiver);

	if (!look)
		return;
	lose(port, peer);
	if (look & IVSHMEM_LOOK_RING)
		ivshmem_port_ring(port, peer);
	if (look & IVSHMEM_LOOK_BROKEN)
		note_broken(port, peer);
}

int ivshmem_port_begin(struct ivshmem_port *port, unsigned int to)
{
	struct port_link *link = &port->links[to];
	int idx, ret = enter(port, &idx);

	if (ret)
		return ret;
	if (to == port->layout.ports) {
		port->idx = idx;
		if (port->layout.broadcast_entries)
			return 0;
		ret = -ENOTCONN;
	} else if (spin_trylock(&link->lock)) {
		link->idx = idx;
		if (link->sender.state == IVSHMEM_RING_UP && READ_ONCE(link->up)) {
			__release(&link->lock);	/* as in enter() */
			return 0;
		}
		spin_unlock(&link->lock);
		ret = -ENOTCONN;
	} else {
		ret = -EBUSY;
	}
	leave(port, idx);
	return ret;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_begin);

void ivshmem_port_end(struct ivshmem_port *port, unsigned int to)
{
	struct port_link *link = &port->links[to];
	int idx = port->idx;

	if (to != port->layout.ports) {
		idx = link->idx;
		__acquire(&link->lock);
		spin_unlock(&link->lock);
	}
	leave(port, idx);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_end);

static void publish_to_all(struct ivshmem_port *port)
{
	u32 old = ivshmem_caster_publish(&port->caster);
	const struct port_link *link;
	unsigned int peer;

	/* Also a port that listens already, though this one may not send to it yet. */
	for (peer = 0; peer < port->layout.ports; peer++) {
		link = &port->links[peer];
		if (is_present(port, peer) &&
		    ivshmem_caster_wakes(&port->caster, old, link->sender.other))
			ivshmem_port_ring(port, peer);
	}
}

void *ivshmem_port_reserve(struct ivshmem_port *port, unsigned int to, u32 length)
{
	struct ivshmem_sender *s = &port->links[to].sender;
	void *room;

	if (to != port->layout.ports)
		return s->state == IVSHMEM_RING_UP ? ivshmem_sender_reserve(s, length) : NULL;
	room = ivshmem_caster_reserve(&port->caster, length);
	if (room)
		return room;
	/* All of the ring may be unpublished. */
	publish_to_all(port);
	return ivshmem_caster_reserve(&port->caster, length);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_reserve);

void ivshmem_port_commit(struct ivshmem_port *port, unsigned int to, u32 length,
			 const void *header, u32 size)
{
	if (to == port->layout.ports)
		ivshmem_caster_commit(&port->caster, length, header, size);
	else
		ivshmem_sender_commit(&port->links[to].sender, length, header, size);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_commit);

void ivshmem_port_publish(struct ivshmem_port *port, unsigned int to)
{
	if (to == port->layout.ports)
		publish_to_all(port);
	else if (ivshmem_sender_publish(&port->links[to].sender))
		ivshmem_port_ring(port, to);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_publish);

void ivshmem_port_reclaim(struct ivshmem_port *port, unsigned int to,
			  struct ivshmem_reclaimed *done)
{
	struct port_link *link = &port->links[to];
	unsigned int look = ivshmem_sender_reclaim(&link->sender, done);

	if (look & IVSHMEM_LOOK_BROKEN)
		note_broken(port, to);
	/* The client holds its own lock, so that it is told in the context that polls. */
	if (look)
		port->ops->schedule(port->data, to % port->nr_vectors);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_reclaim);

bool ivshmem_port_want_room(struct ivshmem_port *port, unsigned int to)
{
	struct ivshmem_sender *s = &port->links[to].sender;

	return s->state == IVSHMEM_RING_UP && ivshmem_sender_want_room(s);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_want_room);

int ivshmem_port_poll_begin(struct ivshmem_port *port, unsigned int vector)
{
	struct port_vector *v = &port->vectors[vector];
	unsigned int peer;
	int ret = enter(port, &v->idx);

	if (ret)
		return ret;
	v->turn = TURN;
	for (peer = vector; peer < port->layout.ports; peer += port->nr_vectors) {
		/* First, since a peer that has started again says so before it greets. */
		if (is_present(port, peer))
			look_at_receiver(port, peer);
		settle(port, peer);
	}
	return 0;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_poll_begin);

/* Get a frame from a port: sent to this one, or to all. */
static bool receive_from(struct ivshmem_port *port, unsigned int peer,
			 struct ivshmem_arrival *arrival)
{
	struct port_link *link = &port->links[peer];
	bool receives = link->receiver.state == IVSHMEM_RING_UP;
	bool listens;

	arrival->from = peer;
	arrival->broadcast = false;
	if (ivshmem_receiver_peek(&link->receiver, &arrival->frame)) {
		/* It has accepted this port's greeting before it sent, and may want an answer. */
		if (!link->up)
			settle(port, peer);
		if (link->up)
			return true;
		/* Else it was sent before the link went down: for the client that is over. */
		ivshmem_receiver_skip(&link->receiver);
	}
	if (receives && link->receiver.state == IVSHMEM_RING_BROKEN) {
		lose(port, peer);
		note_broken(port, peer);
	}
	if (!port->layout.broadcast_entries)
		return false;
	listens = link->listener.state != IVSHMEM_RING_BROKEN;
	arrival->broadcast = true;
	if (ivshmem_listener_peek(&link->listener, &arrival->frame))
		return true;
	if (listens && link->listener.state == IVSHMEM_RING_BROKEN)
		note_broken(port, peer);
	return false;
}

bool ivshmem_port_receive(struct ivshmem_port *port, unsigned int vector,
			  struct ivshmem_arrival *arrival)
{
	struct port_vector *v = &port->vectors[vector];
	unsigned int n;

	for (n = 0; n <= port->layout.ports / port->nr_vectors + 1; n++) {
		if (v->turn && is_present(port, v->cursor) &&
		    receive_from(port, v->cursor, arrival)) {
			v->turn--;
			return true;
		}
		v->turn = TURN;
		v->cursor += port->nr_vectors;
		if (v->cursor >= port->layout.ports)
			v->cursor = vector;
	}
	return false;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_receive);

bool ivshmem_port_received(struct ivshmem_port *port, const struct ivshmem_arrival *arrival)
{
	struct port_link *link = &port->links[arrival->from];

	if (arrival->broadcast)
		return ivshmem_listener_next(&link->listener);
	ivshmem_receiver_next(&link->receiver);
	return true;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_received);

void ivshmem_port_break(struct ivshmem_port *port, unsigned int from)
{
	ivshmem_receiver_break(&port->links[from].receiver);
	lose(port, from);
	note_broken(port, from);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_break);

void ivshmem_port_poll_end(struct ivshmem_port *port, unsigned int vector)
{
	unsigned int peer;

	for (peer = vector; peer < port->layout.ports; peer += port->nr_vectors)
		if (ivshmem_receiver_publish(&port->links[peer].receiver))
			ivshmem_port_ring(port, peer);
	leave(port, port->vectors[vector].idx);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_poll_end);

/* Have a peer ring at its next frame. Gives whether there is something already. */
static bool want_frames(struct ivshmem_port *port, unsigned int peer)
{
	struct port_link *link = &port->links[peer];
	bool more = ivshmem_receiver_want_frames(&link->receiver);

	if (port->layout.broadcast_entries)
		more |= ivshmem_listener_want_frames(&link->listener);
	return more;
}

void ivshmem_port_listen(struct ivshmem_port *port, unsigned int vector)
{
	unsigned int peer;
	bool more = false;
	int idx;

	if (enter(port, &idx))
		return;
	for (peer = vector; peer < port->layout.ports; peer += port->nr_vectors) {
		if (is_present(port, peer))
			more |= want_frames(port, peer);
		more |= sender_stirs(port, peer);
	}
	more |= ivshmem_node_unmask(port->node, vector);
	if (more) {
		ivshmem_node_mask(port->node, vector);
		port->ops->schedule(port->data, vector);
	}
	leave(port, idx);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_port_listen);
