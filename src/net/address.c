// SPDX-License-Identifier: GPL-2.0-only
/*
 * The Ethernet address: of the label, the partition and the own port
 *
 * So a machine that gets its slot again has its address again, and no two ports have the same.
 * The address follows the port, unless the user has set another one. ivshmemctl net makes the
 * same.
 */
#include <linux/etherdevice.h>
#include <linux/rtnetlink.h>
#include "core/bytes.h"
#include "core/compat.h"
#include "net.h"

/* The first byte: an address of one station, and not of a manufacturer. */
#define LOCAL	0x02
/* In place of a port's number, as long as there is none. */
#define NO_PORT	0xff

static_assert(IVSHMEM_RINGS_MAX_PORTS <= NO_PORT);

/**
 * ivshmem_net_address() - make the address that belongs to the own port
 * @net: the interface
 * @address: out
 */
void ivshmem_net_address(struct ivshmem_net *net, u8 *address)
{
	int own = ivshmem_port_own(net->port);

	address[0] = LOCAL;
	store(address + 1, net->segment, sizeof(net->segment));
	address[5] = own < 0 ? NO_PORT : own;
}

/**
 * ivshmem_net_port_of() - find the port that an address belongs to
 * @net: the interface
 * @address: any
 *
 * Return: the port, which may be down; or -1: it is none that ivshmem_net_address() makes
 */
int ivshmem_net_port_of(struct ivshmem_net *net, const u8 *address)
{
	u8 own[ETH_ALEN];

	ivshmem_net_address(net, own);
	if (memcmp(own, address, ETH_ALEN - 1) || address[ETH_ALEN - 1] >= net->ports)
		return -1;
	return address[ETH_ALEN - 1];
}

static void follow(struct work_struct *work)
{
	struct ivshmem_net *net = container_of(work, struct ivshmem_net, address);
	struct net_device *dev = READ_ONCE(net->dev);
	u8 address[ETH_ALEN];

	rtnl_lock();
	if (dev && dev->reg_state == NETREG_REGISTERED &&
	    dev->addr_assign_type == NET_ADDR_PERM) {
		ivshmem_net_address(net, address);
		if (!ether_addr_equal(dev->dev_addr, address)) {
			eth_hw_addr_set(dev, address);
			call_netdevice_notifiers(NETDEV_CHANGEADDR, dev);
		}
	}
	rtnl_unlock();
}

/**
 * ivshmem_net_address_init() - prepare for the address
 * @net: without a port
 */
void ivshmem_net_address_init(struct ivshmem_net *net)
{
	u8 seed[16 + 1] = { };

	ivshmem_node_label(net->node, seed);
	seed[16] = ivshmem_node_number(net->node);
	net->segment = ivshmem_checksum(seed, sizeof(seed), sizeof(seed));
	INIT_WORK(&net->address, follow);
}

/**
 * ivshmem_net_own() - the own port is another one
 * @data: the interface
 * @own: its number
 */
void ivshmem_net_own(void *data, int own)
{
	struct ivshmem_net *net = data;

	/* The holder of the rtnl may wait for the caller. */
	schedule_work(&net->address);
}
