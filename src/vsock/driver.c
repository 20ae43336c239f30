// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmem_vsock: vsock between the machines that share a partition of type "vsock"
 *
 * The driver of such partitions. The first one makes this the kernel's transport for guests, which
 * is what the other machines look like from here, and the last one ends that.
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include "vsock.h"

static unsigned int cid_base = 1000;
module_param(cid_base, uint, 0444);
MODULE_PARM_DESC(cid_base, "CID of the peer in slot 0 (default 1000)");

/* Protects the list against others that write. Under device_lock of nodes. */
static DEFINE_MUTEX(vsock_mutex);
static LIST_HEAD(vsock_list);

/**
 * ivshmem_vsock_find() - find the partition of a peer
 * @cid: of the peer
 *
 * Return: the partition, inside RCU; or NULL
 */
struct ivshmem_vsock *ivshmem_vsock_find(u32 cid)
{
	struct ivshmem_vsock *vsock;

	list_for_each_entry_rcu(vsock, &vsock_list, entry)
		if (cid - vsock->cid < vsock->ports)
			return vsock;
	return NULL;
}

static void free_vsock(struct ivshmem_vsock *vsock)
{
	unsigned int i;

	for (i = 0; i < vsock->ports && vsock->peers; i++) {
		vsock_packets_done(&vsock->peers[i].queue);
		vsock_packets_done(&vsock->peers[i].lost);
	}
	for (i = 0; i < vsock->nr_vectors && vsock->vectors; i++)
		if (vsock->vectors[i].spare)
			vsock_packet_free(vsock->vectors[i].spare);
	kfree(vsock->vectors);
	kvfree(vsock->peers);
	kfree(vsock);
}

static void release(struct kref *ref)
{
	free_vsock(container_of(ref, struct ivshmem_vsock, ref));
}

/**
 * ivshmem_vsock_put() - drop a reference
 * @vsock: the partition
 */
void ivshmem_vsock_put(struct ivshmem_vsock *vsock)
{
	kref_put(&vsock->ref, release);
}

static void follow_own(void *data, int own)
{
}

/*
 * Connections do not outlive their link, as those of TCP do. So a machine that is starved of
 * processor time, or stopped for a snapshot, gets a second more than its presence does.
 */
static unsigned int patience_ms = 1000;
module_param(patience_ms, uint, 0644);
MODULE_PARM_DESC(patience_ms, "how long a peer that is silent keeps its connections (default 1000)");

static const struct ivshmem_port_ops port_ops = {
	.schedule = ivshmem_vsock_schedule,
	.link = ivshmem_vsock_link,
	.own = follow_own,
	.patience_ms = &patience_ms,
};

/* What depends on the port. */
static int size_vsock(struct ivshmem_vsock *vsock, struct ivshmem_port *port)
{
	const struct ivshmem_rings_layout *layout = ivshmem_port_layout(port);
	unsigned int i;

	vsock->ports = layout->ports;
	/* Several fit into a ring, so that one is read while the next is written. */
	vsock->frame_max = min_t(u32, layout->bytes / 4,
				 sizeof(struct virtio_vsock_hdr) + VIRTIO_VSOCK_MAX_PKT_BUF_SIZE);
	vsock->nr_vectors = min(ivshmem_port_vectors(port), vsock->ports);
	/* A peer that reads what it is sent never needs more. */
	vsock->controls_max = 2 * layout->entries;
	vsock->peers = kvcalloc(vsock->ports, sizeof(*vsock->peers), GFP_KERNEL);
	if (!vsock->peers)
		return -ENOMEM;
	for (i = 0; i < vsock->ports; i++) {
		spin_lock_init(&vsock->peers[i].lock);
		INIT_LIST_HEAD(&vsock->peers[i].queue);
		INIT_LIST_HEAD(&vsock->peers[i].lost);
		/* Sockets may be left from the last time that somebody had these CIDs. */
		vsock->peers[i].losses = 1;
	}
	vsock->vectors = kcalloc(vsock->nr_vectors, sizeof(*vsock->vectors), GFP_KERNEL);
	if (!vsock->vectors)
		return -ENOMEM;
	for (i = 0; i < vsock->nr_vectors; i++) {
		vsock->vectors[i].vsock = vsock;
		vsock->vectors[i].number = i;
		INIT_WORK(&vsock->vectors[i].work, ivshmem_vsock_work);
	}
	return 0;
}

/* Is a range of CIDs nobody's? */
static bool is_free(u32 cid)
{
	const struct ivshmem_vsock *vsock;
	unsigned int i;

	list_for_each_entry(vsock, &vsock_list, entry)
		if (vsock->cid == cid)
			return false;
	for (i = 0; i < IVSHMEM_VSOCK_CIDS; i++)
		if (vsock_find_cid(cid + i))
			return false;
	return true;
}

/* Give a partition its CIDs. Called with vsock_mutex held. */
static int choose_cids(struct ivshmem_vsock *vsock)
{
	u64 cid;

	for (cid = cid_base; cid + IVSHMEM_VSOCK_CIDS <= VMADDR_CID_ANY;
	     cid += IVSHMEM_VSOCK_CIDS)
		if (is_free(cid)) {
			vsock->cid = cid;
			return 0;
		}
	return -ENOSPC;
}

/* Let the kernel's vsock find a partition. */
static int enlist(struct ivshmem_vsock *vsock)
{
	struct device *dev = ivshmem_node_dev(vsock->node);
	int ret;

	mutex_lock(&vsock_mutex);
	ret = choose_cids(vsock);
	if (ret)
		dev_err(dev, "no %u CIDs are free from %u on\n", IVSHMEM_VSOCK_CIDS, cid_base);
	else if (list_empty(&vsock_list))
		ret = vsock_core_register(&ivshmem_vsock_transport.transport,
					  VSOCK_TRANSPORT_F_H2G);
	if (ret == -EBUSY)
		dev_err(dev, "another transport for guests is loaded: unload vhost_vsock (or what else it is), then bind this again\n");
	if (!ret)
		list_add_tail_rcu(&vsock->entry, &vsock_list);
	mutex_unlock(&vsock_mutex);
	return ret;
}

static void delist(struct ivshmem_vsock *vsock)
{
	mutex_lock(&vsock_mutex);
	list_del_rcu(&vsock->entry);
	if (list_empty(&vsock_list))
		vsock_core_unregister(&ivshmem_vsock_transport.transport);
	mutex_unlock(&vsock_mutex);
}

static int vsock_probe(struct ivshmem_node *node)
{
	struct ivshmem_vsock *vsock = kzalloc(sizeof(*vsock), GFP_KERNEL);
	struct ivshmem_port *port;
	unsigned int i;
	int ret;

	if (!vsock)
		return -ENOMEM;
	kref_init(&vsock->ref);
	vsock->node = node;
	port = ivshmem_port_create(node, &port_ops, vsock);
	if (IS_ERR(port)) {
		kfree(vsock);
		return PTR_ERR(port);
	}
	ret = size_vsock(vsock, port);
	if (!ret) {
		rcu_assign_pointer(vsock->port, port);
		ret = enlist(vsock);
	}
	if (ret) {
		ivshmem_port_destroy(port);
		free_vsock(vsock);
		return ret;
	}
	dev_set_drvdata(ivshmem_node_dev(node), vsock);
	dev_info(ivshmem_node_dev(node), "vsock: peers have CIDs from %u on, by their slots\n",
		 vsock->cid);
	ivshmem_port_start(port, 0);
	for (i = 0; i < vsock->nr_vectors; i++)
		ivshmem_vsock_schedule(vsock, i);
	return 0;
}

static struct ivshmem_port *port_of(struct ivshmem_vsock *vsock)
{
	/* It changes in remove() alone. */
	return rcu_dereference_protected(vsock->port, true);
}

static void vsock_remove(struct ivshmem_node *node)
{
	struct ivshmem_vsock *vsock = dev_get_drvdata(ivshmem_node_dev(node));
	struct ivshmem_port *port = port_of(vsock);

	delist(vsock);
	ivshmem_port_stop(port);
	RCU_INIT_POINTER(vsock->port, NULL);
	synchronize_rcu();
	ivshmem_port_destroy(port);
	ivshmem_vsock_put(vsock);
}

static void vsock_notify(struct ivshmem_node *node, enum ivshmem_event event)
{
	struct ivshmem_vsock *vsock = dev_get_drvdata(ivshmem_node_dev(node));

	ivshmem_port_notify(port_of(vsock), event);
}

static struct ivshmem_driver vsock_driver = {
	.driver.name = "ivshmem_vsock",
	.driver.dev_groups = ivshmem_vsock_groups,
	.type = "vsock",
	.probe = vsock_probe,
	.remove = vsock_remove,
	.notify = vsock_notify,
};

static int __init vsock_init(void)
{
	int ret;

	if (cid_base <= VMADDR_CID_HOST || cid_base > VMADDR_CID_ANY - IVSHMEM_VSOCK_CIDS) {
		pr_err("ivshmem_vsock: cid_base %u is none: give one from %u to %u\n", cid_base,
		       VMADDR_CID_HOST + 1, VMADDR_CID_ANY - IVSHMEM_VSOCK_CIDS);
		return -EINVAL;
	}
	ivshmem_vsock_workqueue = alloc_workqueue("ivshmem_vsock", WQ_UNBOUND, 0);
	if (!ivshmem_vsock_workqueue)
		return -ENOMEM;
	ret = ivshmem_driver_register(&vsock_driver, THIS_MODULE);
	if (ret)
		destroy_workqueue(ivshmem_vsock_workqueue);
	return ret;
}
module_init(vsock_init);

static void __exit vsock_exit(void)
{
	ivshmem_driver_unregister(&vsock_driver);
	destroy_workqueue(ivshmem_vsock_workqueue);
}
module_exit(vsock_exit);

MODULE_DESCRIPTION("vsock between machines that share an ivshmem partition");
MODULE_AUTHOR("The ivshmem authors");
MODULE_LICENSE("GPL");
MODULE_ALIAS("ivshmem:vsock");
#ifdef IVSHMEM_VERSION
MODULE_VERSION(IVSHMEM_VERSION);
#endif
MODULE_IMPORT_IVSHMEM();
