// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software devices: kernel-allocated memory, and doorbells between open files
 *
 * Every open file is a peer with its own id and vectors, so a program can be tried
 * without a hypervisor. On a host, the node can also back the memory of a guest's
 * ivshmem-plain device (memory-backend-file): the guest and local programs then
 * share the same bytes.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "soft.h"

/**
 * struct memory - pages of a software device
 * @nr: number of pages
 * @pages: the pages, in order
 */
struct memory {
	unsigned long nr;
	struct page **pages;
};

static void memory_ring(struct ivshmem_device *idev, u32 peer, u32 vector)
{
	ivshmem_peer_ring(idev, peer, vector);
}

static const struct ivshmem_transport memory_transport = {
	.owner = THIS_MODULE,
	.peer_per_file = true,
	.ring = memory_ring,
};

static void memory_free(struct memory *memory)
{
	while (memory->nr) {
		__free_page(memory->pages[--memory->nr]);
		if (!(memory->nr % 1024))
			cond_resched();
	}
	kvfree(memory->pages);
	kfree(memory);
}

static int memory_fill(struct memory *memory, unsigned long wanted)
{
	/* Try hard, but do not invoke the OOM killer. */
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;

	while (memory->nr < wanted) {
		struct page *page = alloc_page(gfp);

		if (!page)
			return -ENOMEM;
		memory->pages[memory->nr++] = page;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static struct memory *memory_alloc(struct soft_spec *spec)
{
	unsigned long wanted = spec->size >> PAGE_SHIFT;
	struct memory *memory;
	int ret;

	if (spec->size >> PAGE_SHIFT > totalram_pages() / 2) {
		soft_refuse(spec, -ENOMEM,
			    "size of %llu MiB exceeds half of this machine's memory",
			    spec->size >> 20);
		return ERR_PTR(-ENOMEM);
	}
	memory = kzalloc(sizeof(*memory), GFP_KERNEL);
	if (!memory)
		return ERR_PTR(-ENOMEM);
	memory->pages = kvmalloc_array(wanted, sizeof(*memory->pages), GFP_KERNEL);
	ret = memory->pages ? memory_fill(memory, wanted) : -ENOMEM;
	if (!ret)
		return memory;
	memory_free(memory);
	soft_refuse(spec, ret, "cannot allocate %llu bytes: %d", spec->size, ret);
	return ERR_PTR(ret);
}

/**
 * soft_memory_prepare() - create a software device without registering it
 * @parent: NULL
 * @spec: description without an address
 *
 * Return: the device or an ERR_PTR()
 */
struct ivshmem_device *soft_memory_prepare(struct device *parent,
					   struct soft_spec *spec)
{
	struct ivshmem_device *idev;
	struct memory *memory;
	int ret;

	if (spec->nr_irqs || spec->has_doorbell)
		return ERR_PTR(soft_refuse(spec, -EINVAL,
					   "irq and doorbell require an address"));
	if (spec->vectors > IVSHMEM_MAX_VECTORS)
		return ERR_PTR(soft_refuse(spec, -EINVAL, "too many vectors: %u (at most %u)",
					   spec->vectors, IVSHMEM_MAX_VECTORS));
	memory = memory_alloc(spec);
	if (IS_ERR(memory))
		return ERR_CAST(memory);
	idev = ivshmem_device_alloc(parent, &memory_transport, memory);
	if (IS_ERR(idev)) {
		memory_free(memory);
		return idev;
	}
	idev->can_ring = spec->vectors;
	ret = ivshmem_device_set_name(idev, spec->name);
	if (ret)
		goto err_drop;
	ret = ivshmem_device_map_pages(idev, memory->pages, memory->nr);
	if (ret)
		goto err_drop;
	ret = ivshmem_device_set_vectors(idev, spec->vectors);
	if (ret)
		goto err_drop;
	return idev;

err_drop:
	soft_memory_drop(idev);
	return ERR_PTR(ret);
}

/**
 * soft_memory_drop() - free a software device
 * @idev: never registered, or unregistered; its memory is free on return
 */
void soft_memory_drop(struct ivshmem_device *idev)
{
	struct memory *memory = idev->priv;

	ivshmem_device_unmap(idev);
	put_device(&idev->dev);
	memory_free(memory);
}
