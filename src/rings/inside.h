/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem_rings: declarations shared by port.c and traffic.c
 */
#ifndef IVSHMEM_INSIDE_H
#define IVSHMEM_INSIDE_H

#include <linux/atomic.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "port.h"

/* No peer that is present is rung by this number. */
#define PORT_ABSENT	0xffffffffU

/**
 * struct port_link - between the port and one other
 * @lock: protects @sender against its handshake. BH. Who begins to send only tries to get it
 * @sender: sends; of the client's tasks one at a time uses it
 * @receiver: receives; in the context that polls, as the next one
 * @listener: receives what is sent to all
 * @id: the number by which the peer is rung, or PORT_ABSENT. Written under port->lock
 * @owner: random number of the peer's presence; under port->lock
 * @again: the presence is another one: greet again. Set under port->lock, cleared by the
 *	context that polls
 * @is_silent: the peer is not present, and @id is kept for a while; under port->lock
 * @silent_since: in jiffies; likewise
 * @idx: for ivshmem_node_end(), while the client sends
 * @up: what ops->link() said last. Written by the context that polls
 * @features: what the peer can receive; likewise
 * @ups: times that the link came up; likewise
 * @broken: times that the peer broke the rules
 * @rings: times it was rung
 */
struct port_link {
	spinlock_t lock;	/* sender */
	struct ivshmem_sender sender;
	struct ivshmem_receiver receiver;
	struct ivshmem_listener listener;
	u32 id;
	u64 owner;
	bool again;
	bool is_silent;
	unsigned long silent_since;
	int idx;
	bool up;
	u32 features;
	u64 ups;
	atomic64_t broken;
	atomic64_t rings;
};

/**
 * struct port_vector - a vector, and the ports that it is polled for
 * @port: the port (constant)
 * @number: of the vector (constant)
 * @idx: for ivshmem_node_end(), while it is polled; with the next ones in the context that polls
 * @cursor: the peer whose turn it is
 * @turn: frames it may still give before the next one's turn
 */
struct port_vector {
	struct ivshmem_port *port;
	unsigned int number;
	int idx;
	unsigned int cursor;
	unsigned int turn;
};

/**
 * struct ivshmem_port - a port
 * @node: the partition (constant)
 * @memory: of @node (constant)
 * @ops: of the client (constant)
 * @data: their argument (constant)
 * @layout: what the header says (constant)
 * @lock: protects what changes when the port or a peer comes or goes: @started, @running, @own,
 *	@words, and as written there @links
 * @started: the client wants the port to be up
 * @held: it does not come up, since the device is in a reset or about to go; under @lock
 * @running: it is. Inside RCU it stays so, and with it @own and @words
 * @own: its number, or -1
 * @words: what it says of itself
 * @infos: room for the peer table; under @lock
 * @patience: ends when the first of the silent peers is given up
 * @caster: sends to all; of the client's tasks one at a time uses it
 * @idx: for ivshmem_node_end(), while the client sends to all
 * @log: limits the lines in the log
 * @nr_vectors: number of @vectors (constant)
 * @vectors: all that the port listens to
 * @links: by number of the other port; the own one is not used
 * @notes: of all senders and the caster
 */
struct ivshmem_port {
	struct ivshmem_node *node;
	void *memory;
	const struct ivshmem_port_ops *ops;
	void *data;
	struct ivshmem_rings_layout layout;
	struct mutex lock;	/* see above */
	bool started;
	bool held;
	bool running;
	int own;
	struct ivshmem_port_words words;
	struct ivshmem_peer_info *infos;
	struct delayed_work patience;
	struct ivshmem_caster caster;
	int idx;
	struct ratelimit_state log;
	unsigned int nr_vectors;
	struct port_vector *vectors;
	struct port_link *links;
	struct ivshmem_ring_note *notes;
};

/* traffic.c */
void ivshmem_port_ring(struct ivshmem_port *port, unsigned int peer);
void ivshmem_port_tell(struct ivshmem_port *port, unsigned int peer, bool up);

#endif /* IVSHMEM_INSIDE_H */
