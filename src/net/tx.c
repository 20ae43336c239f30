// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames into the rings
 *
 * Each port of the segment has a transmit queue of its own, so that a port that is slow or dead
 * stops nothing but the frames to it. What was sent is copied, and the sk_buff is free at once:
 * byte queue limits alone say how much lies in a ring.
 *
 * A queue that stands still, for want of room or by its limit, has the receiver ring when half
 * is read. It is asked after the queue has stopped, and then looked at once more: so it is either
 * seen to have read, or it rings.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/virtio_net.h>
#include "core/compat.h"
#include "net.h"

/*
 * Where an address is, or -1: the frame goes to all. Nobody else has the address of a port, so a
 * frame to one that is down is dropped there, and does not come to all others in its place.
 */
static int port_at(struct ivshmem_net *net, const u8 *address)
{
	int port;

	if (is_multicast_ether_addr(address))
		return -1;
	port = ivshmem_learn_find(&net->learn, address);
	return port < 0 ? ivshmem_net_port_of(net, address) : port;
}

/**
 * ivshmem_net_select_queue() - choose the queue of a frame: by where its destination is
 * @dev: the interface
 * @skb: the frame
 * @sb_dev: not used
 *
 * Return: the number of a port, or of the queue to all
 */
u16 ivshmem_net_select_queue(struct net_device *dev, struct sk_buff *skb,
			     struct net_device *sb_dev)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);
	int port = port_at(net, ((const struct ethhdr *)skb->data)->h_dest);

	return port < 0 ? net->ports : port;
}

/**
 * ivshmem_net_features_check() - say what must be done to a frame before it is sent
 * @skb: the frame
 * @dev: the interface
 * @features: of the interface
 *
 * Return: those of them that the frame can have
 */
netdev_features_t ivshmem_net_features_check(struct sk_buff *skb, struct net_device *dev,
					     netdev_features_t features)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);
	unsigned int to = skb_get_queue_mapping(skb);

	features = vlan_features_check(skb, features);
	if (!skb_is_gso(skb))
		return features;
	if (skb->len > net->frame_max)
		return features & ~NETIF_F_GSO_MASK;
	/* The stack asks before it chooses the queue, too: then the number is any. */
	if (to >= net->ports || !(ivshmem_port_peer_features(net->port, to) & IVSHMEM_PORT_USO))
		features &= ~NETIF_F_GSO_UDP_L4;
	return features;
}

/* These frames are in the ring no longer. */
static void finish(struct ivshmem_net_tx *tx, struct netdev_queue *queue,
		   struct ivshmem_reclaimed done)
{
	tx->pending.frames -= done.frames;
	tx->pending.bytes -= done.bytes;
	netdev_tx_completed_queue(queue, done.frames, done.bytes);
	if (netif_tx_queue_stopped(queue))
		netif_tx_wake_queue(queue);
}

/*
 * What was sent before the link went down, is read by nobody. To be called after
 * ivshmem_port_begin() and before anything is sent: a link comes up again only after @lost was
 * set, so nothing but what was sent before is pending then.
 */
static void finish_lost(struct ivshmem_net_tx *tx, struct netdev_queue *queue)
{
	if (!READ_ONCE(tx->lost))
		return;
	WRITE_ONCE(tx->lost, false);
	finish(tx, queue, tx->pending);
}

/*
 * Take back what was read, and have the peer ring later if the queue stands still. Called
 * between ivshmem_port_begin() and _end().
 */
static void settle(struct ivshmem_net *net, unsigned int to, struct netdev_queue *queue)
{
	struct ivshmem_reclaimed done;

	do {
		ivshmem_port_reclaim(net->port, to, &done);
		if (done.frames)
			finish(&net->tx[to], queue, done);
	} while (netif_xmit_stopped(queue) && ivshmem_port_want_room(net->port, to));
}

static void *try_reserve(struct ivshmem_net *net, unsigned int to, unsigned int length)
{
	if (net->tx[to].pending.frames >= READ_ONCE(net->tx_limit))
		return NULL;
	return ivshmem_port_reserve(net->port, to, length);
}

/* Room for a frame. If there is none, the queue has stopped. */
static void *reserve(struct ivshmem_net *net, unsigned int to, struct netdev_queue *queue,
		     unsigned int length)
{
	void *room;

	while (!(room = try_reserve(net, to, length))) {
		netif_tx_stop_queue(queue);
		ivshmem_port_publish(net->port, to);
		settle(net, to, queue);
		if (netif_tx_queue_stopped(queue))
			return NULL;
	}
	return room;
}

/* Append a frame to the ring. Return: false if it cannot be sent. */
static bool put(struct ivshmem_net *net, unsigned int to, struct sk_buff *skb, void *room)
{
	struct virtio_net_hdr header;

	if (virtio_net_hdr_from_skb(skb, &header, true, true, 0) ||
	    skb_copy_bits(skb, 0, room, skb->len))
		return false;
	ivshmem_port_commit(net->port, to, skb->len, &header, sizeof(header));
	return true;
}

/* Have the receiver see what was sent, unless more is about to follow. */
static void push(struct ivshmem_net *net, unsigned int to, struct netdev_queue *queue)
{
	if (netdev_xmit_more() && !netif_xmit_stopped(queue))
		return;
	ivshmem_port_publish(net->port, to);
	if (netif_xmit_stopped(queue))
		settle(net, to, queue);
}

/* Count a frame that was put. Nobody waits for those who read what is sent to all. */
static void account(struct ivshmem_net *net, unsigned int to, struct netdev_queue *queue,
		    unsigned int length)
{
	struct ivshmem_net_tx *tx = &net->tx[to];

	u64_stats_inc(&tx->frames);
	u64_stats_add(&tx->bytes, length);
	if (to == net->ports)
		return;
	tx->pending.frames++;
	tx->pending.bytes += length;
	__netdev_tx_sent_queue(queue, length, netdev_xmit_more());
}

/* Send a frame, between ivshmem_port_begin() and _end(). */
static netdev_tx_t send(struct ivshmem_net *net, unsigned int to, struct netdev_queue *queue,
			struct sk_buff *skb)
{
	bool fits = skb->len <= net->frame_max;
	void *room = NULL;

	if (to != net->ports)
		settle(net, to, queue);
	if (fits)
		room = reserve(net, to, queue, skb->len);
	if (fits && !room) {
		u64_stats_inc(&net->tx[to].full);
		return NETDEV_TX_BUSY;
	}
	skb_tx_timestamp(skb);
	if (fits && put(net, to, skb, room))
		account(net, to, queue, skb->len);
	else
		u64_stats_inc(&net->tx[to].dropped);
	push(net, to, queue);
	dev_consume_skb_any(skb);
	return NETDEV_TX_OK;
}

/**
 * ivshmem_net_xmit() - send a frame
 * @skb: the frame
 * @dev: the interface
 *
 * Return: NETDEV_TX_OK, also if it was dropped; NETDEV_TX_BUSY if there is no room, and the
 * queue has stopped
 */
netdev_tx_t ivshmem_net_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);
	unsigned int to = skb_get_queue_mapping(skb);
	struct netdev_queue *queue = netdev_get_tx_queue(dev, to);
	int down = ivshmem_port_begin(net->port, to);
	netdev_tx_t ret;

	finish_lost(&net->tx[to], queue);
	if (down) {
		u64_stats_inc(&net->tx[to].dropped);
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}
	ret = send(net, to, queue, skb);
	ivshmem_port_end(net->port, to);
	return ret;
}

/**
 * ivshmem_net_tx_poll() - have a queue go on, if it stands still and there is room
 * @net: the interface
 * @to: the queue of a port
 * @budget: of the NAPI; 0 for netpoll, which is called from anywhere: also by who sends
 *
 * Called by the NAPI that the port rings. If the link is down, ivshmem_net_xmit() drops what
 * waits in the queue.
 */
void ivshmem_net_tx_poll(struct ivshmem_net *net, unsigned int to, int budget)
{
	struct netdev_queue *queue = netdev_get_tx_queue(net->dev, to);
	int down;

	if (!netif_xmit_stopped(queue))
		return;
	if (budget)
		__netif_tx_lock(queue, smp_processor_id());
	else if (!__netif_tx_trylock(queue))
		return;
	down = ivshmem_port_begin(net->port, to);
	finish_lost(&net->tx[to], queue);
	if (!down) {
		settle(net, to, queue);
		ivshmem_port_end(net->port, to);
	} else if (netif_tx_queue_stopped(queue)) {
		netif_tx_wake_queue(queue);
	}
	__netif_tx_unlock(queue);
}

/**
 * ivshmem_net_tx_reset() - forget what is in the ring
 * @net: the interface, which is down
 * @to: the queue of a port
 */
void ivshmem_net_tx_reset(struct ivshmem_net *net, unsigned int to)
{
	struct netdev_queue *queue = netdev_get_tx_queue(net->dev, to);

	/* Some senders do not ask the queue whether it is stopped. */
	__netif_tx_lock_bh(queue);
	net->tx[to].pending = (struct ivshmem_reclaimed){ };
	net->tx[to].lost = false;
	netdev_tx_reset_queue(queue);
	__netif_tx_unlock_bh(queue);
}
