// SPDX-License-Identifier: GPL-2.0-only
/*
 * Struct pages for memory at a physical address
 *
 * The memory of a PCI device or window has no struct pages, by which the kernel refers to
 * memory, until the driver makes some: then shared futexes, O_DIRECT and all else work that
 * works on a mapping of a file. The parameter pages= decides, for all devices or for one.
 *
 * The user of a pinned page (a pipe, a transfer by O_DIRECT) may keep it for any time, and
 * the kernel either waits in memunmap_pages() for it or crashes later. So removal waits for
 * nobody: it leaves a page map in which pages are pinned behind, together with a reference
 * to this module, and a work item looks now and then whether they have come back. A device
 * that appears at the same place meanwhile adopts the page map.
 *
 * No page of a map that no device uses can get its first pin: nothing maps it. So those
 * found unpinned once are so for good.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/io.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/workqueue.h>
#include "core.h"

/* What memremap_pages() wants, and huge pages. */
#define ALIGNMENT	(2UL << 20)
#define TIB		BIT_ULL(40)

enum pages_mode { PAGES_AUTO, PAGES_YES, PAGES_NO };
static const char * const pages_modes[] = { "auto", "yes", "no" };

/* The parameter, or NULL as long as it is not set; under its lock. */
static char *pages_choice;

/* What a list says for a device, which it changes; or -EINVAL. */
static int pages_parse(char *list, const char *device)
{
	int mode, found = PAGES_AUTO;
	bool named = false;
	char *word, *value;

	while ((word = strsep(&list, ","))) {
		value = strrchr(word, '=');
		if (value)
			*value++ = '\0';
		mode = sysfs_match_string(pages_modes, value ?: word);
		if (mode < 0)
			return -EINVAL;
		if (value ? !strcmp(word, device) : !named)
			found = mode;
		named |= value && !strcmp(word, device);
	}
	return found;
}

static int pages_set(const char *val, const struct kernel_param *kp)
{
	char *copy = kstrdup(val, GFP_KERNEL), *list = kstrdup(val, GFP_KERNEL);
	int ret = copy && list ? pages_parse(list, "") : -ENOMEM;

	kfree(list);
	if (ret == -EINVAL)
		pr_err("invalid choice of pages \"%s\" (expected %s)\n", val,
		       IVSHMEM_PAGES_SYNTAX);
	if (ret < 0) {
		kfree(copy);
		return ret;
	}
	strim(copy);
	kfree(pages_choice);
	pages_choice = copy;
	return 0;
}

static int pages_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", pages_choice ?: pages_modes[PAGES_AUTO]);
}

static void pages_free(void *arg)
{
	kfree(pages_choice);
}

const struct kernel_param_ops ivshmem_pages_ops = {
	.set = pages_set,
	.get = pages_get,
	.free = pages_free,
};

static int pages_mode(struct ivshmem_device *idev)
{
	const char *name = idev->name ?: idev->parent ? dev_name(idev->parent) : "";
	int mode = PAGES_AUTO;
	char *list;

	kernel_param_lock(THIS_MODULE);
	if (pages_choice) {
		list = kstrdup(pages_choice, GFP_KERNEL);
		mode = list ? pages_parse(list, name) : -ENOMEM;
		kfree(list);
	}
	kernel_param_unlock(THIS_MODULE);
	return mode;
}

#ifdef CONFIG_ZONE_DEVICE
/**
 * struct ivshmem_pagemap - the struct pages of a region
 * @pgmap: what the kernel knows of it
 * @node: in pagemaps
 * @used: a device uses it; else pages are pinned
 * @referenced: it has a reference to this module
 * @checked: pages at its start that are known not to be pinned, while it is not used
 */
struct ivshmem_pagemap {
	struct dev_pagemap pgmap;
	struct list_head node;
	bool used;
	bool referenced;
	unsigned long checked;
};

static LIST_HEAD(pagemaps);
static DEFINE_MUTEX(pagemaps_lock);

/*
 * Shared futexes know a page by its inode and index: this one, and the page frame. Of the
 * inode the kernel uses no more than the operations on dirty pages, which do nothing.
 */
static struct inode *pages_inode;

static void pagemaps_reap(struct work_struct *work);
static DECLARE_DELAYED_WORK(pagemaps_work, pagemaps_reap);
static unsigned long pagemaps_delay;	/* until it looks again */

/*
 * The kernel counts huge pages as one, and refers to each by its first struct page. Others
 * are not needed.
 */
static unsigned int pagemap_order(void)
{
	return has_transparent_hugepage() && PMD_SIZE == ALIGNMENT ? PMD_SHIFT - PAGE_SHIFT : 0;
}

/* Pages, each of which may be huge. */
static unsigned long pagemap_pages(struct ivshmem_pagemap *map)
{
	return (range_len(&map->pgmap.range) >> PAGE_SHIFT) / pgmap_vmemmap_nr(&map->pgmap);
}

static unsigned long pagemap_pfn(struct ivshmem_pagemap *map, unsigned long i)
{
	return PHYS_PFN(map->pgmap.range.start) + i * pgmap_vmemmap_nr(&map->pgmap);
}

static struct page *pagemap_page(struct ivshmem_pagemap *map, unsigned long i)
{
	return pfn_to_page(pagemap_pfn(map, i));
}

/* Nothing maps the pages; is there somebody who has pinned one? */
static bool pagemap_pinned(struct ivshmem_pagemap *map)
{
	for (; map->checked < pagemap_pages(map); map->checked++) {
		if (page_count(pagemap_page(map, map->checked)) != 1)
			return true;
		if (!(map->checked % 1024))
			cond_resched();
	}
	return false;
}

static void pagemap_free(struct ivshmem_pagemap *map)
{
	list_del(&map->node);
	memunmap_pages(&map->pgmap);
	if (map->referenced)
		module_put(THIS_MODULE);
	kfree(map);
}

static void pagemaps_reap(struct work_struct *work)
{
	struct ivshmem_pagemap *map, *next;
	bool again = false;

	mutex_lock(&pagemaps_lock);
	list_for_each_entry_safe(map, next, &pagemaps, node) {
		if (map->used)
			continue;
		if (pagemap_pinned(map))
			again = true;
		else
			pagemap_free(map);
	}
	if (again) {
		pagemaps_delay = min_t(unsigned long, 2 * pagemaps_delay, HZ);
		schedule_delayed_work(&pagemaps_work, pagemaps_delay);
	}
	mutex_unlock(&pagemaps_lock);
}

/* The map of exactly this range that has been left behind. */
static struct ivshmem_pagemap *pagemap_adopt(phys_addr_t phys, size_t size)
{
	struct ivshmem_pagemap *map;

	list_for_each_entry(map, &pagemaps, node) {
		if (map->used || map->pgmap.range.start != phys ||
		    range_len(&map->pgmap.range) != size)
			continue;
		if (map->referenced)
			module_put(THIS_MODULE);
		map->referenced = false;
		map->used = true;
		return map;
	}
	return NULL;
}

static struct ivshmem_pagemap *pagemap_new(phys_addr_t phys, size_t size, int node)
{
	struct ivshmem_pagemap *map = kzalloc(sizeof(*map), GFP_KERNEL);
	unsigned long i;
	void *mem;

	if (!map)
		return ERR_PTR(-ENOMEM);
	map->pgmap.type = MEMORY_DEVICE_GENERIC;
	map->pgmap.range.start = phys;
	map->pgmap.range.end = phys + size - 1;
	map->pgmap.nr_range = 1;
	ivshmem_pagemap_set_order(&map->pgmap, pagemap_order());
	mem = memremap_pages(&map->pgmap, node);
	if (IS_ERR(mem)) {
		kfree(map);
		return ERR_CAST(mem);
	}
	for (i = 0; i < pagemap_pages(map); i++) {
		ivshmem_page_set_mapping(pagemap_page(map, i), pages_inode->i_mapping,
					 pagemap_pfn(map, i));
		if (!(i % 1024))
			cond_resched();
	}
	map->used = true;
	list_add(&map->node, &pagemaps);
	return map;
}

/* Is the range where the kernel's direct map can have it? */
static bool direct_map_reaches(phys_addr_t phys, u64 size)
{
#if defined(CONFIG_X86_64)
	u64 end = min_t(u64, VMALLOC_START - PAGE_OFFSET, BIT_ULL(MAX_PHYSMEM_BITS));
#ifdef CONFIG_RANDOMIZE_MEMORY
	/* It has room for the RAM and some TiB, so that there is more to choose from. */
	u64 ram = PFN_PHYS((u64)totalram_pages());

	end = min_t(u64, end, (DIV_ROUND_UP(ram, TIB) +
			       CONFIG_RANDOMIZE_MEMORY_PHYSICAL_PADDING) * TIB);
#endif
	return size <= end && phys <= end - size;
#elif defined(CONFIG_ARM64)
	u64 first = PAGE_OFFSET + (phys - PHYS_OFFSET);

	return first >= _PAGE_OFFSET(VA_BITS_MIN) && first < PAGE_END && size <= PAGE_END - first;
#else
	return false;
#endif
}

/* Does a part of the range have struct pages already? */
static bool pages_exist(phys_addr_t first, phys_addr_t end)
{
	for (; first < end; first += ALIGNMENT)
		if (pfn_valid(PHYS_PFN(first)))
			return true;
	return false;
}

/* Would the struct pages of the range be freed with those of other memory? */
static bool pages_shared(phys_addr_t phys, size_t size)
{
	phys_addr_t end = phys + size;
	unsigned long unit = ivshmem_pages_freed_together();

	return pages_exist(round_down(phys, unit), phys) || pages_exist(end, round_up(end, unit));
}

/* Bytes that all regions have which have struct pages. */
static u64 pages_total(void)
{
	struct ivshmem_pagemap *map;
	u64 total = 0;

	list_for_each_entry(map, &pagemaps, node)
		total += range_len(&map->pgmap.range);
	return total;
}

/* Why can a region have no struct pages, whatever the administrator wants? NULL: it can. */
static const char *pages_obstacle(phys_addr_t phys, size_t size, unsigned int cache)
{
	if (cache != IVSHMEM_CACHE_WB)
		return "its cache attribute is not wb";
	if (!IS_ALIGNED(phys | size, ALIGNMENT))
		return "its address or size is no multiple of 2 MiB";
	if (pgprot_val(pgprot_decrypted(PAGE_KERNEL)) != pgprot_val(PAGE_KERNEL))
		return "the memory of this machine is encrypted";
	if (!direct_map_reaches(phys, size))
		return "the kernel's direct map does not reach its address";
	return NULL;
}

/* Pages of memory that the struct pages of a region take. */
static unsigned long pages_need(size_t size)
{
	struct dev_pagemap pgmap = { };

	ivshmem_pagemap_set_order(&pgmap, pagemap_order());
	/* Two for each huge page: the first, and one for all others. */
	if (ivshmem_pagemap_is_small(&pgmap))
		return 2 * (size / ALIGNMENT);
	return PHYS_PFN((u64)(size >> PAGE_SHIFT) * sizeof(struct page));
}

static const char *pages_make(struct ivshmem_device *idev, phys_addr_t phys, size_t size,
			      bool automatic)
{
	struct ivshmem_pagemap *map = pagemap_adopt(phys, size);

	if (!map) {
		if (pages_exist(phys, phys + size))
			return "its address has some already";
		if (pages_shared(phys, size))
			return "this kernel would free them with those of memory beside it";
		if (automatic && pages_total() + size > PFN_PHYS((u64)totalram_pages()) / 4)
			return "it is too large: pages=auto uses a quarter of the RAM at most";
		/* The kernel warns with a backtrace if it runs out of memory on the way. */
		if ((long)pages_need(size) > si_mem_available() / 2)
			return "there is not enough free memory for them";
		map = pagemap_new(phys, size,
				  idev->parent ? dev_to_node(idev->parent) : NUMA_NO_NODE);
		if (IS_ERR(map))
			return "the kernel could not make them";
	}
	idev->memory.pagemap = map;
	idev->memory.mem = __va(phys);
	return NULL;
}

/**
 * ivshmem_pages_map() - make struct pages for a region, and map it by them
 * @idev: its @memory.cache is set; gets @memory.pagemap, @memory.huge and @memory.mem, or
 *	@memory.why_not
 * @phys: physical address, a multiple of the page size
 * @size: bytes, a multiple of the page size
 *
 * Return: false if the region must do without: then it is not mapped
 */
bool ivshmem_pages_map(struct ivshmem_device *idev, phys_addr_t phys, size_t size)
{
	int mode = pages_mode(idev);
	const char *why_not;

	if (mode != PAGES_AUTO && mode != PAGES_YES)
		return false;
	why_not = pages_obstacle(phys, size, idev->memory.cache);
	if (!why_not) {
		mutex_lock(&pagemaps_lock);
		why_not = pages_make(idev, phys, size, mode == PAGES_AUTO);
		mutex_unlock(&pagemaps_lock);
	}
	idev->memory.why_not = why_not;
	idev->memory.huge = !why_not && PageCompound(pfn_to_page(PHYS_PFN(phys)));
	return !why_not;
}

/**
 * ivshmem_pages_in_way() - are there struct pages that a region without any cannot do beside?
 * @phys: physical address
 * @size: bytes
 *
 * Those of an earlier device are there as long as one of them is pinned, but the kernel would take
 * their place in the direct map for its mapping of the region.
 *
 * Return: whether there are, which the log tells
 */
bool ivshmem_pages_in_way(phys_addr_t phys, size_t size)
{
	phys_addr_t at;

	if (!ivshmem_memremap_needs_pages())
		return false;
	for (at = round_down(phys, ALIGNMENT); at < phys + size; at += ALIGNMENT)
		if (pfn_valid(PHYS_PFN(at)) && is_zone_device_page(pfn_to_page(PHYS_PFN(at)))) {
			pr_err("pages at %pap are still pinned: try again when they are not\n",
			       &phys);
			return true;
		}
	return false;
}

/**
 * ivshmem_pages_unmap() - give a region's struct pages back
 * @memory: has @pagemap; no program maps it, nor will
 *
 * Pages that somebody has pinned stay, and with them all others, until they are unpinned.
 */
void ivshmem_pages_unmap(struct ivshmem_section *memory)
{
	struct ivshmem_pagemap *map = memory->pagemap;

	/* get_user_pages_fast() may just have read an entry that has been zapped since. */
	synchronize_rcu();
	mutex_lock(&pagemaps_lock);
	map->used = false;
	map->checked = 0;
	if (!pagemap_pinned(map)) {
		pagemap_free(map);
	} else {
		/* If the module is being unloaded, ivshmem_pages_exit() comes next. */
		map->referenced = try_module_get(THIS_MODULE);
		pagemaps_delay = 1;
		cancel_delayed_work(&pagemaps_work);
		schedule_delayed_work(&pagemaps_work, pagemaps_delay);
	}
	mutex_unlock(&pagemaps_lock);
}

/*
 * The module goes, and pages are pinned. They must stay until the machine is restarted, but
 * can do without the module.
 */
static void pagemap_abandon(struct ivshmem_pagemap *map)
{
	phys_addr_t start = map->pgmap.range.start;
	unsigned long i;

	for (i = 0; i < pagemap_pages(map); i++) {
		struct page *page = pagemap_page(map, i);

		lock_page(page);
		ivshmem_page_set_mapping(page, NULL, 0);
		unlock_page(page);
		cond_resched();
	}
	list_del(&map->node);
	pr_warn("pages at %pap are still pinned: they stay until this machine restarts\n", &start);
}

int ivshmem_pages_init(void)
{
	pages_inode = ivshmem_inode_new();
	return PTR_ERR_OR_ZERO(pages_inode);
}

/* All devices are gone, and with them all maps that have a reference to the module. */
void ivshmem_pages_exit(void)
{
	struct ivshmem_pagemap *map, *next;
	int i;

	for (i = 0; i < 10 && !list_empty(&pagemaps); i++) {
		cancel_delayed_work_sync(&pagemaps_work);
		pagemaps_reap(NULL);
		if (!list_empty(&pagemaps))
			msleep(100);
	}
	cancel_delayed_work_sync(&pagemaps_work);
	list_for_each_entry_safe(map, next, &pagemaps, node)
		pagemap_abandon(map);
	iput(pages_inode);
}
#else
bool ivshmem_pages_map(struct ivshmem_device *idev, phys_addr_t phys, size_t size)
{
	if (pages_mode(idev) != PAGES_NO)
		idev->memory.why_not = "this kernel has none for devices (CONFIG_ZONE_DEVICE)";
	return false;
}

bool ivshmem_pages_in_way(phys_addr_t phys, size_t size)
{
	return false;
}

void ivshmem_pages_unmap(struct ivshmem_section *memory) { }

int ivshmem_pages_init(void)
{
	return 0;
}

void ivshmem_pages_exit(void) { }
#endif
