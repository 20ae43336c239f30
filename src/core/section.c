// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a device: the kernel's mapping of it
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/vmalloc.h>
#include "core.h"
#include "trace.h"

static void *map_without_pages(phys_addr_t phys, size_t size, unsigned int cache)
{
	switch (cache) {
	case IVSHMEM_CACHE_WB:
		/* The host shares it, so it is never encrypted (SEV, TDX). */
		return memremap(phys, size, MEMREMAP_WB | MEMREMAP_DEC);
	case IVSHMEM_CACHE_WC:
		return (void __force *)ioremap_wc(phys, size);
	default:
		return (void __force *)ioremap(phys, size);
	}
}

/**
 * ivshmem_device_map() - map a region at a physical address
 * @idev: not registered yet
 * @phys: physical address, a multiple of the page size
 * @size: bytes, a multiple of the page size
 *
 * The kernel's mapping gets the same cache attribute as those of programs. If the region
 * can have struct pages, it is the direct map.
 *
 * Return: 0; -EINVAL if the region is empty, too large or not made of whole pages;
 * -EBUSY if an earlier device's struct pages are in the way; -ENOMEM
 */
int ivshmem_device_map(struct ivshmem_device *idev, phys_addr_t phys,
		       resource_size_t size)
{
	if (!size || !PAGE_ALIGNED(phys) || !PAGE_ALIGNED(size) ||
	    size > IVSHMEM_REGISTERS_OFFSET || size > SIZE_MAX)
		return -EINVAL;

	idev->memory.cache = ivshmem_cache;
	if (!ivshmem_pages_map(idev, phys, size)) {
		if (ivshmem_pages_in_way(phys, size))
			return -EBUSY;
		idev->memory.mem = map_without_pages(phys, size, idev->memory.cache);
	}
	if (!idev->memory.mem)
		return -ENOMEM;
	idev->memory.phys = phys;
	idev->memory.size = size;
	trace_ivshmem_region_map(idev);
	return 0;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_map);

/**
 * ivshmem_device_map_pages() - map a region of kernel-allocated memory
 * @idev: not registered yet
 * @pages: zeroed pages of shmem, whose mapping makes shared futexes work. The caller owns
 *	them and the array, and frees them after ivshmem_device_unmap()
 * @nr: number of pages
 *
 * The kernel's direct map has the pages as write-back already. Another cache
 * attribute would conflict with it, so this ignores the parameter cache=.
 *
 * Return: 0; -EINVAL if @nr is 0 or too large; -ENOMEM
 */
int ivshmem_device_map_pages(struct ivshmem_device *idev, struct page **pages,
			     unsigned long nr)
{
	if (!nr || nr > IVSHMEM_REGISTERS_OFFSET >> PAGE_SHIFT || nr > UINT_MAX)
		return -EINVAL;
	idev->memory.mem = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	if (!idev->memory.mem)
		return -ENOMEM;
	idev->memory.cache = IVSHMEM_CACHE_WB;
	idev->memory.pages = pages;
	idev->memory.size = (size_t)nr << PAGE_SHIFT;
	trace_ivshmem_region_map(idev);
	return 0;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_map_pages);

/**
 * ivshmem_device_unmap() - remove the kernel's mapping of the region
 * @idev: never registered, or unregistered
 */
void ivshmem_device_unmap(struct ivshmem_device *idev)
{
	if (!idev->memory.mem)
		return;
	trace_ivshmem_region_unmap(idev->number);
	if (idev->memory.pages)
		vunmap(idev->memory.mem);
	else if (idev->memory.pagemap)
		ivshmem_pages_unmap(&idev->memory);
	else if (idev->memory.cache == IVSHMEM_CACHE_WB)
		memunmap(idev->memory.mem);
	else
		iounmap((void __iomem __force *)idev->memory.mem);
	idev->memory.mem = NULL;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_unmap);

/* Has the kernel found a page of shmem broken? To access it might stop the machine. */
static bool region_broken(const struct ivshmem_device *idev, loff_t pos, size_t n)
{
	const struct ivshmem_section *memory = &idev->memory;
	unsigned long i;

	for (i = PHYS_PFN(pos); memory->pages && i < PFN_UP(pos + n); i++)
		if (PageHWPoison(memory->pages[i]))
			return true;
	return false;
}

/**
 * ivshmem_node_broken() - does a range have a page that the kernel has found broken?
 * @node: the node; the caller is inside the device
 * @pos: offset in the node
 * @n: bytes; the node has all of them
 *
 * Return: true for pages of shmem with a hardware error
 */
bool ivshmem_node_broken(const struct ivshmem_node *node, loff_t pos, size_t n)
{
	return region_broken(node->idev, node->part.offset + pos, n);
}

/**
 * ivshmem_region_copy() - copy between the region and a buffer
 * @idev: the device; the caller is between ivshmem_access_try() and
 *	ivshmem_access_end()
 * @pos: offset in the region
 * @buffer: memory of the kernel
 * @n: bytes; the region has all of them
 * @write: copy to the region, else from it
 *
 * Memory that is not write-back needs the accessors for device memory: arm64 faults on
 * unaligned access to it.
 *
 * Return: 0, or -EIO if memory is broken
 */
int ivshmem_region_copy(struct ivshmem_device *idev, loff_t pos, void *buffer, size_t n,
			bool write)
{
	void *mem = idev->memory.mem + pos;
	void __iomem *io = (void __iomem __force *)mem;

	if (region_broken(idev, pos, n))
		return -EIO;
	if (idev->memory.cache == IVSHMEM_CACHE_WB)
		memcpy(write ? mem : buffer, write ? buffer : mem, n);
	else if (write)
		memcpy_toio(io, buffer, n);
	else
		memcpy_fromio(buffer, io, n);
	return 0;
}

/**
 * ivshmem_node_copy() - copy between the memory of a node and a buffer
 * @node: the node; the caller is in its device as above
 * @pos: offset in the node, which the caller has compared with the size. The processor may
 *	have guessed how that ends
 * @buffer: memory of the kernel
 * @n: bytes; the node has all of them
 * @write: copy to the node, else from it
 *
 * Return: as above
 */
int ivshmem_node_copy(const struct ivshmem_node *node, loff_t pos, void *buffer, size_t n,
		      bool write)
{
	pos = array_index_nospec((size_t)pos, node->part.size);
	return ivshmem_region_copy(node->idev, node->part.offset + pos, buffer, n, write);
}
