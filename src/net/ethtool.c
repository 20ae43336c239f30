// SPDX-License-Identifier: GPL-2.0-only
/*
 * What ethtool shows: counters of each port, the rings, the vectors
 *
 * The rings lie in memory as ivshmemctl has laid them out for all machines. What can be set here
 * is how much of its own ones this machine uses.
 */
#include <linux/ethtool.h>
#include <linux/netdevice.h>
#include <linux/netlink.h>
#include "core/compat.h"
#include "net.h"

static const char * const port_names[] = {
	"rx_frames", "rx_bytes", "rx_dropped", "rx_errors", "rx_missed",
	"tx_frames", "tx_bytes", "tx_dropped", "tx_full",
	"ups", "broken", "rings",
};

static const char * const broadcast_names[] = {
	"broadcast_tx_frames", "broadcast_tx_bytes", "broadcast_tx_dropped",
};

static int get_sset_count(struct net_device *dev, int set)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);

	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return ARRAY_SIZE(broadcast_names) + net->ports * ARRAY_SIZE(port_names);
}

static void get_strings(struct net_device *dev, u32 set, u8 *to)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);
	unsigned int port, i;

	if (set != ETH_SS_STATS)
		return;
	for (i = 0; i < ARRAY_SIZE(broadcast_names); i++, to += ETH_GSTRING_LEN)
		snprintf(to, ETH_GSTRING_LEN, "%s", broadcast_names[i]);
	for (port = 0; port < net->ports; port++)
		for (i = 0; i < ARRAY_SIZE(port_names); i++, to += ETH_GSTRING_LEN)
			snprintf(to, ETH_GSTRING_LEN, "port%u_%s", port, port_names[i]);
}

/* The counters of a port, in the order of port_names. */
static u64 *put_port(struct ivshmem_net *net, unsigned int port, u64 *to)
{
	const struct ivshmem_net_rx *rx = &net->rx[port];
	const struct ivshmem_net_tx *tx = &net->tx[port];
	struct ivshmem_port_counters link;

	ivshmem_port_count(net->port, port, &link);
	*to++ = u64_stats_read(&rx->frames);
	*to++ = u64_stats_read(&rx->bytes);
	*to++ = u64_stats_read(&rx->dropped);
	*to++ = u64_stats_read(&rx->errors);
	*to++ = link.missed;
	*to++ = u64_stats_read(&tx->frames);
	*to++ = u64_stats_read(&tx->bytes);
	*to++ = u64_stats_read(&tx->dropped);
	*to++ = u64_stats_read(&tx->full);
	*to++ = link.ups;
	*to++ = link.broken;
	*to++ = link.rings;
	return to;
}

static void get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats, u64 *to)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);
	const struct ivshmem_net_tx *all = &net->tx[net->ports];
	unsigned int port;

	*to++ = u64_stats_read(&all->frames);
	*to++ = u64_stats_read(&all->bytes);
	*to++ = u64_stats_read(&all->dropped);
	for (port = 0; port < net->ports; port++)
		to = put_port(net, port, to);
}

static void get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring
			  IVSHMEM_RINGPARAM_MORE)
{
	const struct ivshmem_rings_layout *layout = ivshmem_port_layout(ivshmem_net_of(dev)->port);

	ring->rx_max_pending = layout->entries;
	ring->tx_max_pending = layout->entries;
	ring->rx_pending = layout->entries;
	ring->tx_pending = READ_ONCE(ivshmem_net_of(dev)->tx_limit);
}

static int set_ringparam(struct net_device *dev, struct ethtool_ringparam *ring
			 IVSHMEM_RINGPARAM_MORE)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);

	if (ring->rx_pending != ivshmem_port_layout(net->port)->entries) {
		NL_SET_ERR_MSG(IVSHMEM_EXTACK,
			       "the peers' rings are laid out for all: see ivshmemctl format --net");
		return -EINVAL;
	}
	if (ring->tx_pending < IVSHMEM_RINGS_MIN_ENTRIES) {
		NL_SET_ERR_MSG(IVSHMEM_EXTACK, "at least 16 frames");
		return -EINVAL;
	}
	WRITE_ONCE(net->tx_limit, ring->tx_pending);
	return 0;
}

/*
 * Nothing waits for more to come: the first frame rings who does not poll. A sender that has no
 * room is rung when half of the ring was read.
 */
static int get_coalesce(struct net_device *dev, struct ethtool_coalesce *coalesce
			IVSHMEM_COALESCE_MORE)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);

	coalesce->rx_max_coalesced_frames = 1;
	coalesce->tx_max_coalesced_frames = ivshmem_port_layout(net->port)->entries / 2;
	return 0;
}

static void get_channels(struct net_device *dev, struct ethtool_channels *channels)
{
	struct ivshmem_net *net = ivshmem_net_of(dev);

	channels->max_rx = net->nr_vectors;
	channels->rx_count = net->nr_vectors;
	channels->max_tx = net->ports + 1;
	channels->tx_count = net->ports + 1;
}

/* Memory has no speed that could be told in advance. */
static int get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *link)
{
	link->base.speed = SPEED_UNKNOWN;
	link->base.duplex = DUPLEX_FULL;
	link->base.port = PORT_OTHER;
	return 0;
}

const struct ethtool_ops ivshmem_net_ethtool_ops = {
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = get_link_ksettings,
	.get_ts_info = ethtool_op_get_ts_info,
	.get_sset_count = get_sset_count,
	.get_strings = get_strings,
	.get_ethtool_stats = get_ethtool_stats,
	.get_ringparam = get_ringparam,
	.set_ringparam = set_ringparam,
	.get_coalesce = get_coalesce,
	.get_channels = get_channels,
};
