/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a transport and the core know of each other
 *
 * A device is one shared region, with or without doorbells. It comes from a
 * transport, which finds the memory and says how to ring; everything above is
 * the same code for all of them, and knows nothing of where a device came from.
 * pci.c is the transport of PCI devices. soft_window.c and soft_memory.c are a
 * module of their own, which uses what is declared here and nothing else.
 *
 * Life of a device, seen from its transport:
 *
 *	idev = ivshmem_device_alloc(...);
 *	ivshmem_device_set_name()		if its owner has given it one
 *	ivshmem_device_map() or ivshmem_device_map_pages()
 *	ivshmem_device_set_vectors()
 *	... request_irq(ivshmem_interrupt, ivshmem_device_vector()) ...
 *	ivshmem_device_register()		a node appears
 *	ivshmem_device_unregister()			the node goes
 *	... free_irq() ...
 *	ivshmem_device_unmap()
 *	put_device(&idev->dev);
 *
 * From register() to gone() the transport holds one lock of its own in each of
 * these calls: the device_lock of the parent, or whatever keeps two of them
 * apart where there is no parent.
 */
#ifndef IVSHMEM_TRANSPORT_H
#define IVSHMEM_TRANSPORT_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/irqreturn.h>
#include <linux/mutex.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include "uapi/linux/ivshmem.h"

struct ivshmem_counter;
struct ivshmem_device;
struct ivshmem_peer;

/**
 * struct ivshmem_transport - what lies below a device
 * @owner: may not be unloaded while a file of the device is open
 * @peer_per_file: every open file is a peer with an id and vectors of its own;
 *	else all files of the device are one peer
 * @ring: ring @vector of @peer; called inside the device (see ivshmem.h)
 * @id: own peer number or IVSHMEM_ID_UNKNOWN; called likewise; not used with
 *	@peer_per_file
 */
struct ivshmem_transport {
	struct module *owner;
	bool peer_per_file;
	void (*ring)(struct ivshmem_device *idev, u32 peer, u32 vector);
	u32 (*id)(struct ivshmem_device *idev);
};

/**
 * struct ivshmem_device - one shared region
 * @dev: owns the memory of this structure; its parent is the transport's device
 * @cdev: the node /dev/ivshmemN
 * @transport: operations of the layer below (constant)
 * @priv: the transport's own (constant)
 * @name: what its owner calls it, or NULL
 * @minor: N (constant after registration)
 * @state: enum ivshmem_state; written under the transport's lock, read inside
 *	the device or with READ_ONCE() as a hint
 * @srcu: see ivshmem.h
 * @changed: who waits for another @state
 * @inode: its address space holds the mappings through all nodes, so that one
 *	call takes them all away
 * @peer: the one that all files are, or NULL with @peer_per_file
 * @peers: with @peer_per_file those that there are, by id
 * @users_lock: protects @users
 * @users: struct ivshmem_user of those with open files
 * @phys: address of the region, page-aligned; 0 if it is made of @pages
 * @pages: memory of the kernel's own, page by page, or NULL
 * @size: bytes in the region, a multiple of the page size
 * @mem: the region in the kernel's address space
 * @cache: IVSHMEM_CACHE_*, for programs and for @mem
 * @registers_phys: page of the registers, if programs may map it, else 0
 * @can_ring: peers have doorbells, even if we got no interrupt of our own
 * @nr_vectors: that each peer has here (constant after registration)
 * @counters: one for each vector
 * @vector_attrs: for @vector_group
 * @vector_group: the directory "interrupts" in sysfs
 * @groups: all that sysfs shows
 *
 * @name and everything from @phys to the end is set before ivshmem_device_register() and
 * constant from then on, but for the counts in @counters.
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
	const struct attribute_group *groups[3];
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
void *ivshmem_device_vector(struct ivshmem_device *idev, unsigned int vector);
void ivshmem_peer_ring(struct ivshmem_device *idev, u32 id, u32 vector);

/* event.c */
irqreturn_t ivshmem_interrupt(int irq, void *vector);

#endif /* IVSHMEM_TRANSPORT_H */
