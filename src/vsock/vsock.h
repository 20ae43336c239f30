/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem_vsock: declarations shared by its files
 *
 *	driver.c	binds to partitions of type "vsock", and gives out CIDs
 *	transport.c	what the kernel's vsock calls
 *	tx.c		packets into the rings
 *	rx.c		packets out of the rings, by a work item for each vector
 *	reset.c		ends the connections with a peer that is gone
 *	sysfs.c		attributes of the partition
 *	packet.h	packets, whatever the kernel calls them
 *
 * The kernel's virtio_transport_common does all about connections: their states, credit, streams
 * and messages. The rings and the other ports are the affair of src/rings. Here is what lies
 * between: peer n has the CID vsock->cid + n, and packets for it go through the ring to port n.
 *
 * Concurrency
 *
 *	vsock_mutex		binding and unbinding, the ranges of CIDs
 *	RCU			finding a peer by its CID, and vsock->port
 *	peer->lock		all about packets to a peer. BH; around ivshmem_port_begin()
 *	work of vector j % V	all about packets from port j, and resetting its connections
 *
 * To deliver a packet is to lock its socket, which a program can keep locked for as long as it
 * likes (by memory that it is asked to copy from and that does not come). So nothing waits for
 * the work but the end of the module: it has a reference of its own, and finds vsock->port NULL
 * once the partition is unbound.
 */
#ifndef IVSHMEM_VSOCK_H
#define IVSHMEM_VSOCK_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include "packet.h"
#include "rings/port.h"

/* Bytes of data that wait for room in a ring, before programs have to wait. */
#define IVSHMEM_VSOCK_QUEUE	0x100000

/* CIDs of a partition: as many as there can be ports. */
#define IVSHMEM_VSOCK_CIDS	IVSHMEM_RINGS_MAX_PORTS

/**
 * struct vsock_counters - of packets with a peer
 * @packets: how many
 * @bytes: of data in them
 * @dropped: those that were thrown away
 */
struct vsock_counters {
	u64 packets;
	u64 bytes;
	u64 dropped;
};

/**
 * struct vsock_peer - a port, as somebody to connect to
 * @lock: protects all but @rx and @resetting
 * @queue: packets to it that are not in the ring yet, in order
 * @lost: packets that were in @queue when the link went down, to be freed by the work
 * @sent: bytes of the first packet's data that are in the ring
 * @controls: packets in @queue without data
 * @bytes: of data in @queue
 * @waiting: a program waits until @bytes are fewer
 * @up: packets can be sent
 * @losses: how often the link went down
 * @handled: for how many of these the connections were reset. Until it is @losses nothing is sent
 * @resetting: what @handled will be; of the work
 * @tx: counters
 * @rx: counters; written by the work
 */
struct vsock_peer {
	spinlock_t lock;	/* see above */
	struct list_head queue;
	struct list_head lost;
	u32 sent;
	unsigned int controls;
	u64 bytes;
	bool waiting;
	bool up;
	unsigned int losses;
	unsigned int handled;
	unsigned int resetting;
	struct vsock_counters tx;
	struct vsock_counters rx;
};

/**
 * struct vsock_vector - a vector of the partition, and the ports that ring it
 * @vsock: what it belongs to
 * @work: receives from them; has a reference to @vsock while it is queued or runs
 * @number: of the vector; those ports are number, number + nr_vectors...
 * @starved: a frame waits in a ring, as there was no memory for it; of the work, as the next ones
 * @wanted: bytes of data in that frame
 * @spare: a packet for it
 */
struct vsock_vector {
	struct ivshmem_vsock *vsock;
	struct work_struct work;
	unsigned int number;
	bool starved;
	u32 wanted;
	struct vsock_packet *spare;
};

/**
 * struct ivshmem_vsock - a partition of type "vsock"
 * @ref: one of the node that it is bound to, and one of each work item
 * @entry: among all that are bound
 * @node: the partition; while it is bound
 * @port: its place in the segment; NULL once it is unbound
 * @cid: of port 0 (constant)
 * @ports: how many there are (constant)
 * @frame_max: bytes of a frame, at most (constant)
 * @controls_max: packets without data that wait for a peer, at most (constant)
 * @nr_vectors: length of @vectors (constant)
 * @vectors: at least one
 * @peers: by number of the port; the own one is never up
 */
struct ivshmem_vsock {
	struct kref ref;
	struct list_head entry;
	struct ivshmem_node *node;
	struct ivshmem_port __rcu *port;
	u32 cid;
	unsigned int ports;
	u32 frame_max;
	unsigned int controls_max;
	unsigned int nr_vectors;
	struct vsock_vector *vectors;
	struct vsock_peer *peers;
};

/*
 * Mark a connection that ended with its link. The kernel looks at this word of an address nowhere;
 * flags of the socket would not last, since shutdown() clears SOCK_DONE. A program can set the word
 * when it connects, but not what peer_shutdown says.
 */
#define VSOCK_OVER	0x4c52

static inline void vsock_mark_over(struct vsock_sock *vsk)
{
	WRITE_ONCE(vsk->peer_shutdown, SHUTDOWN_MASK);
	WRITE_ONCE(vsk->remote_addr.svm_reserved1, VSOCK_OVER);
}

static inline bool vsock_is_over(const struct vsock_sock *vsk)
{
	return READ_ONCE(vsk->remote_addr.svm_reserved1) == VSOCK_OVER &&
	       READ_ONCE(vsk->peer_shutdown) == SHUTDOWN_MASK;
}

/* Is somebody to be woken who waits? Called with peer->lock held. */
static inline bool vsock_peer_wakes(const struct vsock_peer *peer)
{
	return peer->waiting && peer->bytes <= IVSHMEM_VSOCK_QUEUE / 2;
}

/* driver.c */
struct ivshmem_vsock *ivshmem_vsock_find(u32 cid);
void ivshmem_vsock_put(struct ivshmem_vsock *vsock);

/* transport.c */
extern struct virtio_transport ivshmem_vsock_transport;

/* tx.c */
int ivshmem_vsock_send(struct ivshmem_vsock *vsock, unsigned int to,
		       struct vsock_packet *packet);
bool ivshmem_vsock_is_full(struct ivshmem_vsock *vsock, unsigned int to);
void ivshmem_vsock_cancel(struct ivshmem_vsock *vsock, unsigned int to,
			  const struct vsock_sock *sender);
void ivshmem_vsock_flush(struct ivshmem_vsock *vsock, struct ivshmem_port *port,
			 unsigned int to);
void ivshmem_vsock_link(void *data, unsigned int peer, bool up);

/* rx.c */
extern struct workqueue_struct *ivshmem_vsock_workqueue;
void ivshmem_vsock_schedule(void *data, unsigned int vector);
void ivshmem_vsock_work(struct work_struct *work);

/* reset.c */
void ivshmem_vsock_reset(u32 cid);
void ivshmem_vsock_wake(u32 cid);

/* sysfs.c */
extern const struct attribute_group *ivshmem_vsock_groups[];

#endif /* IVSHMEM_VSOCK_H */
