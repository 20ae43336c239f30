// SPDX-License-Identifier: GPL-2.0-only
/*
 * The network interface: open, stop, the carrier, statistics
 *
 * There is a carrier while there is anyone to send to. Resets, and peers that come and go,
 * are seen as links that go down and come up.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include "core/compat.h"
#include "net.h"

#define OFFLOADS	(NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | \
			 NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN | IVSHMEM_USO_FEATURE)

/**
 * ivshmem_net_schedule() - poll a vector
 * @data: the interface
 * @vector: that was rung
 */
void ivshmem_net_schedule(void *data, unsigned int vector)
{
	struct ivshmem_net *net = data;

	napi_schedule(&net->vectors[vector].napi);
}

/**
 * ivshmem_net_link() - a port came or went
 * @data: the interface
 * @peer: the port
 * @up: can it be sent to?
 */
void ivshmem_net_link(void *data, unsigned int peer, bool up)
{
	struct ivshmem_net *net = data;

	spin_lock_bh(&net->links_lock);
	net->links += up ? 1 : -1;
	if (net->links)
		netif_carrier_on(net->dev);
	else
		netif_carrier_off(net->dev);
	spin_unlock_bh(&net->links_lock);
	if (up)
		return;
	ivshmem_learn_forget(&net->learn, peer);
	WRITE_ONCE(net->tx[peer].lost, true);
	/* What waits there is dropped. */
	netif_tx_wake_queue(netdev_get_tx_queue(net->dev, peer));
}

static int net_open(struct net_device *dev)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);
	unsigned int i;

	for (i = 0; i < net->nr_vectors; i++)
		napi_enable(&net->vectors[i].napi);
	netif_tx_start_all_queues(dev);
	ivshmem_port_start(net->port, IVSHMEM_USO_FEATURE ? IVSHMEM_PORT_USO : 0);
	return 0;
}

static int net_stop(struct net_device *dev)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);
	unsigned int i;

	netif_tx_disable(dev);
	ivshmem_port_stop(net->port);
	for (i = 0; i < net->nr_vectors; i++) {
		napi_disable(&net->vectors[i].napi);
		cancel_work_sync(&net->vectors[i].go_on);
		if (net->vectors[i].frag.page)
			put_page(net->vectors[i].frag.page);
		net->vectors[i].frag.page = NULL;
	}
	for (i = 0; i < net->ports; i++)
		ivshmem_net_tx_reset(net, i);
	return 0;
}

static void net_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *stats)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);
	struct ivshmem_port_counters counters;
	unsigned int i;

	for (i = 0; i < net->ports; i++) {
		ivshmem_port_count(net->port, i, &counters);
		stats->rx_packets += u64_stats_read(&net->rx[i].frames);
		stats->rx_bytes += u64_stats_read(&net->rx[i].bytes);
		stats->multicast += u64_stats_read(&net->rx[i].multicast);
		stats->rx_dropped += u64_stats_read(&net->rx[i].dropped);
		stats->rx_frame_errors += u64_stats_read(&net->rx[i].errors);
		stats->rx_missed_errors += counters.missed;
	}
	for (i = 0; i <= net->ports; i++) {
		stats->tx_packets += u64_stats_read(&net->tx[i].frames);
		stats->tx_bytes += u64_stats_read(&net->tx[i].bytes);
		stats->tx_dropped += u64_stats_read(&net->tx[i].dropped);
	}
	stats->rx_errors = stats->rx_frame_errors + stats->rx_missed_errors;
}

/* No ndo_tx_timeout: a queue stands still for as long as its peer likes. */
static const struct net_device_ops net_ops = {
	.ndo_open = net_open,
	.ndo_stop = net_stop,
	.ndo_start_xmit = ivshmem_net_xmit,
	.ndo_select_queue = ivshmem_net_select_queue,
	.ndo_features_check = ivshmem_net_features_check,
	.ndo_get_stats64 = net_get_stats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

/* What of the rings the kernel has to know. */
static void set_limits(struct net_device *dev, unsigned int frame_max)
{
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = min_t(unsigned int, frame_max, ETH_MAX_MTU) - VLAN_ETH_HLEN;
	dev->mtu = min_t(unsigned int, ETH_DATA_LEN, dev->max_mtu);
	ivshmem_set_tso_max_size(dev, min_t(unsigned int, frame_max, GSO_MAX_SIZE));
}

/**
 * ivshmem_net_alloc() - make the network device of an interface
 * @net: with its sizes
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_net_alloc(struct ivshmem_net *net)
{
	struct net_device *dev = alloc_etherdev_mqs(sizeof(net), net->ports + 1,
						    net->nr_vectors);
	u8 address[ETH_ALEN];
	unsigned int i;

	if (!dev)
		return -ENOMEM;
	*(struct ivshmem_net **)netdev_priv(dev) = net;
	strscpy(dev->name, "ivs%d", sizeof(dev->name));
	SET_NETDEV_DEV(dev, ivshmem_node_dev(net->node));
	dev->netdev_ops = &net_ops;
	dev->ethtool_ops = &ivshmem_net_ethtool_ops;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	dev->hw_features = OFFLOADS;
	dev->vlan_features = OFFLOADS;
	dev->features = OFFLOADS | NETIF_F_HIGHDMA | NETIF_F_GSO_ROBUST;
	set_limits(dev, net->frame_max);
	ivshmem_net_address(net, address);
	eth_hw_addr_set(dev, address);
	netif_carrier_off(dev);
	for (i = 0; i < net->nr_vectors; i++)
		netif_napi_add_weight(dev, &net->vectors[i].napi, ivshmem_net_poll,
				      NAPI_POLL_WEIGHT);
	WRITE_ONCE(net->dev, dev);
	return 0;
}
