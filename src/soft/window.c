// SPDX-License-Identifier: GPL-2.0-only
/*
 * A window: memory at a physical address that somebody names
 *
 * Nobody but the one who names it knows what is there, so all that can be checked
 * is checked: the range must be no memory of the kernel's and claimed by nobody.
 * It is claimed as long as the device exists. What is shared with another machine
 * is a resource of the bus, so the doorbell register is written as any other
 * register of a device.
 */
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/irq.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/slab.h>
#include "soft.h"

/* What the page tables can say; x86 has it in iomem_resource. */
#ifndef PHYS_MASK
#define PHYS_MASK	U64_MAX
#endif

/**
 * struct window - a device by its address
 * @idev: what is above; a reference is held
 * @region: claims the memory
 * @doorbell_region: claims the register
 * @doorbell: the register or NULL
 * @nr_irqs: how many are requested
 * @irqs: their numbers
 */
struct window {
	struct ivshmem_device *idev;
	struct resource *region;
	struct resource *doorbell_region;
	void __iomem *doorbell;
	unsigned int nr_irqs;
	unsigned int irqs[];
};

static void window_ring(struct ivshmem_device *idev, u32 peer, u32 vector)
{
	struct window *window = idev->priv;

	/* writel() lets earlier writes to the region go first. */
	writel(IVSHMEM_DOORBELL(peer, vector), window->doorbell);
}

/* There is no register to ask. */
static u32 window_id(struct ivshmem_device *idev)
{
	return IVSHMEM_ID_UNKNOWN;
}

static const struct ivshmem_transport window_transport = {
	.owner = THIS_MODULE,
	.ring = window_ring,
	.id = window_id,
};

/* Is the range one that can be looked at, and nobody else's? */
static int window_check_range(struct soft_spec *spec, const char *what,
			      u64 start, u64 size, u64 align)
{
	u64 limit = min_t(u64, PHYS_MASK, iomem_resource.end);
	u64 end = start + size - 1;

	if (!IS_ALIGNED(start, align))
		return soft_refuse(spec, -EINVAL, "%s 0x%llx is no multiple of %llu",
				   what, start, align);
	if (end < start)
		return soft_refuse(spec, -EINVAL,
				   "%s 0x%llx and %llu bytes go beyond the last address",
				   what, start, size);
	if (end > limit)
		return soft_refuse(spec, -EINVAL,
				   "%s 0x%llx to 0x%llx: this machine's addresses end at 0x%llx",
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
			    "%s 0x%llx to 0x%llx is claimed by somebody else: see /proc/iomem",
			    what, start, start + size - 1);
	return resource;
}

static void window_release(struct resource *resource)
{
	if (resource)
		release_mem_region(resource->start, resource_size(resource));
}

static void window_free_irqs(struct window *window)
{
	while (window->nr_irqs) {
		window->nr_irqs--;
		free_irq(window->irqs[window->nr_irqs],
			 ivshmem_device_vector(window->idev, window->nr_irqs));
	}
}

static int window_request_irqs(struct window *window, struct soft_spec *spec)
{
	unsigned int i;
	int ret;

	for (i = 0; i < spec->nr_irqs; i++) {
		/* It would stay asserted: there is no register to acknowledge it. */
		if (irq_get_trigger_type(spec->irqs[i]) & IRQ_TYPE_LEVEL_MASK)
			return soft_refuse(spec, -EINVAL,
					   "IRQ %u is level-triggered; a doorbell interrupt must be edge-triggered",
					   spec->irqs[i]);
		ret = request_irq(spec->irqs[i], ivshmem_interrupt, 0, "ivshmem_soft",
				  ivshmem_device_vector(window->idev, i));
		if (ret)
			return soft_refuse(spec, ret,
					   "interrupt %u cannot be had (%d): see /proc/interrupts",
					   spec->irqs[i], ret);
		window->irqs[i] = spec->irqs[i];
		window->nr_irqs++;
	}
	return 0;
}

/* Claim and map all that the device is. */
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
			return soft_refuse(spec, -ENOMEM,
					   "doorbell 0x%llx cannot be mapped",
					   spec->doorbell);
		window->idev->can_ring = true;
	}
	ret = ivshmem_device_map(window->idev, spec->address, spec->size);
	if (ret)
		return soft_refuse(spec, ret, "address 0x%llx cannot be mapped (%d)",
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

	/* What firmware describes is as trusted as the rest of what it says. */
	if (!parent && security_locked_down(LOCKDOWN_DEV_MEM))
		return soft_refuse(spec, -EPERM,
				   "the kernel is locked down: no memory by its address");
	if (spec->nr_irqs > IVSHMEM_MAX_VECTORS)
		return soft_refuse(spec, -EINVAL, "%u interrupts: at most %u",
				   spec->nr_irqs, IVSHMEM_MAX_VECTORS);
	ret = window_check_range(spec, "address", spec->address, spec->size, PAGE_SIZE);
	if (ret || !spec->has_doorbell)
		return ret;
	return window_check_range(spec, "doorbell", spec->doorbell, 4, 4);
}

/**
 * soft_window_prepare() - make a device of memory at an address
 * @parent: what the firmware describes, or NULL
 * @spec: with has_address
 *
 * Return: the device, not registered, or an ERR_PTR()
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
	window = kzalloc(struct_size(window, irqs, spec->nr_irqs), GFP_KERNEL);
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
 * soft_window_drop() - end such a device
 * @idev: the device; what it claimed is free again when this returns
 */
void soft_window_drop(struct ivshmem_device *idev)
{
	struct window *window = idev->priv;

	window_free_irqs(window);
	window_unmap(window);
	put_device(&idev->dev);
	kfree(window);
}
