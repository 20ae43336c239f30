// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nodes: ranges of a device on the bus, and what their drivers may do with them
 *
 * Today each device has one node, which is all of it.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include "core.h"

static void node_release(struct device *dev)
{
	struct ivshmem_node *node = to_ivshmem_node(dev);

	iput(node->inode);
	ivshmem_device_put(node->idev);
	kfree(node->driver_override);
	kfree(node);
}

static struct ivshmem_node *node_alloc(struct ivshmem_device *idev)
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
	node->type = IVSHMEM_TYPE_RAW;
	node->size = idev->memory.size;
	/*
	 * Without it the kernel enters no huge page, as that would be beyond the end: pages
	 * of memory at an address are numbered by that.
	 */
	i_size_write(node->inode, idev->memory.phys + idev->memory.size);
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

/**
 * ivshmem_node_add() - put the node of a device on the bus
 * @idev: with a number
 *
 * Return: 0 or a negative errno, also if the driver of the node fails. Then the device
 * counts as unregistered
 */
int ivshmem_node_add(struct ivshmem_device *idev)
{
	struct ivshmem_node *node = node_alloc(idev);
	int ret;

	if (IS_ERR(node))
		return PTR_ERR(node);
	idev->node = node;
	ret = dev_set_name(&node->dev, "ivshmem%d", idev->number);
	if (ret)
		goto err_put;
	ret = device_add(&node->dev);
	if (ret)
		goto err_put;
	ret = node_bind(node);
	if (!ret)
		return 0;
	device_del(&node->dev);

err_put:
	ivshmem_device_quiesce(idev, IVSHMEM_UNREGISTERED);
	put_device(&node->dev);
	return ret;
}

/**
 * ivshmem_node_remove() - take the node of a device from the bus
 * @idev: unregistered
 */
void ivshmem_node_remove(struct ivshmem_device *idev)
{
	struct ivshmem_node *node = idev->node;

	device_del(&node->dev);
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
	return node->size;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_size);

/**
 * ivshmem_node_memory() - get the memory of a node
 * @node: bound to the caller
 *
 * Peers may write to it at any time: copy once, check, use. If struct ivshmem_region.cache
 * is not IVSHMEM_CACHE_WB, it needs the accessors for device memory.
 *
 * Return: the kernel's mapping, to be used between ivshmem_node_begin() and
 * ivshmem_node_end() only
 */
void *ivshmem_node_memory(const struct ivshmem_node *node)
{
	return node->idev->memory.mem + node->offset;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_memory);

/**
 * ivshmem_node_vectors() - get the number of own vectors
 * @node: the node
 *
 * Return: the number; vectors are numbered from 0
 */
unsigned int ivshmem_node_vectors(const struct ivshmem_node *node)
{
	return node->idev->nr_vectors;
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
	return ivshmem_device_features(node->idev);
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
	struct ivshmem_peer *peer = node->peer ?: node->idev->peer;

	return peer ? ivshmem_peer_id(peer) : IVSHMEM_ID_UNKNOWN;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_id);

/**
 * ivshmem_node_ring() - ring a peer
 * @node: bound to the caller, between ivshmem_node_begin() and ivshmem_node_end()
 * @peer: the peer; it need not exist
 * @vector: its vector; it need not exist
 *
 * What was written to the memory before is visible to the peer when it is interrupted.
 *
 * Return: 0; -EINVAL if a number is out of range; -EOPNOTSUPP without doorbells; or an
 * error of the transport
 */
int ivshmem_node_ring(struct ivshmem_node *node, u32 peer, u32 vector)
{
	struct ivshmem_device *idev = node->idev;

	if (!idev->can_ring)
		return -EOPNOTSUPP;
	if (peer > IVSHMEM_MAX_PEER || vector > U16_MAX)
		return -EINVAL;
	return ivshmem_device_ring(idev, peer, vector);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_ring);
