// SPDX-License-Identifier: GPL-2.0-only
/*
 * Windows: devices at a physical address
 *
 * The driver cannot find out what is at that address, so it checks all it can: the
 * range must contain no System RAM and no range claimed by another driver. The
 * device claims the range while it exists. The doorbell is an ordinary MMIO
 * register, written with writel().
 */
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/irq.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/security.h>
#include <linux/slab.h>
#include "soft.h"

/* Highest physical address in a page table; on x86, iomem_resource has it. */
#ifndef PHYS_MASK
#define PHYS_MASK	U64_MAX
#endif

/**
 * struct window - a device at a physical address
 * @idev: the device above it; holds a reference
 * @region: claimed range of the memory, or NULL
 * @doorbell_region: claimed range of the Doorbell register, or NULL
 * @doorbell: the Doorbell register, or NULL
 */
struct window {
	struct ivshmem_device *idev;
	struct resource *region;
	struct resource *doorbell_region;
	void __iomem *doorbell;
};

static int window_ring(struct ivshmem_device *idev, u32 peer, u32 vector)
{
	struct window *window = ivshmem_device_priv(idev);

	/* writel() orders earlier writes to the region before the doorbell. */
	writel(IVSHMEM_DOORBELL(peer, vector), window->doorbell);
	return 0;
}

/* There is no IVPosition register. */
static u32 window_id(struct ivshmem_device *idev)
{
	return IVSHMEM_ID_UNKNOWN;
}

static const struct ivshmem_transport window_transport = {
	.owner = THIS_MODULE,
	.ring = window_ring,
	.id = window_id,
};

/* Is the range aligned, addressable and not System RAM? */
static int window_check_range(struct soft_spec *spec, const char *what,
			      u64 start, u64 size, u64 align)
{
	u64 limit = min_t(u64, PHYS_MASK, iomem_resource.end);
	u64 end = start + size - 1;

	if (!IS_ALIGNED(start, align))
		return soft_refuse(spec, -EINVAL, "%s 0x%llx is not a multiple of %llu",
				   what, start, align);
	if (end < start)
		return soft_refuse(spec, -EINVAL,
				   "%s 0x%llx plus %llu bytes wraps around",
				   what, start, size);
	if (end > limit)
		return soft_refuse(spec, -EINVAL,
				   "%s 0x%llx to 0x%llx is beyond the last address 0x%llx of this machine",
				   what, start, end, limit);
	if (region_intersects(start, size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT)
		return soft_refuse(spec, -EBUSY,
				   "%s 0x%llx to 0x%llx is in use as System RAM: see /proc/iomem",
				   what, start, end);
	return 0;
}

static struct resource *window_claim(struct soft_spec *spec, const char *what,
				     u64 start, u64 size)
{
	struct resource *resource = request_mem_region(start, size, "ivshmem_soft");

	if (!resource)
		soft_refuse(spec, -EBUSY,
			    "%s 0x%llx to 0x%llx is already claimed: see /proc/iomem",
			    what, start, start + size - 1);
	return resource;
}

static void window_release(struct resource *resource)
{
	if (resource)
		release_mem_region(resource->start, resource_size(resource));
}

static int window_request_irqs(struct window *window, struct soft_spec *spec)
{
	unsigned int i;
	int ret;

	for (i = 0; i < spec->nr_irqs; i++) {
		/* It would stay asserted, as there is no register to acknowledge it. */
		if (irq_get_trigger_type(spec->irqs[i]) & IRQ_TYPE_LEVEL_MASK)
			return soft_refuse(spec, -EINVAL,
					   "IRQ %u is level-triggered; a doorbell interrupt must be edge-triggered",
					   spec->irqs[i]);
		ret = ivshmem_device_request_irq(window->idev, i, spec->irqs[i],
						 "ivshmem_soft");
		if (ret)
			return soft_refuse(spec, ret,
					   "cannot request IRQ %u: %d; see /proc/interrupts",
					   spec->irqs[i], ret);
	}
	return 0;
}

/* Claim and map the region and the doorbell. */
static int window_map(struct window *window, struct soft_spec *spec)
{
	int ret;

	window->region = window_claim(spec, "address", spec->address, spec->size);
	if (!window->region)
		return -EBUSY;
	if (spec->has_doorbell) {
		window->doorbell_region = window_claim(spec, "doorbell", spec->doorbell, 4);
		if (!window->doorbell_region)
			return -EBUSY;
		window->doorbell = ioremap(spec->doorbell, 4);
		if (!window->doorbell)
			return soft_refuse(spec, -ENOMEM, "cannot map doorbell 0x%llx",
					   spec->doorbell);
		ivshmem_device_set_doorbell(window->idev);
	}
	ret = ivshmem_device_map(window->idev, spec->address, spec->size);
	if (ret)
		return soft_refuse(spec, ret, "cannot map address 0x%llx: %d",
				   spec->address, ret);
	return 0;
}

static void window_unmap(struct window *window)
{
	ivshmem_device_unmap(window->idev);
	if (window->doorbell)
		iounmap(window->doorbell);
	window_release(window->doorbell_region);
	window_release(window->region);
}

static int window_check(struct device *parent, struct soft_spec *spec)
{
	int ret;

	/* Firmware is trusted even in a locked-down kernel. */
	if (!parent && security_locked_down(LOCKDOWN_DEV_MEM))
		return soft_refuse(spec, -EPERM,
				   "kernel is locked down: memory at an address is not allowed");
	if (spec->node != NUMA_NO_NODE)
		return soft_refuse(spec, -EINVAL,
				   "memory at an address is where it is: node must be -1");
	if (spec->has_vectors)
		return soft_refuse(spec, -EINVAL,
				   "memory at an address has a vector per interrupt: vectors must not be given");
	if (spec->nr_irqs > IVSHMEM_MAX_VECTORS)
		return soft_refuse(spec, -EINVAL, "too many interrupts: %u (at most %u)",
				   spec->nr_irqs, IVSHMEM_MAX_VECTORS);
	ret = window_check_range(spec, "address", spec->address, spec->size, PAGE_SIZE);
	if (ret || !spec->has_doorbell)
		return ret;
	return window_check_range(spec, "doorbell", spec->doorbell, 4, 4);
}

/**
 * soft_window_prepare() - create a window without registering it
 * @parent: platform device from firmware, or NULL
 * @spec: description with an address
 *
 * Return: the device or an ERR_PTR()
 */
struct ivshmem_device *soft_window_prepare(struct device *parent,
					   struct soft_spec *spec)
{
	struct ivshmem_device *idev;
	struct window *window;
	int ret;

	ret = window_check(parent, spec);
	if (ret)
		return ERR_PTR(ret);
	window = kzalloc(sizeof(*window), GFP_KERNEL);
	if (!window)
		return ERR_PTR(-ENOMEM);
	idev = ivshmem_device_alloc(parent, &window_transport, window);
	if (IS_ERR(idev)) {
		kfree(window);
		return idev;
	}
	window->idev = idev;
	ret = ivshmem_device_set_name(idev, spec->name);
	if (ret)
		goto err_drop;
	ret = window_map(window, spec);
	if (ret)
		goto err_drop;
	ret = ivshmem_device_set_vectors(idev, spec->nr_irqs);
	if (ret)
		goto err_drop;
	ret = window_request_irqs(window, spec);
	if (ret)
		goto err_drop;
	return idev;

err_drop:
	soft_window_drop(idev);
	return ERR_PTR(ret);
}

/**
 * soft_window_drop() - free a window
 * @idev: never registered, or unregistered; its ranges and IRQs are free on return
 */
void soft_window_drop(struct ivshmem_device *idev)
{
	struct window *window = ivshmem_device_priv(idev);

	ivshmem_device_free_irqs(idev);
	window_unmap(window);
	ivshmem_device_put(idev);
	kfree(window);
}
