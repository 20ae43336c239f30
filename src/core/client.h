/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interface between the core and the drivers of nodes
 *
 * A node is a device with its shared memory and vectors, or a partition of it. It appears on
 * the bus "ivshmem", where one driver at a time is bound to it and owns it. The character
 * device /dev/ivshmemN is such a driver (chardev.c). Other modules are drivers as well: they get
 * a node by its type or by its attribute driver_override, as on the PCI bus:
 *
 *	echo ivshmem_sample > /sys/bus/ivshmem/devices/ivshmem0/driver_override
 *	echo ivshmem0 > /sys/bus/ivshmem/drivers/ivshmem_chardev/unbind
 *	echo ivshmem0 > /sys/bus/ivshmem/drivers_probe
 *
 * tests/sample/sample.c is a driver that uses all of this header.
 */
#ifndef IVSHMEM_CLIENT_H
#define IVSHMEM_CLIENT_H

#include <linux/device.h>
#include <linux/module.h>
#include <linux/types.h>
#include "namespace.h"
#include "uapi/linux/ivshmem.h"

struct ivshmem_node;

/* Type of a node that is a whole device, or a partition of no other type. */
#define IVSHMEM_TYPE_RAW	"raw"

/**
 * enum ivshmem_event - what is about to happen to a node, or has happened
 * @IVSHMEM_EVENT_UNREGISTER: the device is about to be unregistered, or the partition ends.
 *	It can be accessed a last time, but may be unplugged already. remove() follows
 * @IVSHMEM_EVENT_RESET_PREPARE: a reset is about to begin. Until it is done access
 *	fails
 * @IVSHMEM_EVENT_RESET_DONE: the reset is over. The memory may have changed, and
 *	doorbells may be lost
 * @IVSHMEM_EVENT_LABEL: the label of the device was read again; only for the node that is
 *	all of it
 * @IVSHMEM_EVENT_PEERS: peers have come or gone, or this machine has another slot: see
 *	ivshmem_node_peers(). May come late, and once for several changes
 *
 * A driver that is bound during a reset, or to a device that is about to be unregistered, is
 * notified of that as soon as probe() has returned.
 */
enum ivshmem_event {
	IVSHMEM_EVENT_UNREGISTER,
	IVSHMEM_EVENT_RESET_PREPARE,
	IVSHMEM_EVENT_RESET_DONE,
	IVSHMEM_EVENT_LABEL,
	IVSHMEM_EVENT_PEERS,
};

/**
 * struct ivshmem_driver - driver of nodes
 * @driver: set its name; ivshmem_driver_register() sets the rest
 * @type: type of nodes that it is bound to without driver_override, or NULL
 * @probe: a node is bound to the driver. Return: 0 or a negative errno
 * @remove: the node is unbound. On return the driver uses the node no more. If the node
 *	goes because its device does, no access is possible
 * @notify: optional: something happens to the device
 *
 * All are called under the device_lock of the node and may sleep, but must not wait for
 * programs or peers: hot-unplug waits for them, and so do the other nodes.
 */
struct ivshmem_driver {
	struct device_driver driver;
	const char *type;
	int (*probe)(struct ivshmem_node *node);
	void (*remove)(struct ivshmem_node *node);
	void (*notify)(struct ivshmem_node *node, enum ivshmem_event event);
};

/* bus.c */
int ivshmem_driver_register(struct ivshmem_driver *drv, struct module *owner);
void ivshmem_driver_unregister(struct ivshmem_driver *drv);

/* node.c */
struct device *ivshmem_node_dev(struct ivshmem_node *node);
size_t ivshmem_node_size(const struct ivshmem_node *node);
void *ivshmem_node_memory(const struct ivshmem_node *node);
unsigned int ivshmem_node_vectors(const struct ivshmem_node *node);
u64 ivshmem_node_features(const struct ivshmem_node *node);
int ivshmem_node_begin(struct ivshmem_node *node, int *idx);
void ivshmem_node_end(struct ivshmem_node *node, int idx);
u32 ivshmem_node_id(struct ivshmem_node *node);
int ivshmem_node_ring(struct ivshmem_node *node, u32 peer, u32 vector);
unsigned int ivshmem_node_number(const struct ivshmem_node *node);
bool ivshmem_node_is_cached(const struct ivshmem_node *node);

/* rescan.c */
int ivshmem_node_label(struct ivshmem_node *node, u8 uuid[16]);

/* presence.c */
int ivshmem_node_peers(struct ivshmem_node *node, struct ivshmem_peer_info *peers,
		       unsigned int room);
bool ivshmem_node_peer_is_silent(struct ivshmem_node *node, unsigned int slot);

/* handler.c */
int ivshmem_node_request_vector(struct ivshmem_node *node, unsigned int vector,
				void (*handle)(void *data), void *data);
void ivshmem_node_free_vector(struct ivshmem_node *node, unsigned int vector);
void ivshmem_node_mask(struct ivshmem_node *node, unsigned int vector);
bool ivshmem_node_unmask(struct ivshmem_node *node, unsigned int vector);

#endif /* IVSHMEM_CLIENT_H */
