/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A port: the place of this machine in a segment, for drivers of nodes whose partition has rings
 *
 * The module ivshmem_rings finds the peers, shakes hands with them and rings them; it knows
 * nothing of what is in a frame. A driver, the client, sends frames to a port or to all, and gets
 * those that arrive. It needs one context per vector that polls, as NAPI is:
 *
 *	in schedule():	start the context of the vector, if it does not run
 *	in the context:	ivshmem_port_poll_begin()
 *			while (budget && ivshmem_port_receive()) {
 *				copy the frame
 *				if (ivshmem_port_received()) the copy is good
 *				or ivshmem_port_break()
 *			}
 *			ivshmem_port_begin(), _reclaim(), _end() of what it sends to
 *			ivshmem_port_poll_end()
 *			if there was budget left: end the context; then ivshmem_port_listen()
 *
 * Port p is polled by the context of vector p % number of vectors.
 *
 * Contexts. What is written "BH" is called with bottom halves disabled (as in NAPI and
 * ndo_start_xmit), and neither sleeps nor waits. All else sleeps. Lock order:
 *
 *   device_lock of the node
 *     rtnl_lock, or other locks of the client
 *       port->lock		(create, destroy, start, stop, notify)
 *         RCU, then idev->srcu, then port->links[].lock
 *
 * The client calls ivshmem_port_create(), _destroy() and _notify() in its callbacks of struct
 * ivshmem_driver, under device_lock; and _start() and _stop() with or without that.
 */
#ifndef IVSHMEM_PORT_H
#define IVSHMEM_PORT_H

#include <linux/types.h>
#include "core/client.h"
#include "ring.h"

struct ivshmem_port;

/**
 * struct ivshmem_port_ops - what a client does for its port
 * @schedule: start to poll a vector. Called in any context, interrupts included; not after
 *	ivshmem_port_stop() until the next start. Calls may overlap
 * @link: a port can be sent to and received from now, or no longer. If no longer, all that was
 *	sent and not reclaimed is lost, and what is received next, after a link that is up again,
 *	is of another session. BH, in the context that polls the port, in
 *	ivshmem_port_poll_begin(), _receive() and _break(); or under port->lock, when the port
 *	goes down and nothing polls. It may take locks that are held around ivshmem_port_begin()
 * @own: this machine has got a port, another one, or none (-1): the number is that of its slot.
 *	Sleeps; under port->lock, when no link is up, whether started or not
 * @patience_ms: how long the link to a peer that fell silent is kept, which may change at any
 *	time; or NULL. When the peer leaves or restarts, the link goes down at once
 *
 * None of them may call ivshmem_port_start() or _stop(), nor wait for rtnl_lock.
 */
struct ivshmem_port_ops {
	void (*schedule)(void *data, unsigned int vector);
	void (*link)(void *data, unsigned int peer, bool up);
	void (*own)(void *data, int own);
	const unsigned int *patience_ms;
};

/**
 * struct ivshmem_arrival - a frame that has arrived
 * @from: the port that sent it
 * @broadcast: it was sent to all
 * @frame: see ivshmem_port_receive()
 */
struct ivshmem_arrival {
	unsigned int from;
	bool broadcast;
	struct ivshmem_frame frame;
};

/**
 * struct ivshmem_port_counters - what happened between a port and one other
 * @ups: times that the link came up
 * @broken: times that it broke the rules
 * @missed: frames to all that it had overwritten before they were read here
 * @rings: times it was rung
 * @is_broken: nothing comes from it until it starts again
 */
struct ivshmem_port_counters {
	u64 ups;
	u64 broken;
	u64 missed;
	u64 rings;
	bool is_broken;
};

/**
 * ivshmem_port_create() - be a port of a node's partition; it is stopped
 * @node: bound to the caller, in probe
 * @ops: of the client
 * @data: their argument
 *
 * Reads the header of the partition, and logs why it is refused. Takes all vectors of the node.
 * Of the callbacks only ops->own() is called before ivshmem_port_start(): before this returns,
 * if this machine has a slot.
 *
 * Return: the port, or an ERR_PTR:
 * -ENODATA     there is no header: the partition is not formatted
 * -EINVAL      the header is refused
 * -EOPNOTSUPP  the node has no vectors, no peer table, or no write-back memory
 * -EAGAIN      a reset is going on
 * -ENODEV      the device is unregistered
 * -ENOMEM
 */
struct ivshmem_port *ivshmem_port_create(struct ivshmem_node *node,
					 const struct ivshmem_port_ops *ops, void *data);

/**
 * ivshmem_port_destroy() - end a port
 * @port: stopped; the caller holds the device_lock of its node
 */
void ivshmem_port_destroy(struct ivshmem_port *port);

/**
 * ivshmem_port_start() - come up
 * @port: stopped
 * @features: IVSHMEM_PORT_* that the client can receive
 *
 * The port is up as soon as this machine has a slot, and again after each reset. ops->schedule()
 * is called at once, so the contexts must be able to run.
 */
void ivshmem_port_start(struct ivshmem_port *port, u32 features);

/**
 * ivshmem_port_stop() - go down, and tell the peers
 * @port: started
 *
 * On return no callback runs but ops->own(), and nobody is between ivshmem_port_begin() and
 * _end() or ivshmem_port_poll_begin() and _end(); these fail until the next start.
 */
void ivshmem_port_stop(struct ivshmem_port *port);

/**
 * ivshmem_port_notify() - follow what happens to the node
 * @port: the port
 * @event: what the client's notify() got
 *
 * The client passes on all events. It need not do anything itself.
 */
void ivshmem_port_notify(struct ivshmem_port *port, enum ivshmem_event event);

/**
 * ivshmem_port_layout() - get what the partition's header says
 * @port: the port
 *
 * Return: constant. layout->ports is also the number that stands for all ports
 */
const struct ivshmem_rings_layout *ivshmem_port_layout(const struct ivshmem_port *port);

/**
 * ivshmem_port_vectors() - get the number of contexts that poll
 * @port: the port
 *
 * Return: at least 1; constant
 */
unsigned int ivshmem_port_vectors(const struct ivshmem_port *port);

/**
 * ivshmem_port_own() - get the own number
 * @port: the port
 *
 * Return: the number, or -1. It can be another one at once: a hint
 */
int ivshmem_port_own(const struct ivshmem_port *port);

/**
 * ivshmem_port_peer_features() - get what a port can receive
 * @port: the port
 * @to: another port
 *
 * Return: IVSHMEM_PORT_*, as the peer said when the link came up; any context
 */
u32 ivshmem_port_peer_features(const struct ivshmem_port *port, unsigned int to);

/**
 * ivshmem_port_count() - get the counters of a link
 * @port: the port
 * @peer: another port
 * @counters: out; any context
 */
void ivshmem_port_count(const struct ivshmem_port *port, unsigned int peer,
			struct ivshmem_port_counters *counters);

/**
 * ivshmem_port_max_frame() - get the length of the longest frame
 * @port: the port
 * @to: a port, or layout->ports for all
 *
 * Return: bytes; 0 if @to is all and there are no broadcast rings
 */
u32 ivshmem_port_max_frame(const struct ivshmem_port *port, unsigned int to);

/*
 * Send. BH. @to is another port, or layout->ports for all. The client lets one task at a time be
 * between ivshmem_port_begin() and _end() for the same @to: the lock of a transmit queue does.
 */

/**
 * ivshmem_port_begin() - begin to send, or to reclaim what was sent
 * @port: the port
 * @to: the port that receives, or layout->ports
 *
 * Return: 0, and only then call ivshmem_port_end();
 * -ENETDOWN  the port is stopped, has no slot, or the device is in a reset or gone
 * -ENOTCONN  the link is down, or there are no broadcast rings
 * -EBUSY     the link is about to change: ops->link() may follow
 */
int ivshmem_port_begin(struct ivshmem_port *port, unsigned int to);

/**
 * ivshmem_port_reserve() - get room for a frame
 * @port: the port
 * @to: as given to ivshmem_port_begin()
 * @length: at most ivshmem_port_max_frame()
 *
 * Return: where to write the frame, or NULL if there is no room. To all there is always room
 */
void *ivshmem_port_reserve(struct ivshmem_port *port, unsigned int to, u32 length);

/**
 * ivshmem_port_commit() - append the frame that was written
 * @port: the port
 * @to: as given to ivshmem_port_begin()
 * @length: as it was reserved, or less
 * @header: for the receiving client
 * @size: its bytes, at most IVSHMEM_FRAME_HEADER
 */
void ivshmem_port_commit(struct ivshmem_port *port, unsigned int to, u32 length,
			 const void *header, u32 size);

/**
 * ivshmem_port_publish() - let receivers see what was committed, and ring those that want it
 * @port: the port
 * @to: as given to ivshmem_port_begin()
 *
 * It may be left to a later ivshmem_port_begin().
 */
void ivshmem_port_publish(struct ivshmem_port *port, unsigned int to);

/**
 * ivshmem_port_reclaim() - find out what was read
 * @port: the port
 * @to: as given to ivshmem_port_begin(); not all
 * @done: out: since the last call
 *
 * Each frame that was committed is in one result, unless ops->link() says that the link is down
 * before.
 */
void ivshmem_port_reclaim(struct ivshmem_port *port, unsigned int to,
			  struct ivshmem_reclaimed *done);

/**
 * ivshmem_port_want_room() - have the context that polls @to scheduled when half was read
 * @port: the port
 * @to: as given to ivshmem_port_begin(); not all
 *
 * Call it when a queue stops, and whenever a frame that was sent has to be reclaimed in time.
 *
 * Return: true if something can be reclaimed at once: then do, and ask again
 */
bool ivshmem_port_want_room(struct ivshmem_port *port, unsigned int to);

/**
 * ivshmem_port_end() - end what ivshmem_port_begin() began
 * @port: the port
 * @to: as given to ivshmem_port_begin()
 */
void ivshmem_port_end(struct ivshmem_port *port, unsigned int to);

/* Receive. BH, in the context of a vector. */

/**
 * ivshmem_port_poll_begin() - begin to poll a vector
 * @port: the port
 * @vector: below ivshmem_port_vectors()
 *
 * Looks after the links of the vector, so ops->link() may be called.
 *
 * Return: 0; or -ENETDOWN as ivshmem_port_begin(): then the context ends, without
 * ivshmem_port_poll_end() and ivshmem_port_listen()
 */
int ivshmem_port_poll_begin(struct ivshmem_port *port, unsigned int vector);

/**
 * ivshmem_port_receive() - get the next frame from any port of the vector
 * @port: the port
 * @vector: as given to ivshmem_port_poll_begin()
 * @arrival: out. Its data is in shared memory, where the sender can change it at any time: copy
 *	once, check the copy
 *
 * Ports take turns. Return: false if there is none. After true, ivshmem_port_received() or _break()
 * follows. If neither does, the frame comes again: nothing else is received in between
 */
bool ivshmem_port_receive(struct ivshmem_port *port, unsigned int vector,
			  struct ivshmem_arrival *arrival);

/**
 * ivshmem_port_received() - be done with a frame
 * @port: the port
 * @arrival: from ivshmem_port_receive()
 *
 * Return: false if the frame was overwritten meanwhile, and the copy is to be thrown away
 */
bool ivshmem_port_received(struct ivshmem_port *port, const struct ivshmem_arrival *arrival);

/**
 * ivshmem_port_break() - be done with a port that has sent what it must not
 * @port: the port
 * @from: the port that sent it, to this one and not to all; instead of ivshmem_port_received()
 *
 * Does what a bad descriptor does: until that port starts again nothing comes from it, and the
 * link is down.
 */
void ivshmem_port_break(struct ivshmem_port *port, unsigned int from);

/**
 * ivshmem_port_poll_end() - let the senders see what was read
 * @port: the port
 * @vector: as given to ivshmem_port_poll_begin()
 */
void ivshmem_port_poll_end(struct ivshmem_port *port, unsigned int vector);

/**
 * ivshmem_port_listen() - wait for doorbells
 * @port: the port
 * @vector: whose context has just ended (after napi_complete_done())
 *
 * Calls ops->schedule() at once if something arrived meanwhile.
 */
void ivshmem_port_listen(struct ivshmem_port *port, unsigned int vector);

#endif /* IVSHMEM_PORT_H */
