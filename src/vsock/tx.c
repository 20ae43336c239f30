// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packets into the rings
 *
 * A packet goes into the ring at once, if there is room and none waits before it. One that is
 * larger than the frames of a ring goes as several: the receiver cannot tell.
 */
#include "vsock.h"

static void dequeue(struct vsock_peer *peer, struct vsock_packet *packet)
{
	if (!vsock_packet_length(packet))
		peer->controls--;
	peer->bytes -= vsock_packet_length(packet);
	vsock_packet_unlink(packet);
}

/* Append the first packet, or a part of it, to the ring. Return: false if there is no room. */
static bool push(struct ivshmem_vsock *vsock, struct ivshmem_port *port, unsigned int to,
		 struct list_head *done)
{
	struct vsock_peer *peer = &vsock->peers[to];
	struct vsock_packet *packet = vsock_packet_first(&peer->queue);
	struct virtio_vsock_hdr hdr = *vsock_packet_header(packet);
	u32 left = vsock_packet_length(packet) - peer->sent;
	u32 length = min_t(u32, left, vsock->frame_max - sizeof(hdr));
	void *room = ivshmem_port_reserve(port, to, sizeof(hdr) + length);

	if (!room)
		return false;
	hdr.len = cpu_to_le32(length);
	if (length < left)	/* a message does not end here */
		hdr.flags &= ~cpu_to_le32(VSOCK_ENDS);
	memcpy(room, &hdr, sizeof(hdr));
	vsock_packet_read(packet, peer->sent, room + sizeof(hdr), length);
	ivshmem_port_commit(port, to, sizeof(hdr) + length, NULL, 0);
	peer->sent += length;
	peer->tx.packets++;
	peer->tx.bytes += length;
	if (length < left)
		return true;
	peer->sent = 0;
	dequeue(peer, packet);
	list_add_tail(&packet->list, done);
	return true;
}

/* Between ivshmem_port_begin() and _end(). */
static void push_all(struct ivshmem_vsock *vsock, struct ivshmem_port *port, unsigned int to,
		     struct list_head *done)
{
	struct vsock_peer *peer = &vsock->peers[to];
	struct ivshmem_reclaimed reclaimed;

	do {
		ivshmem_port_reclaim(port, to, &reclaimed);
		while (!list_empty(&peer->queue) && push(vsock, port, to, done))
			;
		ivshmem_port_publish(port, to);
	} while (!list_empty(&peer->queue) && ivshmem_port_want_room(port, to));
}

/* Called with peer->lock held. What was sent is to be freed without it. */
static void flush(struct ivshmem_vsock *vsock, struct ivshmem_port *port, unsigned int to,
		  struct list_head *done)
{
	struct vsock_peer *peer = &vsock->peers[to];
	int ret;

	if (list_empty(&peer->queue))
		return;
	ret = ivshmem_port_begin(port, to);
	if (!ret) {
		push_all(vsock, port, to, done);
		ivshmem_port_end(port, to);
	}
	/* The work does the handshake right now, or is to wake who waits. */
	if (ret == -EBUSY || vsock_peer_wakes(peer))
		ivshmem_vsock_schedule(vsock, to % vsock->nr_vectors);
}

static void free_sent(struct list_head *done)
{
	struct vsock_packet *packet;

	list_for_each_entry(packet, done, list)
		virtio_transport_deliver_tap_pkt(packet);
	vsock_packets_done(done);
}

/**
 * ivshmem_vsock_flush() - send what waits for room
 * @vsock: the partition
 * @port: its port
 * @to: a peer; called by its work, BH
 */
void ivshmem_vsock_flush(struct ivshmem_vsock *vsock, struct ivshmem_port *port,
			 unsigned int to)
{
	struct vsock_peer *peer = &vsock->peers[to];
	LIST_HEAD(done);

	spin_lock_bh(&peer->lock);
	flush(vsock, port, to, &done);
	spin_unlock_bh(&peer->lock);
	free_sent(&done);
}

/* Append a packet to the queue. Called with peer->lock held. */
static int enqueue(const struct ivshmem_vsock *vsock, struct vsock_peer *peer,
		   struct vsock_packet *packet)
{
	u32 length = vsock_packet_length(packet);

	if (!peer->up || peer->handled != peer->losses)
		return vsock_packet_header(packet)->op == cpu_to_le16(VIRTIO_VSOCK_OP_REQUEST) ?
		       -ENODEV : -ECONNRESET;
	if (!length && peer->controls == vsock->controls_max) {
		peer->tx.dropped++;
		return -ENOBUFS;
	}
	peer->controls += !length;
	peer->bytes += length;
	list_add_tail(&packet->list, &peer->queue);
	return 0;
}

/**
 * ivshmem_vsock_send() - send a packet
 * @vsock: the partition; inside RCU
 * @to: a peer
 * @packet: the packet
 *
 * Return: 0, and the packet is no longer the caller's; or a negative errno
 */
int ivshmem_vsock_send(struct ivshmem_vsock *vsock, unsigned int to,
		       struct vsock_packet *packet)
{
	struct ivshmem_port *port = rcu_dereference(vsock->port);
	struct vsock_peer *peer = &vsock->peers[to];
	LIST_HEAD(done);
	int ret;

	if (!port)
		return -ENODEV;
	spin_lock_bh(&peer->lock);
	ret = enqueue(vsock, peer, packet);
	if (!ret)
		flush(vsock, port, to, &done);
	spin_unlock_bh(&peer->lock);
	free_sent(&done);
	return ret;
}

/**
 * ivshmem_vsock_is_full() - should a program wait before it sends more data to a peer?
 * @vsock: the partition
 * @to: a peer
 *
 * Return: true if so; it is woken by ivshmem_vsock_wake()
 */
bool ivshmem_vsock_is_full(struct ivshmem_vsock *vsock, unsigned int to)
{
	struct vsock_peer *peer = &vsock->peers[to];
	bool full;

	spin_lock_bh(&peer->lock);
	full = peer->bytes >= IVSHMEM_VSOCK_QUEUE;
	if (full)
		WRITE_ONCE(peer->waiting, true);
	spin_unlock_bh(&peer->lock);
	return full;
}

/**
 * ivshmem_vsock_cancel() - forget what waits for room
 * @vsock: the partition
 * @to: a peer
 * @sender: the socket that has sent it
 */
void ivshmem_vsock_cancel(struct ivshmem_vsock *vsock, unsigned int to,
			  const struct vsock_sock *sender)
{
	struct vsock_peer *peer = &vsock->peers[to];
	struct vsock_packet *packet, *next;
	LIST_HEAD(cancelled);

	spin_lock_bh(&peer->lock);
	list_for_each_entry_safe(packet, next, &peer->queue, list) {
		if (vsock_packet_sender(packet) != sender)
			continue;
		if (packet == vsock_packet_first(&peer->queue))
			peer->sent = 0;
		dequeue(peer, packet);
		list_add_tail(&packet->list, &cancelled);
	}
	if (vsock_peer_wakes(peer))
		ivshmem_vsock_schedule(vsock, to % vsock->nr_vectors);
	spin_unlock_bh(&peer->lock);
	vsock_packets_done(&cancelled);
}

/**
 * ivshmem_vsock_link() - a peer came or went
 * @data: the partition
 * @to: the peer
 * @up: can it be sent to?
 *
 * The work resets the connections: that is to lock sockets, which can take long.
 */
void ivshmem_vsock_link(void *data, unsigned int to, bool up)
{
	struct ivshmem_vsock *vsock = data;
	struct vsock_peer *peer = &vsock->peers[to];

	spin_lock_bh(&peer->lock);
	peer->up = up;
	if (!up) {
		WRITE_ONCE(peer->losses, peer->losses + 1);
		list_splice_tail_init(&peer->queue, &peer->lost);
		peer->sent = 0;
		peer->controls = 0;
		peer->bytes = 0;
	}
	spin_unlock_bh(&peer->lock);
	if (!up)
		ivshmem_vsock_schedule(vsock, to % vsock->nr_vectors);
}
