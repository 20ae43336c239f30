/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem_net: declarations shared by its files
 *
 *	driver.c	binds to partitions of type "net", and hands on what happens to them
 *	netdev.c	the network interface: open, stop, the carrier, statistics
 *	address.c	its Ethernet address
 *	tx.c		frames into the rings
 *	rx.c		frames out of the rings, by NAPI; many at once in turn with programs
 *	learn.c		which port an address is at
 *	ethtool.c	what ethtool shows
 *
 * The rings and the other ports are the affair of src/rings. A port of the segment is a queue
 * here: frames to port j go through transmit queue j, those to all through the last one.
 *
 * Concurrency
 *
 *	rtnl	open, stop, the address
 *	lock of transmit queue j	all about frames to port j
 *	NAPI of vector j % V	all about frames from port j
 *	net->links_lock	innermost: how many links are up, and the carrier
 */
#ifndef IVSHMEM_NET_H
#define IVSHMEM_NET_H

#include <linux/netdevice.h>
#include <linux/types.h>
#include <linux/u64_stats_sync.h>
#include <linux/workqueue.h>
#include "learn.h"
#include "rings/port.h"

/**
 * struct ivshmem_net_rx - counters of frames from a port
 * @frames: handed to the stack
 * @bytes: of these
 * @multicast: of these
 * @dropped: there was no memory
 * @errors: too short, or with a header of virtio_net that makes no sense
 *
 * Written by one NAPI alone. On 64-bit machines, which are all that have ivshmem, a counter
 * is read in one piece.
 */
struct ivshmem_net_rx {
	u64_stats_t frames;
	u64_stats_t bytes;
	u64_stats_t multicast;
	u64_stats_t dropped;
	u64_stats_t errors;
};

/**
 * struct ivshmem_net_tx - a transmit queue
 * @frames: counter: put into the ring
 * @bytes: counter: of these
 * @dropped: counter: the port was gone, or the frame is none that fits
 * @full: counter: how often a frame had to wait for room
 * @pending: what is in the ring, as the queue's byte limit counts it
 * @lost: the link went down, and what is pending with it. Set by ivshmem_net_link()
 *
 * Written under the lock of the queue.
 */
struct ivshmem_net_tx {
	u64_stats_t frames;
	u64_stats_t bytes;
	u64_stats_t dropped;
	u64_stats_t full;
	struct ivshmem_reclaimed pending;
	bool lost;
};

/**
 * struct ivshmem_net_vector - a vector of the partition, and the ports that ring it
 * @net: the interface
 * @napi: receives from them
 * @number: of the vector; those ports are number, number + nr_vectors...
 * @frag: where the rest of large frames goes
 * @go_on: polls again, if there was more than NAPI takes at a time
 */
struct ivshmem_net_vector {
	struct ivshmem_net *net;
	struct napi_struct napi;
	unsigned int number;
	struct page_frag frag;
	struct work_struct go_on;
};

/**
 * struct ivshmem_net - an interface
 * @dev: its network device, whose private part is a pointer to this
 * @node: the partition
 * @port: its place in the segment
 * @ports: places there are; also the number of the transmit queue to all
 * @frame_max: bytes of the largest frame that all rings can take
 * @tx_limit: frames that a ring to a port may hold
 * @nr_vectors: length of @vectors
 * @vectors: at least one
 * @rx: counters for each port
 * @tx: counters for each transmit queue
 * @links_lock: protects @links
 * @links: ports that are up
 * @segment: what its addresses have in common
 * @address: has the address follow the own port
 * @learn: where addresses are
 */
struct ivshmem_net {
	struct net_device *dev;
	struct ivshmem_node *node;
	struct ivshmem_port *port;
	unsigned int ports;
	unsigned int frame_max;
	unsigned int tx_limit;
	unsigned int nr_vectors;
	struct ivshmem_net_vector *vectors;
	struct ivshmem_net_rx *rx;
	struct ivshmem_net_tx *tx;
	spinlock_t links_lock;	/* links */
	unsigned int links;
	u32 segment;
	struct work_struct address;
	struct ivshmem_learn learn;
};

static inline struct ivshmem_net *ivshmem_net_of(const struct net_device *dev)
{
	return *(struct ivshmem_net **)netdev_priv(dev);
}

/* netdev.c */
int ivshmem_net_alloc(struct ivshmem_net *net);
void ivshmem_net_link(void *data, unsigned int peer, bool up);
void ivshmem_net_schedule(void *data, unsigned int vector);

/* address.c */
void ivshmem_net_address_init(struct ivshmem_net *net);
void ivshmem_net_address(struct ivshmem_net *net, u8 *address);
int ivshmem_net_port_of(struct ivshmem_net *net, const u8 *address);
void ivshmem_net_own(void *data, int own);

/* tx.c */
u16 ivshmem_net_select_queue(struct net_device *dev, struct sk_buff *skb,
			     struct net_device *sb_dev);
netdev_features_t ivshmem_net_features_check(struct sk_buff *skb, struct net_device *dev,
					     netdev_features_t features);
netdev_tx_t ivshmem_net_xmit(struct sk_buff *skb, struct net_device *dev);
void ivshmem_net_tx_poll(struct ivshmem_net *net, unsigned int to, int budget);
void ivshmem_net_tx_reset(struct ivshmem_net *net, unsigned int to);

/* rx.c */
int ivshmem_net_poll(struct napi_struct *napi, int budget);
void ivshmem_net_go_on(struct work_struct *work);

/* ethtool.c */
extern const struct ethtool_ops ivshmem_net_ethtool_ops;

#endif /* IVSHMEM_NET_H */
