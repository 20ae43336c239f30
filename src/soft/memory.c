// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software devices: kernel-allocated memory, and doorbells between open files
 *
 * Every open file is a peer with its own id and vectors, so a program can be tried
 * without a hypervisor. On a host, the node can also back the memory of a guest's
 * ivshmem-plain device (memory-backend-file): the guest and local programs then
 * share the same bytes.
 *
 * No process owns this memory, so nothing but rmdir gives it back, not even the OOM
 * killer. All software devices together get half of the machine's memory at most.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "soft.h"

/**
 * struct memory - pages of a software device
 * @nr: number of pages
 * @charged: pages that count towards the limit
 * @pages: the pages, in order
 */
struct memory {
	unsigned long nr;
	unsigned long charged;
	struct page **pages;
};

/* Pages of all software devices, from before they are allocated until they are free. */
static unsigned long used;
static DEFINE_SPINLOCK(used_lock);

static int memory_charge(struct memory *memory, struct soft_spec *spec)
{
	unsigned long wanted = spec->size >> PAGE_SHIFT;
	unsigned long limit = totalram_pages() / 2, before;
	bool fits;

	spin_lock(&used_lock);
	before = used;
	/* The limit falls below the use when memory is unplugged. */
	fits = before <= limit && spec->size >> PAGE_SHIFT <= limit - before;
	if (fits)
		used += wanted;
	spin_unlock(&used_lock);
	if (!fits)
		return soft_refuse(spec, -ENOMEM,
				   "size of %llu KiB does not fit: software devices use %lu of %lu KiB, half of this machine's memory; remove one or choose a smaller size",
				   spec->size >> 10, before << (PAGE_SHIFT - 10),
				   limit << (PAGE_SHIFT - 10));
	memory->charged = wanted;
	return 0;
}

static void memory_uncharge(struct memory *memory)
{
	spin_lock(&used_lock);
	used -= memory->charged;
	spin_unlock(&used_lock);
}

static int memory_ring(struct ivshmem_device *idev, u32 peer, u32 vector)
{
	ivshmem_peer_ring(idev, peer, vector);
	return 0;
}

const struct ivshmem_transport soft_memory_transport = {
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
	memory_uncharge(memory);
	kfree(memory);
}

/* From any node as the caller's memory policy says, or from the given one alone. */
static struct page *memory_page(int node, gfp_t gfp)
{
	if (node == NUMA_NO_NODE)
		return alloc_page(gfp);
	return alloc_pages_node(node, gfp | __GFP_THISNODE, 0);
}

static int memory_fill(struct memory *memory, int node)
{
	/* Try hard, but do not invoke the OOM killer. */
	const gfp_t gfp = GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;

	while (memory->nr < memory->charged) {
		struct page *page = memory_page(node, gfp);

		if (!page)
			return -ENOMEM;
		memory->pages[memory->nr++] = page;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static int memory_alloc(struct memory *memory, struct soft_spec *spec)
{
	int ret = memory_charge(memory, spec);

	if (ret)
		return ret;
	memory->pages = kvmalloc_array(memory->charged, sizeof(*memory->pages), GFP_KERNEL);
	ret = memory->pages ? memory_fill(memory, spec->node) : -ENOMEM;
	if (!ret)
		return 0;
	if (ret == -ENOMEM && spec->node != NUMA_NO_NODE)
		return soft_refuse(spec, ret, "node %d has less than %llu KiB to spare",
				   spec->node, spec->size >> 10);
	return soft_refuse(spec, ret, "cannot allocate %llu bytes: %d", spec->size, ret);
}

static struct memory *memory_new(struct soft_spec *spec)
{
	struct memory *memory = kzalloc(sizeof(*memory), GFP_KERNEL);
	int ret = memory ? memory_alloc(memory, spec) : -ENOMEM;

	if (!ret)
		return memory;
	if (memory)
		memory_free(memory);
	return ERR_PTR(ret);
}

static int memory_check(struct soft_spec *spec)
{
	if (spec->nr_irqs || spec->has_doorbell)
		return soft_refuse(spec, -EINVAL, "irq and doorbell require an address");
	if (spec->vectors > IVSHMEM_MAX_VECTORS)
		return soft_refuse(spec, -EINVAL, "too many vectors: %u (at most %u)",
				   spec->vectors, IVSHMEM_MAX_VECTORS);
	if (spec->node == NUMA_NO_NODE)
		return 0;
	if (spec->node < 0 || spec->node >= MAX_NUMNODES ||
	    !node_state(spec->node, N_MEMORY))
		return soft_refuse(spec, -EINVAL,
				   "node %d is offline or has no memory (nodes with memory: %*pbl)",
				   spec->node, nodemask_pr_args(&node_states[N_MEMORY]));
	return 0;
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

	ret = memory_check(spec);
	if (ret)
		return ERR_PTR(ret);
	memory = memory_new(spec);
	if (IS_ERR(memory))
		return ERR_CAST(memory);
	idev = ivshmem_device_alloc(parent, &soft_memory_transport, memory);
	if (IS_ERR(idev)) {
		memory_free(memory);
		return idev;
	}
	if (spec->vectors)
		ivshmem_device_set_doorbell(idev);
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
	struct memory *memory = ivshmem_device_priv(idev);

	ivshmem_device_unmap(idev);
	ivshmem_device_put(idev);
	memory_free(memory);
}
