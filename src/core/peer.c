// SPDX-License-Identifier: GPL-2.0-only
/*
 * Local peers: the receivers of doorbells on this machine
 *
 * A PCI device is one peer: the hypervisor gives it an id and raises its
 * interrupts, and all open files get the same doorbells. Without a hypervisor
 * every open file is a peer with the lowest free id, and rings others by
 * ivshmem_peer_ring(). As with the real device, a doorbell to an id without a
 * peer has no effect.
 */
#include <linux/capability.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include "compat.h"
#include "core.h"

/**
 * ivshmem_peer_alloc() - allocate a peer
 * @idev: the device
 * @first: its first vector
 * @nr: number of its vectors; the device has all of them
 * @gfp: how to allocate it
 *
 * Return: the peer or NULL
 */
struct ivshmem_peer *ivshmem_peer_alloc(struct ivshmem_device *idev, unsigned int first,
					unsigned int nr, gfp_t gfp)
{
	struct ivshmem_peer *peer;

	peer = kvzalloc(struct_size(peer, vectors, nr), gfp);
	if (!peer)
		return NULL;
	peer->idev = idev;
	peer->first_vector = first;
	peer->nr_vectors = nr;
	ivshmem_events_begin(peer);
	return peer;
}

/**
 * ivshmem_peer_free() - free a peer
 * @peer: without listeners, and nobody rings it; or NULL
 */
void ivshmem_peer_free(struct ivshmem_peer *peer)
{
	if (peer)
		ivshmem_events_end(peer);
	kvfree(peer);
}

/**
 * ivshmem_device_set_vectors() - set the number of interrupts of this machine
 * @idev: not registered yet
 * @nr: 0 to IVSHMEM_MAX_VECTORS
 *
 * Without interrupts there may be polled doorbells, as many as a label says, so there is room
 * for all.
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_device_set_vectors(struct ivshmem_device *idev, unsigned int nr)
{
	unsigned int room = idev->transport->peer_per_file ? nr : IVSHMEM_MAX_VECTORS;

	idev->counters = kvcalloc(room, sizeof(*idev->counters), GFP_KERNEL);
	if (!idev->counters)
		return -ENOMEM;
	idev->nr_vectors = nr;
	if (idev->transport->peer_per_file)
		return 0;
	idev->peer = ivshmem_peer_alloc(idev, 0, room, GFP_KERNEL);
	if (!idev->peer)
		return -ENOMEM;
	ivshmem_device_limit_vectors(idev, nr);
	return 0;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_set_vectors);

/**
 * ivshmem_device_limit_vectors() - use fewer vectors, as there are not enough interrupts
 * @idev: not registered yet, without @peer_per_file
 * @nr: at most what ivshmem_device_set_vectors() was given
 */
void ivshmem_device_limit_vectors(struct ivshmem_device *idev, unsigned int nr)
{
	idev->nr_vectors = nr;
	idev->peer->nr_vectors = nr ?: IVSHMEM_MAX_VECTORS;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_limit_vectors);

/* Called when the last reference to the device is dropped. */
void ivshmem_peers_free(struct ivshmem_device *idev)
{
	xa_destroy(&idev->peers);
	ivshmem_peer_free(idev->peer);
	kvfree(idev->counters);
}

/**
 * ivshmem_peer_join() - get a peer for an open file, or for the driver of a node
 * @node: the node
 * @result: out: the peer; that of the node if all its files share one
 *
 * Return: 0; -ENOMEM; -EBUSY if all ids are taken
 */
int ivshmem_peer_join(struct ivshmem_node *node, struct ivshmem_peer **result)
{
	struct ivshmem_device *idev = node->idev;
	struct ivshmem_peer *peer = node->shared;
	int ret;

	*result = peer;
	if (peer)
		return 0;
	peer = ivshmem_peer_alloc(idev, node->part.first_vector, node->nr_vectors,
				  GFP_KERNEL_ACCOUNT);
	if (!peer)
		return -ENOMEM;
	peer->node = node;
	ret = xa_alloc(&idev->peers, &peer->id, peer,
		       XA_LIMIT(0, IVSHMEM_MAX_PEER - IVSHMEM_RESERVED_IDS),
		       GFP_KERNEL_ACCOUNT);
	if (ret == -EBUSY && capable(CAP_SYS_RESOURCE))
		ret = xa_alloc(&idev->peers, &peer->id, peer,
			       XA_LIMIT(0, IVSHMEM_MAX_PEER), GFP_KERNEL_ACCOUNT);
	if (ret)
		kvfree(peer);
	else
		*result = peer;
	return ret;
}

/* Nobody rings it any more. The id may be that of another peer by now. */
static void forget_id(struct ivshmem_peer *peer)
{
	struct xarray *peers = &peer->idev->peers;

	xa_lock(peers);
	if (xa_load(peers, peer->id) == peer)
		__xa_erase(peers, peer->id);
	xa_unlock(peers);
}

/**
 * ivshmem_peer_leave() - give back a peer
 * @peer: without listeners
 */
void ivshmem_peer_leave(struct ivshmem_peer *peer)
{
	if (!peer->node)
		return;
	forget_id(peer);
	ivshmem_events_end(peer);
	/* Another task may be ringing it. */
	kvfree_rcu(peer, rcu);
}

/* The id that others ring; called inside the device. @peer is one of the node's. */
u32 ivshmem_peer_id(const struct ivshmem_node *node, const struct ivshmem_peer *peer)
{
	const struct ivshmem_transport *transport = node->idev->transport;

	u32 id;

	/* ivshmem-plain has the register too, but gets no id from a server. */
	if (!ivshmem_node_can_ring(node))
		return IVSHMEM_ID_UNKNOWN;
	if (transport->peer_per_file)
		return peer->id;
	id = ivshmem_bells_id(node->idev);
	if (id != IVSHMEM_ID_UNKNOWN || !node->idev->can_ring)
		return id;
	return transport->id(node->idev);
}

/**
 * ivshmem_peer_ring() - ring a peer of the same device
 * @idev: with peer_per_file; called inside the device
 * @id: the peer; it need not exist
 * @vector: vector of the device; the peer need not have it
 */
void ivshmem_peer_ring(struct ivshmem_device *idev, u32 id, u32 vector)
{
	struct ivshmem_peer *peer;

	rcu_read_lock();
	peer = xa_load(&idev->peers, id);
	if (peer && vector - peer->first_vector < peer->nr_vectors) {
		vector = array_index_nospec(vector - peer->first_vector, peer->nr_vectors);
		/* Order earlier writes to the region before the doorbell. */
		smp_mb__before_atomic();
		ivshmem_vector_signal(&peer->vectors[vector]);
	}
	rcu_read_unlock();
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_peer_ring);

/*
 * Does the device have the vector, or is somebody waiting for it still? Of polled doorbells a
 * peer has room for more than the label gives it.
 */
static bool vector_in_use(const struct ivshmem_peer *peer, unsigned int i)
{
	return peer->first_vector + i < ivshmem_device_vectors(peer->idev) ||
	       !hlist_empty(&peer->vectors[i].listeners);
}

static void peer_signal_all(struct ivshmem_peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->nr_vectors; i++)
		if (vector_in_use(peer, i))
			ivshmem_vector_signal(&peer->vectors[i]);
	/* A device without vectors may have pollers, too. */
	ivshmem_any_signal(peer);
	ivshmem_news_signal(peer);
}

/* Call @handle for the peers that are open files: those of a node, or all (NULL). */
static void each_file(struct ivshmem_device *idev, const struct ivshmem_node *node,
		      void (*handle)(struct ivshmem_peer *peer))
{
	struct ivshmem_peer *peer;
	unsigned long id;

	rcu_read_lock();
	xa_for_each(&idev->peers, id, peer) {
		if (!node || peer->node == node)
			handle(peer);
		/* There may be thousands. */
		rcu_read_unlock();
		cond_resched();
		rcu_read_lock();
	}
	rcu_read_unlock();
}

/**
 * ivshmem_peers_signal() - notify all listeners of all vectors of a node
 * @node: that ends, or whose doorbells may have been lost
 */
void ivshmem_peers_signal(struct ivshmem_node *node)
{
	if (node->shared)
		peer_signal_all(node->shared);
	else
		each_file(node->idev, node, peer_signal_all);
}

static void peer_retire(struct ivshmem_peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->nr_vectors; i++)
		ivshmem_vector_retire(&peer->vectors[i]);
	ivshmem_vector_retire(&peer->any);
	ivshmem_vector_retire(&peer->news);
}

/**
 * ivshmem_peers_retire() - let the open files of a node get no more doorbells
 * @node: that was unbound, and has notified them of that
 *
 * The next owner of the node may have the same peer. Where each file is a peer, the ids
 * are given back.
 */
void ivshmem_peers_retire(struct ivshmem_node *node)
{
	if (node->shared)
		peer_retire(node->shared);
	else
		each_file(node->idev, node, forget_id);
}

/**
 * ivshmem_peers_signal_all() - notify all listeners of all vectors of a device
 * @idev: whose state has changed, or whose doorbells may have been lost; the caller holds
 *	its nodes_lock
 */
void ivshmem_peers_signal_all(struct ivshmem_device *idev)
{
	unsigned int i;

	for (i = 0; i < IVSHMEM_NODES; i++)
		if (idev->nodes[i] && idev->nodes[i]->shared)
			peer_signal_all(idev->nodes[i]->shared);
	each_file(idev, NULL, peer_signal_all);
}

/**
 * ivshmem_peers_signal_news() - notify all listeners to changes of who is present
 * @idev: the device; the caller holds its nodes_lock
 */
void ivshmem_peers_signal_news(struct ivshmem_device *idev)
{
	unsigned int i;

	for (i = 0; i < IVSHMEM_NODES; i++)
		if (idev->nodes[i] && idev->nodes[i]->shared)
			ivshmem_news_signal(idev->nodes[i]->shared);
}
