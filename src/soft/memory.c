// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software devices: kernel-allocated memory, and doorbells between open files
 *
 * Every open file is a peer with its own id and vectors, so a program can be tried
 * without a hypervisor. On a host, the node can also back the memory of a guest's
 * ivshmem-plain device (memory-backend-file): the guest and local programs then
 * share the same bytes.
 *
 * The memory is pages of shmem, in huge pages where possible: what the kernel can do with
 * a shared mapping of a file, it can do with a mapping of these. The device holds a
 * reference to each page, so that nothing splits, moves or removes it. Nobody can get
 * hold of the file.
 *
 * No process owns this memory, so nothing but rmdir gives it back, not even the OOM
 * killer. All software devices together get half of the machine's memory at most.
 *
 * A page that somebody has pinned outlives its device, and counts towards that limit until
 * it is unpinned. A byte in a pipe keeps a whole huge page: else a program could take the
 * memory of one device after the other.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include "compat.h"
#include "soft.h"

/**
 * struct memory - pages of a software device
 * @charged: pages that count towards the limit
 * @missing: pages at the start of @pages that were not allocated (yet)
 * @nr: number of @pages
 * @file: of shmem, as large as the region; its page cache has the pages
 * @pages: those of the region, in order, with a reference to each
 * @node: in removed: then @file is gone, and @pages has only those that are still pinned,
 *	a huge page once
 */
struct memory {
	unsigned long charged;
	unsigned long missing;
	unsigned long nr;
	struct file *file;
	struct page **pages;
	struct list_head node;
};

/* Pages of all software devices, from before they are allocated until they are free. */
static unsigned long used;
static DEFINE_SPINLOCK(used_lock);

/* Memory of removed devices of which pages are pinned. */
static LIST_HEAD(removed);
static DEFINE_MUTEX(removed_lock);

static void removed_work_run(struct work_struct *work);
static DECLARE_DELAYED_WORK(removed_work, removed_work_run);

static void memory_set_charged(struct memory *memory, unsigned long charged)
{
	spin_lock(&used_lock);
	used -= memory->charged - charged;
	spin_unlock(&used_lock);
	memory->charged = charged;
}

/*
 * Does somebody else have a reference to a page of a removed device? One is the kernel's
 * while the page is not in an LRU list: it waits in a batch to get there, or is isolated. A
 * page with a hardware error has one for good.
 */
static bool page_pinned(struct page *page)
{
	return page_count(page) > (PageLRU(page) ? 1 : 2) && !PageHWPoison(page);
}

/* Put the pages, except one reference to each that is pinned. */
static void memory_put_pages(struct memory *memory)
{
	unsigned long i, kept = 0, charged = 0;

	for (i = memory->missing; i < memory->nr; i++) {
		struct page *head = compound_head(memory->pages[i]);
		bool more = i + 1 < memory->nr && compound_head(memory->pages[i + 1]) == head;

		if (!more && page_pinned(head)) {
			memory->pages[kept++] = head;
			charged += compound_nr(head);
		} else {
			put_page(head);
		}
		if (!(i % 1024))
			cond_resched();
	}
	memory->missing = 0;
	memory->nr = kept;
	memory_set_charged(memory, charged);
}

/* The array is for a whole device, and has a few pages left. It stays if there is no memory. */
static void memory_shrink(struct memory *memory)
{
	struct page **pages = kvmalloc_array(memory->nr, sizeof(*pages), GFP_KERNEL);

	if (!pages)
		return;
	memcpy(pages, memory->pages, memory->nr * sizeof(*pages));
	kvfree(memory->pages);
	memory->pages = pages;
}

static void removed_free(struct memory *memory)
{
	list_del(&memory->node);
	kvfree(memory->pages);
	kfree(memory);
}

/* Free what is no longer pinned of removed devices. Is there more left? */
static bool removed_reap(void)
{
	struct memory *memory, *next;

	lockdep_assert_held(&removed_lock);
	list_for_each_entry_safe(memory, next, &removed, node) {
		memory_put_pages(memory);
		if (!memory->nr)
			removed_free(memory);
	}
	if (list_empty(&removed))
		return false;
	schedule_delayed_work(&removed_work, HZ);
	return true;
}

static void removed_work_run(struct work_struct *work)
{
	mutex_lock(&removed_lock);
	removed_reap();
	mutex_unlock(&removed_lock);
}

/**
 * soft_memory_exit() - forget the pages of removed devices that are pinned
 *
 * All devices are gone. Pinned pages need this module no more.
 */
void soft_memory_exit(void)
{
	struct memory *memory, *next;

	cancel_delayed_work_sync(&removed_work);
	list_for_each_entry_safe(memory, next, &removed, node) {
		while (memory->nr)
			put_page(memory->pages[--memory->nr]);
		removed_free(memory);
	}
}

static int memory_charge(struct memory *memory, struct soft_spec *spec)
{
	unsigned long wanted = spec->size >> PAGE_SHIFT;
	unsigned long limit = totalram_pages() / 2, before;
	const char *pinned = "";
	bool fits;

	mutex_lock(&removed_lock);
	if (removed_reap())
		pinned = " and pinned pages of removed ones";
	mutex_unlock(&removed_lock);
	spin_lock(&used_lock);
	before = used;
	/* The limit falls below the use when memory is unplugged. */
	fits = before <= limit && spec->size >> PAGE_SHIFT <= limit - before;
	if (fits)
		used += wanted;
	spin_unlock(&used_lock);
	if (!fits)
		return soft_refuse(spec, -ENOMEM,
				   "size of %llu KiB does not fit: software devices%s use %lu of %lu KiB, half of this machine's memory; remove one or choose a smaller size",
				   spec->size >> 10, pinned, before << (PAGE_SHIFT - 10),
				   limit << (PAGE_SHIFT - 10));
	memory->charged = wanted;
	memory->missing = wanted;
	memory->nr = wanted;
	return 0;
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

/* Pages that somebody has pinned live until they are unpinned. */
static void memory_free(struct memory *memory)
{
	if (memory->file) {
		shmem_truncate_range(file_inode(memory->file), 0, -1);
		fput(memory->file);
	}
	memory_put_pages(memory);
	if (memory->nr)
		memory_shrink(memory);
	mutex_lock(&removed_lock);
	list_add(&memory->node, &removed);
	removed_reap();
	mutex_unlock(&removed_lock);
}

/*
 * A tmpfs whose options say where pages come from: from the given node alone, or from any
 * as the caller's memory policy says; and that a huge page is used only if it is all of the
 * region's. The file is the only user of this mount and keeps it.
 */
static struct vfsmount *memory_mount(int node, bool huge)
{
	struct file_system_type *type = get_fs_type("tmpfs");	/* never a module */
	char bind[32] = "", options[64];

	if (!type)
		return ERR_PTR(-ENODEV);
	if (IS_ENABLED(CONFIG_NUMA) && node != NUMA_NO_NODE)
		snprintf(bind, sizeof(bind), "mpol=bind:%d", node);
	snprintf(options, sizeof(options), "%s%s", huge ? "huge=within_size," : "", bind);
	return vfs_kern_mount(type, SB_KERNMOUNT, type->name, options);
}

/* Our mount has no limit: where tmpfs has no space, it had no memory for an inode. */
static int tmpfs_error(int error)
{
	return error == -ENOSPC ? -ENOMEM : error;
}

static int memory_open(struct memory *memory, const struct soft_spec *spec)
{
	struct vfsmount *mount = memory_mount(spec->node, true);
	struct file *file;

	/* No huge pages in this kernel, or on this machine? */
	if (mount == ERR_PTR(-EINVAL))
		mount = memory_mount(spec->node, false);
	if (IS_ERR(mount))
		return tmpfs_error(PTR_ERR(mount));
	file = ivshmem_shmem_file(mount, "ivshmem", spec->size);
	mntput(mount);
	if (IS_ERR(file))
		return tmpfs_error(PTR_ERR(file));
	mapping_set_unevictable(file->f_mapping);
	memory->file = file;
	return 0;
}

/*
 * Allocate all pages, from the end: so kernels before 5.15 see that the rest of a region
 * is no huge page.
 */
static int memory_fill(struct memory *memory, int node)
{
	/* They stay where they are. Try hard, but do not invoke the OOM killer. */
	const gfp_t gfp = GFP_HIGHUSER | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;

	while (memory->missing) {
		struct page *page = shmem_read_mapping_page_gfp(memory->file->f_mapping,
								memory->missing - 1, gfp);

		if (IS_ERR(page))
			return -ENOMEM;
		memory->pages[--memory->missing] = page;
		/* The caller's cpuset may be stronger than the mount option. */
		if (node != NUMA_NO_NODE && page_to_nid(page) != node)
			return -ENOMEM;
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
	/* Not kvmalloc_array(), which refuses more than 2 GiB: those of a TiB. */
	memory->pages = vmalloc(array_size(memory->nr, sizeof(*memory->pages)));
	ret = memory->pages ? memory_open(memory, spec) : -ENOMEM;
	if (!ret)
		ret = memory_fill(memory, spec->node);
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
 * @idev: never registered, or unregistered; its memory is free on return, except pages that
 *	somebody has pinned
 */
void soft_memory_drop(struct ivshmem_device *idev)
{
	struct memory *memory = ivshmem_device_priv(idev);

	ivshmem_device_unmap(idev);
	ivshmem_device_put(idev);
	memory_free(memory);
}
