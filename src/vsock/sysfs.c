// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of a partition that is bound, in /sys/bus/ivshmem/devices; documented in
 * docs/ABI/sysfs-bus-ivshmem
 */
#include <linux/device.h>
#include "vsock.h"

/* The longest line of "cids" is shorter. */
#define LINE	192

static ssize_t cid_base_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ivshmem_vsock *vsock = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", vsock->cid);
}
static DEVICE_ATTR_RO(cid_base);

static const char *state_of(const struct ivshmem_port_counters *counters, bool up)
{
	if (up)
		return "up";
	return counters->is_broken ? "broken" : "down";
}

/* Print a port. Return: characters */
static int print_port(struct ivshmem_vsock *vsock, unsigned int i, char *buf, int at)
{
	struct ivshmem_port *port = rcu_access_pointer(vsock->port);
	struct vsock_peer *peer = &vsock->peers[i];
	struct ivshmem_port_counters counters;
	struct vsock_counters tx, rx;
	bool up;

	ivshmem_port_count(port, i, &counters);
	spin_lock_bh(&peer->lock);
	up = peer->up && peer->handled == peer->losses;
	tx = peer->tx;
	spin_unlock_bh(&peer->lock);
	/* The work may count right now. */
	rx = data_race(peer->rx);
	return sysfs_emit_at(buf, at, "%u %u %s %llu %llu %llu %llu %llu %llu\n", i,
			     vsock->cid + i, state_of(&counters, up), counters.broken,
			     tx.dropped + rx.dropped, tx.packets, tx.bytes, rx.packets, rx.bytes);
}

/* All others that there can be; as many as fit into a page. */
static ssize_t cids_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct ivshmem_vsock *vsock = dev_get_drvdata(dev);
	int own = ivshmem_port_own(rcu_access_pointer(vsock->port));
	unsigned int i;
	int at = 0;

	for (i = 0; i < vsock->ports && at < PAGE_SIZE - LINE; i++)
		if (i != own)
			at += print_port(vsock, i, buf, at);
	return at;
}
static DEVICE_ATTR_RO(cids);

static struct attribute *vsock_attrs[] = {
	&dev_attr_cid_base.attr,
	&dev_attr_cids.attr,
	NULL
};

static const struct attribute_group vsock_group = {
	.attrs = vsock_attrs,
};

const struct attribute_group *ivshmem_vsock_groups[] = {
	&vsock_group,
	NULL
};
