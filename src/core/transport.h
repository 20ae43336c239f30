/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Interface between the core and its transports
 *
 * A device is shared memory, with or without doorbells. Its transport finds the memory
 * and rings doorbells. The core above is the same for all transports. pci/pci.c is the
 * transport of PCI devices. The transports of windows and software devices,
 * soft/window.c and soft/memory.c, are in the module ivshmem_soft. All of them use
 * only this header.
 *
 * Life of a device, seen from its transport:
 *
 *	idev = ivshmem_device_alloc(...);
 *	ivshmem_device_set_name()		optional
 *	ivshmem_device_set_doorbell()		if peers can be rung
 *	ivshmem_device_set_resettable()		if it can be reset while in use
 *	ivshmem_device_set_registers()		if programs may map the register page
 *	ivshmem_device_map() or ivshmem_device_map_pages()
 *	ivshmem_device_set_vectors()
 *	ivshmem_device_request_irq()		optional, for each vector
 *	ivshmem_device_register()		a node appears on the bus
 *	ivshmem_device_reset_prepare(), _done()	optional, around a reset
 *	ivshmem_device_unregister()		the node disappears
 *	ivshmem_device_free_irqs()
 *	ivshmem_device_unmap()
 *	ivshmem_device_put();
 *
 * From register() to unregister(), the transport makes each of these calls under
 * one lock of its own: the device_lock of the parent, or another one if there is no
 * parent. Without concurrent calls it needs none.
 */
#ifndef IVSHMEM_TRANSPORT_H
#define IVSHMEM_TRANSPORT_H

#include <linux/device.h>
#include <linux/types.h>
#include "namespace.h"
#include "uapi/linux/ivshmem.h"

/* Vectors of a peer are numbered from 0 to this, exclusive. */
#define IVSHMEM_MAX_VECTORS	256

/* The Doorbell register has 16 bits for a peer. */
#define IVSHMEM_MAX_PEER	U16_MAX

struct ivshmem_device;

/**
 * struct ivshmem_transport - operations of a transport
 * @owner: module that open files of the device pin
 * @peer_per_file: every open file is a peer with its own id and vectors, else all
 *	files of the device share one peer
 * @ring: ring @vector of @peer; called between ivshmem_access_try() and
 *	ivshmem_access_end(). Return: 0, or a negative errno for the caller of RING.
 *	A peer that does not exist is no error
 * @id: return this machine's id or IVSHMEM_ID_UNKNOWN; called like @ring; not used
 *	with @peer_per_file
 */
struct ivshmem_transport {
	struct module *owner;
	bool peer_per_file;
	int (*ring)(struct ivshmem_device *idev, u32 peer, u32 vector);
	u32 (*id)(struct ivshmem_device *idev);
};

/* device.c */
struct ivshmem_device *ivshmem_device_alloc(struct device *parent,
					    const struct ivshmem_transport *transport,
					    void *priv);
void ivshmem_device_put(struct ivshmem_device *idev);
void *ivshmem_device_priv(const struct ivshmem_device *idev);
const struct ivshmem_transport *
ivshmem_device_transport(const struct ivshmem_device *idev);
const char *ivshmem_device_name(const struct ivshmem_device *idev);
int ivshmem_device_set_name(struct ivshmem_device *idev, const char *name);
void ivshmem_device_set_doorbell(struct ivshmem_device *idev);
void ivshmem_device_set_resettable(struct ivshmem_device *idev);
void ivshmem_device_set_registers(struct ivshmem_device *idev, phys_addr_t phys);
int ivshmem_device_register(struct ivshmem_device *idev);
void ivshmem_device_unregister(struct ivshmem_device *idev);
void ivshmem_device_reset_prepare(struct ivshmem_device *idev);
void ivshmem_device_reset_done(struct ivshmem_device *idev);

/* section.c */
int ivshmem_device_map(struct ivshmem_device *idev, phys_addr_t phys,
		       resource_size_t size);
int ivshmem_device_map_pages(struct ivshmem_device *idev, struct page **pages,
			     unsigned long nr);
void ivshmem_device_unmap(struct ivshmem_device *idev);

/* peer.c */
int ivshmem_device_set_vectors(struct ivshmem_device *idev, unsigned int nr);
void ivshmem_device_limit_vectors(struct ivshmem_device *idev, unsigned int nr);
void ivshmem_peer_ring(struct ivshmem_device *idev, u32 id, u32 vector);

/* irq.c */
int ivshmem_device_request_irq(struct ivshmem_device *idev, unsigned int vector,
			       unsigned int irq, const char *name);
void ivshmem_device_free_irqs(struct ivshmem_device *idev);

/* number.c */
int ivshmem_parse_number(const char *text, u64 *value);

#endif /* IVSHMEM_TRANSPORT_H */
