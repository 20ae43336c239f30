/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interface between the core and its transports
 *
 * A device is one shared region, with or without doorbells. Its transport finds
 * the memory and rings doorbells. The core above is the same for all transports.
 * pci/pci.c is the transport of PCI devices. The transports of windows and software
 * devices, soft/window.c and soft/memory.c, are in the module ivshmem_soft, which
 * uses only this header.
 *
 * Life of a device, seen from its transport:
 *
 *	idev = ivshmem_device_alloc(...);
 *	ivshmem_device_set_name()		optional
 *	ivshmem_device_map() or ivshmem_device_map_pages()
 *	ivshmem_device_set_vectors()
 *	ivshmem_device_request_irq()		optional, for each vector
 *	ivshmem_device_register()		a node appears
 *	ivshmem_device_unregister()		the node disappears
 *	ivshmem_device_free_irqs()
 *	ivshmem_device_unmap()
 *	put_device(&idev->dev);
 *
 * From register() to unregister(), the transport makes each of these calls under
 * one lock of its own: the device_lock of the parent, or another one if there is no
 * parent. Without concurrent calls it needs none.
 */
#ifndef IVSHMEM_TRANSPORT_H
#define IVSHMEM_TRANSPORT_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/mutex.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include "compat.h"
#include "uapi/linux/ivshmem.h"

/* Vectors of a peer are numbered from 0 to this, exclusive. */
#define IVSHMEM_MAX_VECTORS	256

/* The Doorbell register has 16 bits for a peer. */
#define IVSHMEM_MAX_PEER	U16_MAX

struct ivshmem_counter;
struct ivshmem_device;
struct ivshmem_peer;

/**
 * struct ivshmem_transport - operations of a transport
 * @owner: module that open files of the device pin
 * @features: IVSHMEM_FEATURE_* that all devices of the transport have
 * @peer_per_file: every open file is a peer with its own id and vectors, else all
 *	files of the device share one peer
 * @ring: ring @vector of @peer; called between ivshmem_access_begin() and
 *	ivshmem_access_end()
 * @id: return this machine's id or IVSHMEM_ID_UNKNOWN; called like @ring; not used
 *	with @peer_per_file
 */
struct ivshmem_transport {
	struct module *owner;
	u64 features;
	bool peer_per_file;
	void (*ring)(struct ivshmem_device *idev, u32 peer, u32 vector);
	u32 (*id)(struct ivshmem_device *idev);
};

/**
 * struct ivshmem_device - one shared region
 * @dev: owns the memory of this structure; its parent is the transport's device
 * @cdev: the node /dev/ivshmemN
 * @transport: operations of the transport (constant)
 * @priv: private data of the transport (constant)
 * @name: name in sysfs and udev, or NULL
 * @minor: N (constant after registration)
 * @state: enum ivshmem_state; written under the transport's lock, read under
 *	@srcu, or with READ_ONCE() as a hint
 * @srcu: read side held while accessing the device, see core.h
 * @changed: tasks that wait for another @state
 * @inode: holds the mappings through all nodes, so that one call zaps them all
 * @peer: the peer that all files share, or NULL with @peer_per_file
 * @peers: with @peer_per_file all peers, by id
 * @users_lock: protects @users and @irqs_enabled
 * @users: struct ivshmem_user of all users with open files
 * @irqs_enabled: interrupts are enabled
 * @phys: address of the region, page-aligned; 0 if it consists of @pages
 * @pages: pages of kernel-allocated memory, in order, or NULL
 * @size: bytes in the region, a multiple of the page size
 * @mem: the kernel's mapping of the region
 * @cache: IVSHMEM_CACHE_*, for programs and for @mem
 * @registers_phys: address of the register page if programs may map it, else 0
 * @can_ring: peers have doorbells, even if this machine got no interrupt
 * @nr_vectors: vectors of each peer of this machine (constant after registration)
 * @counters: one for each vector
 * @vector_attrs: attributes of @vector_group
 * @vector_group: the directory "interrupts" in sysfs
 * @groups: all attribute groups in sysfs
 * @region_attrs: attributes of @region_group
 * @region_attr: the file "region" in sysfs
 * @region_group: has @region_attr
 *
 * @name and all fields from @phys on are set before ivshmem_device_register() and
 * constant afterwards, except the counts in @counters.
 */
struct ivshmem_device {
	struct device dev;
	struct cdev cdev;
	const struct ivshmem_transport *transport;
	void *priv;
	char *name;
	int minor;

	int state;
	struct srcu_struct srcu;
	struct wait_queue_head changed;
	struct inode *inode;
	struct ivshmem_peer *peer;
	struct xarray peers;
	struct mutex users_lock;	/* see above */
	struct list_head users;
	bool irqs_enabled;

	phys_addr_t phys;
	struct page **pages;
	size_t size;
	void *mem;
	unsigned int cache;
	phys_addr_t registers_phys;

	bool can_ring;
	unsigned int nr_vectors;
	struct ivshmem_counter *counters;
	struct attribute **vector_attrs;
	struct attribute_group vector_group;
	const struct attribute_group *groups[4];

	BIN_READ_CONST struct bin_attribute *region_attrs[2];
	struct bin_attribute region_attr;
	struct attribute_group region_group;
};

/* device.c */
struct ivshmem_device *ivshmem_device_alloc(struct device *parent,
					    const struct ivshmem_transport *transport,
					    void *priv);
int ivshmem_device_set_name(struct ivshmem_device *idev, const char *name);
int ivshmem_device_map(struct ivshmem_device *idev, phys_addr_t phys,
		       resource_size_t size);
int ivshmem_device_map_pages(struct ivshmem_device *idev, struct page **pages,
			     unsigned long nr);
int ivshmem_device_register(struct ivshmem_device *idev);
void ivshmem_device_unregister(struct ivshmem_device *idev);
void ivshmem_device_unmap(struct ivshmem_device *idev);

/* peer.c */
int ivshmem_device_set_vectors(struct ivshmem_device *idev, unsigned int nr);
void ivshmem_peer_ring(struct ivshmem_device *idev, u32 id, u32 vector);

/* irq.c */
int ivshmem_device_request_irq(struct ivshmem_device *idev, unsigned int vector,
			       unsigned int irq, const char *name);
void ivshmem_device_free_irqs(struct ivshmem_device *idev);

#endif /* IVSHMEM_TRANSPORT_H */
