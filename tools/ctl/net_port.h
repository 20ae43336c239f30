/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A port of a segment: the place of this program, and its rings to and from all others.
 *
 * What the driver's src/rings/port.c is for machines, with one thread, and the calls of the
 * library.
 */
#ifndef CTL_NET_PORT_H
#define CTL_NET_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "../../src/rings/ring.h"
#include "ctl.h"
#include "net_seat.h"

struct port;

/* What is done with what happens. */
struct port_ops {
	/* A frame has come; its bytes may still change. */
	void (*deliver)(struct port *port, unsigned int from, const struct ivshmem_frame *frame);
	/* A port can be sent to from now on, or no longer, perhaps as it broke the rules. */
	void (*link)(struct port *port, unsigned int peer, enum ivshmem_ring_state state);
	/* A port broke the rules of its ring to all. It is not heard there until it restarts. */
	void (*deaf)(struct port *port, unsigned int peer);
	/* The own number is another one, or -1. */
	void (*own)(struct port *port);
};

/* What is between this port and another one. */
struct link {
	struct ivshmem_sender sender;
	struct ivshmem_receiver receiver;
	struct ivshmem_listener listener;
	uint64_t owner;			/* of the slot; 0: nobody is present */
	uint32_t id;			/* by which it is rung */
	enum ivshmem_ring_state state;	/* UP: both rings are */
	bool unpublished;		/* there are frames that it does not know of */
	bool waits;			/* for room */
};

struct port {
	const struct port_ops *ops;
	struct net_seat *seat;		/* who is there */
	uint8_t *memory;
	struct ivshmem_rings_layout layout;
	uint32_t vectors;
	uint32_t features;		/* IVSHMEM_PORT_* */

	int own;			/* or -1 */
	uint32_t hello;
	struct ivshmem_caster caster;
	bool cast;			/* there are frames to all that nobody knows of */
	struct link *links;		/* of each port; the own one is not used */
	struct ivshmem_ring_note *notes;
	uint8_t *copy;			/* of a frame to all */

	uint64_t sent, received;	/* frames */
	uint64_t dropped;		/* for which there was no room, or no ring */
	uint64_t missed;		/* to all, but overwritten before they were read */
};

/*
 * Prepare; the members up to @features are set. It is no port yet: port_follow() makes it one.
 * False: out of memory.
 */
bool port_open(struct port *port);

/* Tell the others, and free all. */
void port_close(struct port *port);

/* See who is there, and which slot is the own one. Returns 0 or a negative errno. */
int port_follow(struct port *port);

/* Has another program taken the section, or a tool divided the partition anew? */
bool port_is_lost(const struct port *port);

/*
 * Do what those want who rang @vector. Returns true if there is more to do; otherwise they ring
 * again.
 */
bool port_poll(struct port *port, uint32_t vector);

/* Can this one be sent to? */
static inline bool port_is_up(const struct port *port, unsigned int peer)
{
	return port->own >= 0 && port->links[peer].state == IVSHMEM_RING_UP;
}

/*
 * Send a frame to a port, or to layout.ports for all. The receivers see it after port_flush().
 * False: there is no room in the ring now; its receiver will ring.
 */
bool port_send(struct port *port, unsigned int to, const void *header, size_t header_size,
	       const void *frame, uint32_t length);
void port_flush(struct port *port);

#endif /* CTL_NET_PORT_H */
