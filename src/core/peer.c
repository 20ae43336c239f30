// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who can be rung here
 *
 * A PCI device is one peer: the hypervisor gives it an id and raises its
 * interrupts, and all open files hear the same doorbells. Where there is no
 * hypervisor every open file is a peer of its own, with the lowest id that is
 * free, and rings others by ivshmem_peer_ring(); whoever is not there is not
 * rung, as with the real device.
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
 * ivshmem_device_set_vectors() - say how many vectors a peer has here
 * @idev: not registered yet
 * @nr: 0 to IVSHMEM_MAX_VECTORS
 *
 * The transport may lower idev->nr_vectors afterwards.
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
 * ivshmem_device_vector() - a vector of the device's only peer
 * @idev: with vectors
 * @vector: below nr_vectors
 *
 * Return: what ivshmem_interrupt() wants
 */
void *ivshmem_device_vector(struct ivshmem_device *idev, unsigned int vector)
{
	return &idev->peer->vectors[vector];
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_vector);

/* The last file is closed. */
void ivshmem_peers_free(struct ivshmem_device *idev)
{
	xa_destroy(&idev->peers);
	if (idev->peer)
		ivshmem_events_end(idev->peer);
	kvfree(idev->peer);
	kfree(idev->vector_attrs);
	kvfree(idev->counters);
}

/**
 * ivshmem_peer_join() - give an open file its peer
 * @file: being opened
 *
 * Return: 0; -ENOMEM; -EBUSY if all ids are taken
 */
int ivshmem_peer_join(struct ivshmem_file *file)
{
	struct ivshmem_device *idev = file->idev;
	int ret;

	file->peer = idev->peer;
	if (file->peer)
		return 0;
	file->peer = peer_alloc(idev, GFP_KERNEL_ACCOUNT);
	if (!file->peer)
		return -ENOMEM;
	ret = xa_alloc(&idev->peers, &file->peer->id, file->peer,
		       XA_LIMIT(0, IVSHMEM_MAX_PEER - IVSHMEM_RESERVED_IDS),
		       GFP_KERNEL_ACCOUNT);
	if (ret == -EBUSY && capable(CAP_SYS_RESOURCE))
		ret = xa_alloc(&idev->peers, &file->peer->id, file->peer,
			       XA_LIMIT(0, IVSHMEM_MAX_PEER), GFP_KERNEL_ACCOUNT);
	if (ret)
		kvfree(file->peer);
	return ret;
}

/**
 * ivshmem_peer_leave() - an open file needs its peer no more
 * @file: being closed, without listeners
 */
void ivshmem_peer_leave(struct ivshmem_file *file)
{
	if (file->peer == file->idev->peer)
		return;
	xa_erase(&file->idev->peers, file->peer->id);
	ivshmem_events_end(file->peer);
	/* Somebody may be ringing it. */
	kvfree_rcu(file->peer, rcu);
}

/* The number by which others ring it. The device is entered. */
u32 ivshmem_peer_id(struct ivshmem_peer *peer)
{
	const struct ivshmem_transport *transport = peer->idev->transport;

	/* ivshmem-plain has the register too, but nobody has given it an id. */
	if (!peer->idev->can_ring)
		return IVSHMEM_ID_UNKNOWN;
	return transport->peer_per_file ? peer->id : transport->id(peer->idev);
}

/**
 * ivshmem_peer_ring() - ring a peer of the same device
 * @idev: with peer_per_file; entered
 * @id: whom; it need not exist
 * @vector: which; it need not exist
 */
void ivshmem_peer_ring(struct ivshmem_device *idev, u32 id, u32 vector)
{
	struct ivshmem_peer *peer;

	rcu_read_lock();
	peer = xa_load(&idev->peers, id);
	if (peer && vector < idev->nr_vectors) {
		vector = array_index_nospec(vector, idev->nr_vectors);
		/* What the caller wrote to the region goes first. */
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
	/* Also those who poll a device without vectors. */
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
		/* There may be many. */
		rcu_read_unlock();
		cond_resched();
		rcu_read_lock();
	}
	rcu_read_unlock();
}
