// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nodes on the bus, and what their drivers may do with them
 *
 * Node 0 of a device is all of it. The others are its partitions (partition.c). Offsets and
 * vectors count from the node's own first.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include "core.h"

static void node_release(struct device *dev)
{
	struct ivshmem_node *node = to_ivshmem_node(dev);

	if (ivshmem_node_is_partition(node))
		ivshmem_peer_free(node->shared);
	iput(node->inode);
	ivshmem_device_put(node->idev);
	kfree(node->driver_override);
	kfree(node);
}

/* Interrupts signal the vectors of a partition's peer after those of the device's. */
static void node_link_vectors(struct ivshmem_node *node, bool link)
{
	struct ivshmem_counter *counters = node->idev->counters + node->part.first_vector;
	unsigned int i;

	if (!node->shared || !node->shared->twin)
		return;
	for (i = 0; i < node->nr_vectors; i++)
		rcu_assign_pointer(counters[i].twin,
				   link ? &node->shared->vectors[i] : NULL);
	if (!link)
		synchronize_rcu();
}

/* All files of a node are one peer, unless each is its own. */
static int node_share_peer(struct ivshmem_node *node)
{
	struct ivshmem_device *idev = node->idev;

	node->shared = idev->peer;
	if (!idev->peer || !ivshmem_node_is_partition(node))
		return 0;
	node->shared = ivshmem_peer_alloc(idev, node->part.first_vector, node->nr_vectors,
					  GFP_KERNEL);
	if (!node->shared)
		return -ENOMEM;
	node->shared->twin = true;
	node_link_vectors(node, true);
	return 0;
}

/* A device may have fewer vectors than an entry names. */
static unsigned int own_vectors(const struct ivshmem_node *node)
{
	unsigned int first = node->part.first_vector, all = ivshmem_device_vectors(node->idev);

	return first < all ? min(ivshmem_node_max_vectors(node), all - first) : 0;
}

/**
 * ivshmem_node_update_vectors() - follow the label of a device
 * @node: all of a device; the caller holds its nodes_lock
 *
 * Files that are open keep what they have.
 */
void ivshmem_node_update_vectors(struct ivshmem_node *node)
{
	WRITE_ONCE(node->nr_vectors, own_vectors(node));
}

static struct ivshmem_node *node_alloc(struct ivshmem_device *idev, unsigned int number,
				       const struct ivshmem_label_entry *part)
{
	struct ivshmem_node *node = kzalloc(sizeof(*node), GFP_KERNEL);

	if (!node)
		return ERR_PTR(-ENOMEM);
	node->inode = ivshmem_inode_new();
	if (IS_ERR(node->inode)) {
		struct inode *error = node->inode;

		kfree(node);
		return ERR_CAST(error);
	}
	node->idev = ivshmem_device_get(idev);
	node->number = number;
	node->part = *part;
	node->nr_vectors = own_vectors(node);
	node->stage = IVSHMEM_EVENT_RESET_DONE;
	/*
	 * Mappings count from the start of the device's memory, see ivshmem_mmap(), and pages
	 * of memory at an address are numbered by that. Beyond this the kernel enters no huge
	 * page.
	 */
	i_size_write(node->inode, idev->memory.phys + part->offset + part->size);
	mutex_init(&node->buffers_lock);
	INIT_LIST_HEAD(&node->buffers);
	device_initialize(&node->dev);
	node->dev.bus = &ivshmem_bus;
	node->dev.parent = idev->parent;
	node->dev.release = node_release;
	return node;
}

/*
 * The driver core does not say why a node was left without its driver. If the driver was
 * never asked, memory was too short, or drivers are bound by hand on this bus: try again,
 * for the reason or for the driver, without which there would be no device at all.
 */
static int node_bind(struct ivshmem_node *node)
{
	int ret;

	if (node->dev.driver)
		return 0;
	if (node->error)
		return node->error;
	ret = device_attach(&node->dev);
	if (ret > 0)
		return 0;
	return ret ?: node->error ?: -ENODEV;
}

/*
 * A partition may wait for the module that drives its type. Who overrides that knows why, and can
 * do so as soon as the node is on the bus.
 */
static bool may_wait(struct ivshmem_node *node)
{
	return ivshmem_node_is_partition(node) || ivshmem_node_is_overridden(node);
}

static int node_set_name(struct ivshmem_node *node)
{
	if (ivshmem_node_is_partition(node))
		return dev_set_name(&node->dev, "ivshmem%dp%u", node->idev->number,
				    node->number);
	return dev_set_name(&node->dev, "ivshmem%d", node->idev->number);
}

/* Who changes the partitions through a file of this node waits for the lock. */
static void node_give_up(struct ivshmem_node *node)
{
	struct ivshmem_device *idev = node->idev;

	ivshmem_device_quiesce(idev, IVSHMEM_UNREGISTERED);
	mutex_unlock(&idev->nodes_lock);
	device_del(&node->dev);
	mutex_lock(&idev->nodes_lock);
}

static int node_register(struct ivshmem_node *node)
{
	int ret = node_share_peer(node);

	if (!ret)
		ret = node_set_name(node);
	if (!ret)
		ret = device_add(&node->dev);
	if (ret)
		return ret;
	ret = node_bind(node);
	/* It may also displease its driver. */
	if (!ret || (ret != -ENOMEM && may_wait(node)))
		return 0;
	if (ivshmem_node_is_partition(node))
		device_del(&node->dev);
	else
		node_give_up(node);
	return ret;
}

/**
 * ivshmem_node_add() - put a node of a device on the bus
 * @idev: with a number; the caller holds its nodes_lock
 * @number: index in idev->nodes
 * @part: its range
 *
 * Return: 0 or a negative errno. If the node is all of the device, it fails as well if its
 * driver does, unless that was chosen by driver_override, and then the device counts as
 * unregistered; nodes_lock is dropped meanwhile
 */
int ivshmem_node_add(struct ivshmem_device *idev, unsigned int number,
		     const struct ivshmem_label_entry *part)
{
	struct ivshmem_node *node = node_alloc(idev, number, part);
	int ret;

	if (IS_ERR(node))
		return PTR_ERR(node);
	idev->nodes[number] = node;
	ret = node_register(node);
	if (!ret)
		return 0;
	if (!ivshmem_node_is_partition(node))
		ivshmem_device_quiesce(idev, IVSHMEM_UNREGISTERED);
	node_link_vectors(node, false);
	idev->nodes[number] = NULL;
	put_device(&node->dev);
	return ret;
}

/**
 * ivshmem_node_remove() - take a node from the bus
 * @node: on the bus, and no longer in the way of others: it is in idev->nodes no more, or
 *	the device is unregistered
 */
void ivshmem_node_remove(struct ivshmem_node *node)
{
	device_del(&node->dev);
	node_link_vectors(node, false);
	put_device(&node->dev);
}

/**
 * ivshmem_node_dev() - get the device of a node
 * @node: the node
 *
 * Return: the device on the bus, for dev_info(), dev_set_drvdata() and references
 */
struct device *ivshmem_node_dev(struct ivshmem_node *node)
{
	return &node->dev;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_dev);

/**
 * ivshmem_node_size() - get the size of a node's memory
 * @node: the node
 *
 * Return: bytes, a multiple of the page size
 */
size_t ivshmem_node_size(const struct ivshmem_node *node)
{
	return node->part.size;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_size);

/**
 * ivshmem_node_memory() - get the memory of a node
 * @node: bound to the caller
 *
 * Peers may write to it at any time: copy once, check, use. Unless ivshmem_node_is_cached(), it
 * needs the accessors for device memory.
 *
 * Return: the kernel's mapping, to be used between ivshmem_node_begin() and
 * ivshmem_node_end() only
 */
void *ivshmem_node_memory(const struct ivshmem_node *node)
{
	return node->idev->memory.mem + node->part.offset;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_memory);

/**
 * ivshmem_node_is_cached() - is the memory mapped write-back?
 * @node: the node
 *
 * Return: true if it can be accessed as other memory
 */
bool ivshmem_node_is_cached(const struct ivshmem_node *node)
{
	return node->idev->memory.cache == IVSHMEM_CACHE_WB;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_is_cached);

/**
 * ivshmem_node_number() - get the number of a partition
 * @node: the node
 *
 * Return: the number, the same on all machines; 0: it is all of the device
 */
unsigned int ivshmem_node_number(const struct ivshmem_node *node)
{
	return node->number;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_number);

/**
 * ivshmem_node_vectors() - get the number of own vectors
 * @node: the node
 *
 * On a whole device without interrupts it changes with the label, see IVSHMEM_EVENT_LABEL.
 *
 * Return: the number; vectors are numbered from 0
 */
unsigned int ivshmem_node_vectors(const struct ivshmem_node *node)
{
	return READ_ONCE(node->nr_vectors);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_vectors);

/**
 * ivshmem_node_features() - get what a device can do
 * @node: the node
 *
 * Return: IVSHMEM_FEATURE_*
 */
u64 ivshmem_node_features(const struct ivshmem_node *node)
{
	const struct ivshmem_section *memory = &node->idev->memory;
	u64 features = node->idev->can_reset ? IVSHMEM_FEATURE_RESET : 0;

	if (ivshmem_node_can_ring(node))
		features |= IVSHMEM_FEATURE_DOORBELL;
	if (ivshmem_node_can_ring(node) && READ_ONCE(node->idev->bells.vectors))
		features |= IVSHMEM_FEATURE_POLLED;
	if (READ_ONCE(node->nr_vectors))
		features |= IVSHMEM_FEATURE_INTERRUPTS;
	if (rcu_access_pointer(node->idev->slots))
		features |= IVSHMEM_FEATURE_PEERS;
	if (ivshmem_section_has_pages(memory))
		features |= IVSHMEM_FEATURE_PAGES;
	if (IS_ENABLED(CONFIG_DMA_SHARED_BUFFER) && ivshmem_section_has_pages(memory))
		features |= IVSHMEM_FEATURE_DMABUF;
	return features;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_features);

/**
 * ivshmem_node_begin() - begin to access the device
 * @node: bound to the caller
 * @idx: for ivshmem_node_end()
 *
 * May be called in any context and does not sleep. Until ivshmem_node_end() the caller
 * must not wait for programs or peers.
 *
 * Return: 0; -EAGAIN during a reset; -ENODEV if the device is unregistered
 */
int ivshmem_node_begin(struct ivshmem_node *node, int *idx)
{
	return ivshmem_access_try(node->idev, idx);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_begin);

/**
 * ivshmem_node_end() - end to access the device
 * @node: bound to the caller
 * @idx: from ivshmem_node_begin()
 */
void ivshmem_node_end(struct ivshmem_node *node, int idx)
{
	ivshmem_access_end(node->idev, idx);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_end);

/**
 * ivshmem_node_id() - get the number by which peers ring this node
 * @node: bound to the caller, between ivshmem_node_begin() and ivshmem_node_end()
 *
 * Return: the number, or IVSHMEM_ID_UNKNOWN. Where each open file is a peer it is unknown
 * before the first ivshmem_node_request_vector()
 */
u32 ivshmem_node_id(struct ivshmem_node *node)
{
	struct ivshmem_peer *peer = node->peer ?: node->shared;

	return peer ? ivshmem_peer_id(node, peer) : IVSHMEM_ID_UNKNOWN;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_id);

/**
 * ivshmem_node_ring_check() - check whom ivshmem_node_ring() would ring
 * @node: the node
 * @peer: the peer
 * @vector: its vector, counted from the node's first
 *
 * Return: 0; -EINVAL if a number is out of range; -EOPNOTSUPP without doorbells
 */
int ivshmem_node_ring_check(const struct ivshmem_node *node, u32 peer, u32 vector)
{
	if (peer > IVSHMEM_MAX_PEER || vector > U16_MAX)
		return -EINVAL;
	if (!ivshmem_node_can_ring(node))
		return -EOPNOTSUPP;
	return vector < ivshmem_node_max_vectors(node) ? 0 : -EINVAL;
}

/**
 * ivshmem_node_ring() - ring a peer
 * @node: bound to the caller, between ivshmem_node_begin() and ivshmem_node_end()
 * @peer: the peer; it need not exist
 * @vector: its vector; it need not exist. That of a partition must be one of the partition's
 *
 * What was written to the memory before is visible to the peer when it is interrupted.
 *
 * Return: 0; -EINVAL if a number is out of range; -EOPNOTSUPP without doorbells; or an
 * error of the transport
 */
int ivshmem_node_ring(struct ivshmem_node *node, u32 peer, u32 vector)
{
	int ret = ivshmem_node_ring_check(node, peer, vector);

	return ret ? ret : ivshmem_device_ring(node->idev, peer,
					       node->part.first_vector + vector);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_ring);
