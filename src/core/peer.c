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

static struct ivshmem_peer *peer_alloc(struct ivshmem_device *idev, gfp_t gfp)
{
	struct ivshmem_peer *peer;

	peer = kvzalloc(struct_size(peer, vectors, idev->nr_vectors), gfp);
	if (!peer)
		return NULL;
	peer->idev = idev;
	ivshmem_events_begin(peer);
	return peer;
}

/**
 * ivshmem_device_set_vectors() - set the number of vectors of each local peer
 * @idev: not registered yet
 * @nr: 0 to IVSHMEM_MAX_VECTORS
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_device_set_vectors(struct ivshmem_device *idev, unsigned int nr)
{
	unsigned int i;

	idev->counters = kvcalloc(nr, sizeof(*idev->counters), GFP_KERNEL);
	if (!idev->counters)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		snprintf(idev->counters[i].name, sizeof(idev->counters[i].name),
			 "%u", (u8)i);
	idev->nr_vectors = nr;
	if (idev->transport->peer_per_file)
		return 0;
	idev->peer = peer_alloc(idev, GFP_KERNEL);
	return idev->peer ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_set_vectors);

/**
 * ivshmem_device_limit_vectors() - use fewer vectors, as there are not enough interrupts
 * @idev: not registered yet
 * @nr: at most what ivshmem_device_set_vectors() was given
 */
void ivshmem_device_limit_vectors(struct ivshmem_device *idev, unsigned int nr)
{
	idev->nr_vectors = nr;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_limit_vectors);

/* Called when the last reference to the device is dropped. */
void ivshmem_peers_free(struct ivshmem_device *idev)
{
	xa_destroy(&idev->peers);
	if (idev->peer)
		ivshmem_events_end(idev->peer);
	kvfree(idev->peer);
	kvfree(idev->counters);
}

/**
 * ivshmem_peer_join() - get a peer for an open file, or for the driver of a node
 * @idev: the device
 * @result: out: the peer; that of the device if there is only one
 *
 * Return: 0; -ENOMEM; -EBUSY if all ids are taken
 */
int ivshmem_peer_join(struct ivshmem_device *idev, struct ivshmem_peer **result)
{
	struct ivshmem_peer *peer = idev->peer;
	int ret;

	*result = peer;
	if (peer)
		return 0;
	peer = peer_alloc(idev, GFP_KERNEL_ACCOUNT);
	if (!peer)
		return -ENOMEM;
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

/**
 * ivshmem_peer_leave() - give back a peer
 * @peer: without listeners
 */
void ivshmem_peer_leave(struct ivshmem_peer *peer)
{
	if (peer == peer->idev->peer)
		return;
	xa_erase(&peer->idev->peers, peer->id);
	ivshmem_events_end(peer);
	/* Another task may be ringing it. */
	kvfree_rcu(peer, rcu);
}

/* The id that others ring; called inside the device. */
u32 ivshmem_peer_id(struct ivshmem_peer *peer)
{
	const struct ivshmem_transport *transport = peer->idev->transport;

	/* ivshmem-plain has the register too, but gets no id from a server. */
	if (!peer->idev->can_ring)
		return IVSHMEM_ID_UNKNOWN;
	return transport->peer_per_file ? peer->id : transport->id(peer->idev);
}

/**
 * ivshmem_peer_ring() - ring a peer of the same device
 * @idev: with peer_per_file; called inside the device
 * @id: the peer; it need not exist
 * @vector: its vector; it need not exist
 */
void ivshmem_peer_ring(struct ivshmem_device *idev, u32 id, u32 vector)
{
	struct ivshmem_peer *peer;

	rcu_read_lock();
	peer = xa_load(&idev->peers, id);
	if (peer && vector < idev->nr_vectors) {
		vector = array_index_nospec(vector, idev->nr_vectors);
		/* Order earlier writes to the region before the doorbell. */
		smp_mb__before_atomic();
		ivshmem_vector_signal(&peer->vectors[vector]);
	}
	rcu_read_unlock();
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_peer_ring);

static void peer_signal_all(struct ivshmem_peer *peer)
{
	unsigned int i;

	for (i = 0; i < peer->idev->nr_vectors; i++)
		ivshmem_vector_signal(&peer->vectors[i]);
	/* A device without vectors may have pollers, too. */
	ivshmem_any_signal(peer);
}

/**
 * ivshmem_peers_signal_all() - notify all listeners of all vectors
 * @idev: whose state has changed, or whose doorbells may have been lost
 */
void ivshmem_peers_signal_all(struct ivshmem_device *idev)
{
	struct ivshmem_peer *peer;
	unsigned long id;

	if (idev->peer)
		peer_signal_all(idev->peer);
	rcu_read_lock();
	xa_for_each(&idev->peers, id, peer) {
		peer_signal_all(peer);
		/* There may be thousands. */
		rcu_read_unlock();
		cond_resched();
		rcu_read_lock();
	}
	rcu_read_unlock();
}
