// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmem_net: Ethernet between the machines that share a partition of type "net"
 *
 * The driver of such partitions: makes a network interface of each.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "net.h"

static const struct ivshmem_port_ops port_ops = {
	.schedule = ivshmem_net_schedule,
	.link = ivshmem_net_link,
	.own = ivshmem_net_own,
};

static void free_net(struct ivshmem_net *net)
{
	kfree(net->vectors);
	kvfree(net->rx);
	kvfree(net->tx);
	kvfree(net);
}

/* What depends on the port. */
static int size_net(struct ivshmem_net *net)
{
	const struct ivshmem_rings_layout *layout = ivshmem_port_layout(net->port);
	struct device *dev = ivshmem_node_dev(net->node);
	unsigned int i;

	if (!layout->broadcast_entries) {
		dev_err(dev, "no ring to all: run ivshmemctl format --net\n");
		return -EINVAL;
	}
	net->ports = layout->ports;
	net->frame_max = min(ivshmem_port_max_frame(net->port, net->ports),
			     min(layout->bytes, (u32)IVSHMEM_FRAME_MAX));
	net->tx_limit = layout->entries;
	net->nr_vectors = min(ivshmem_port_vectors(net->port), net->ports);
	net->rx = kvcalloc(net->ports, sizeof(*net->rx), GFP_KERNEL);
	net->tx = kvcalloc(net->ports + 1, sizeof(*net->tx), GFP_KERNEL);
	net->vectors = kcalloc(net->nr_vectors, sizeof(*net->vectors), GFP_KERNEL);
	if (!net->rx || !net->tx || !net->vectors)
		return -ENOMEM;
	for (i = 0; i < net->nr_vectors; i++) {
		net->vectors[i].net = net;
		net->vectors[i].number = i;
		INIT_WORK(&net->vectors[i].go_on, ivshmem_net_go_on);
	}
	return 0;
}

/* Make the interface of a port. */
static int add_interface(struct ivshmem_net *net)
{
	int ret = size_net(net);

	if (ret)
		return ret;
	ret = ivshmem_net_alloc(net);
	if (ret)
		return ret;
	ret = register_netdev(net->dev);
	if (ret) {
		cancel_work_sync(&net->address);	/* uses it */
		free_netdev(net->dev);
	}
	return ret;
}

static int net_probe(struct ivshmem_node *node)
{
	struct ivshmem_net *net = kvzalloc(sizeof(*net), GFP_KERNEL);
	int ret;

	if (!net)
		return -ENOMEM;
	net->node = node;
	spin_lock_init(&net->links_lock);
	ivshmem_learn_init(&net->learn);
	ivshmem_net_address_init(net);
	net->port = ivshmem_port_create(node, &port_ops, net);
	if (IS_ERR(net->port)) {
		ret = PTR_ERR(net->port);
		goto err_free;
	}
	ret = add_interface(net);
	if (ret)
		goto err_destroy;
	dev_set_drvdata(ivshmem_node_dev(node), net);
	ivshmem_net_own(net, ivshmem_port_own(net->port));
	return 0;

err_destroy:
	ivshmem_port_destroy(net->port);
err_free:
	cancel_work_sync(&net->address);
	free_net(net);
	return ret;
}

static void net_remove(struct ivshmem_node *node)
{
	struct ivshmem_net *net = dev_get_drvdata(ivshmem_node_dev(node));

	unregister_netdev(net->dev);
	ivshmem_port_destroy(net->port);
	cancel_work_sync(&net->address);
	free_netdev(net->dev);
	free_net(net);
}

static void net_notify(struct ivshmem_node *node, enum ivshmem_event event)
{
	struct ivshmem_net *net = dev_get_drvdata(ivshmem_node_dev(node));

	ivshmem_port_notify(net->port, event);
}

static struct ivshmem_driver net_driver = {
	.driver.name = "ivshmem_net",
	.type = "net",
	.probe = net_probe,
	.remove = net_remove,
	.notify = net_notify,
};

static int __init net_init(void)
{
	return ivshmem_driver_register(&net_driver, THIS_MODULE);
}
module_init(net_init);

static void __exit net_exit(void)
{
	ivshmem_driver_unregister(&net_driver);
}
module_exit(net_exit);

MODULE_DESCRIPTION("Ethernet between machines that share an ivshmem partition");
MODULE_AUTHOR("The ivshmem authors");
MODULE_LICENSE("GPL");
MODULE_ALIAS("ivshmem:net");
#ifdef IVSHMEM_VERSION
MODULE_VERSION(IVSHMEM_VERSION);
#endif
MODULE_IMPORT_IVSHMEM();
