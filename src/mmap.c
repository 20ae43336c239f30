// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of the region and of the register page
 *
 * mmap only notes what is wanted; the page tables are filled by the faults
 * that follow, in the largest pieces that address, range and kernel allow: 1
 * GiB, 2 MiB, or all the single pages around the fault that one page table
 * holds. When the device pauses or goes away the mappings are emptied
 * (ivshmem_device_gone()), and the next touch comes here again: it waits for
 * the end of the reset, or ends in SIGBUS.
 *
 * Mappings are shared and never executable. A private one would need a copy of
 * its own at the first write, and silently stop to be the shared memory it
 * was made for, so it is refused.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include "compat.h"
#include "ivshmem.h"
#include "trace.h"

static struct ivshmem_device *vma_device(struct vm_area_struct *vma)
{
	return vma->vm_private_data;
}

static unsigned long page_pfn(const struct ivshmem_device *idev,
			      unsigned long page)
{
	return idev->pages ? page_to_pfn(idev->pages[page]) :
			     PHYS_PFN(idev->phys) + page;
}

/* Which page of the region is behind @addr. */
static unsigned long region_page(struct vm_area_struct *vma, unsigned long addr)
{
	return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

/* The page frame behind @addr, for a mapping of the region. */
static unsigned long region_pfn(struct vm_area_struct *vma, unsigned long addr)
{
	return page_pfn(vma_device(vma), region_page(vma, addr));
}

/*
 * A fault that had to wait for the end of a reset is made anew: what size of page
 * goes there was decided before, and another fault or prctl(PR_SET_THP_DISABLE)
 * may have decided otherwise since.
 */
static vm_fault_t enter_fault(const struct vm_fault *vmf, int *idx)
{
	struct ivshmem_device *idev = vma_device(vmf->vma);
	int ret = ivshmem_try_enter(idev, idx);

	if (!ret)
		return 0;
	if (ret == -EAGAIN && !ivshmem_enter(idev, idx)) {
		ivshmem_exit(idev, *idx);
		return VM_FAULT_NOPAGE;
	}
	trace_ivshmem_fault_refused(idev->minor, vmf->address, 0, VM_FAULT_SIGBUS);
	return VM_FAULT_SIGBUS;
}

/* The range of @addr's page table that the mapping covers. */
static void table_range(struct vm_area_struct *vma, unsigned long addr,
			unsigned long *first, unsigned long *last)
{
	*first = max(addr & PMD_MASK, vma->vm_start);
	*last = min((addr & PMD_MASK) + PMD_SIZE - 1, vma->vm_end - 1);
}

#ifdef CONFIG_X86
/* What fill_around() tells fill_pte(). */
struct fill {
	struct vm_area_struct *vma;
	unsigned long pfn;	/* of the next page, where they follow each other */
	pgprot_t prot;
};

static int take_prot(pte_t *pte, unsigned long addr, void *data)
{
	struct fill *fill = data;

	if (!pte_present(ptep_get(pte)))
		return -ENOENT;
	fill->prot = pte_pgprot(ptep_get(pte));
	return 0;
}

static int fill_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct fill *fill = data;
	unsigned long pfn = fill->pfn++;

	if (vma_device(fill->vma)->pages)
		pfn = region_pfn(fill->vma, addr);
	if (pte_none(ptep_get(pte)))
		set_pte_at(fill->vma->vm_mm, addr, pte,
			   pte_mkspecial(pfn_pte(pfn, fill->prot)));
	return 0;
}

/*
 * Fill the page table that the page at @addr was just put into, as far as the
 * mapping reaches: one fault and one lock for 512 pages. The protection is
 * that of the first page, into which the kernel has put what it knows of the
 * memory's type; finding that out for each page takes longer than all else.
 */
static void fill_around(struct vm_area_struct *vma, unsigned long addr)
{
	struct fill fill = { .vma = vma };
	unsigned long first, last;

	table_range(vma, addr, &first, &last);
	fill.pfn = region_pfn(vma, first);
	if (!apply_to_page_range(vma->vm_mm, addr, PAGE_SIZE, take_prot, &fill))
		apply_to_page_range(vma->vm_mm, first, last + 1 - first,
				    fill_pte, &fill);
}
#else
/* Elsewhere the memory's type costs nothing, so one fault is all it takes. */
static void fill_around(struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long first, last;

	table_range(vma, addr, &first, &last);
	for (addr = first; addr < last; addr += PAGE_SIZE)
		if (vmf_insert_pfn(vma, addr, region_pfn(vma, addr)) !=
		    VM_FAULT_NOPAGE)
			break;
}
#endif

static vm_fault_t region_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ivshmem_device *idev = vma_device(vma);
	unsigned long addr = vmf->address & PAGE_MASK;
	vm_fault_t ret;
	int idx;

	ret = enter_fault(vmf, &idx);
	if (ret)
		return ret;
	ret = vmf_insert_pfn(vma, addr, region_pfn(vma, addr));
	if (ret == VM_FAULT_NOPAGE)
		fill_around(vma, addr);
	ivshmem_exit(idev, idx);
	trace_ivshmem_fault(idev->minor, addr, 0, ret);
	return ret;
}

#ifdef IVSHMEM_HUGE_FAULT
static vm_fault_t insert_huge(struct vm_fault *vmf, unsigned long pfn,
			      unsigned int order)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;

	WRITE_ONCE(vma_device(vmf->vma)->huge, true);
	if (order == PMD_SHIFT - PAGE_SHIFT)
		return vmf_insert_pfn_pmd(vmf, ivshmem_huge_pfn(pfn), write);
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	if (order == PUD_SHIFT - PAGE_SHIFT)
		return vmf_insert_pfn_pud(vmf, ivshmem_huge_pfn(pfn), write);
#endif
	return VM_FAULT_FALLBACK;
}

/* Can one entry of that order hold the pages from @page on? */
static bool is_huge(const struct ivshmem_device *idev, unsigned long page,
		    unsigned int order)
{
	unsigned long i, pfn = page_pfn(idev, page);

	if (!IS_ALIGNED(pfn, 1UL << order))
		return false;
	if (!idev->pages)
		return true;
	/* The kernel gives no larger pieces than these. */
	if (order > PMD_SHIFT - PAGE_SHIFT)
		return false;
	for (i = 1; i < 1UL << order; i++)
		if (page_pfn(idev, page + i) != pfn + i)
			return false;
	return true;
}

static vm_fault_t region_huge_fault(struct vm_fault *vmf, unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ivshmem_device *idev = vma_device(vma);
	unsigned long size = PAGE_SIZE << order;
	unsigned long addr = ALIGN_DOWN(vmf->address, size);
	vm_fault_t ret;
	int idx;

	if (addr < vma->vm_start || vma->vm_end - addr < size)
		return VM_FAULT_FALLBACK;

	ret = enter_fault(vmf, &idx);
	if (ret)
		return ret;
	if (is_huge(idev, region_page(vma, addr), order))
		ret = insert_huge(vmf, region_pfn(vma, addr), order);
	else
		ret = VM_FAULT_FALLBACK;
	ivshmem_exit(idev, idx);
	if (ret != VM_FAULT_FALLBACK)
		trace_ivshmem_fault(idev->minor, addr, order, ret);
	return ret;
}

/**
 * ivshmem_get_unmapped_area() - find an address where huge pages fit
 * @filp: the open device
 * @addr: the program's wish, kept if there is one
 * @len: bytes
 * @pgoff: offset in pages
 * @flags: MAP_*
 *
 * Return: an address that has the same offset in a huge page as the memory
 */
unsigned long ivshmem_get_unmapped_area(struct file *filp, unsigned long addr,
					unsigned long len, unsigned long pgoff,
					unsigned long flags)
{
	struct ivshmem_file *file = filp->private_data;
	phys_addr_t phys = file->idev->phys + ((phys_addr_t)pgoff << PAGE_SHIFT);
	unsigned long align, area;

	if (addr || flags & MAP_FIXED || len < PMD_SIZE || len > TASK_SIZE / 2)
		return ivshmem_find_area(filp, addr, len, pgoff, flags);

	align = len >= PUD_SIZE ? PUD_SIZE : PMD_SIZE;
	while (align >= PMD_SIZE) {
		area = ivshmem_find_area(filp, 0, len + align - PAGE_SIZE,
					 pgoff, flags);
		if (!IS_ERR_VALUE(area))
			return area + ((phys - area) & (align - 1));
		/* No room for that much: less alignment, then none. */
		align = align == PUD_SIZE ? PMD_SIZE : 0;
	}
	return ivshmem_find_area(filp, 0, len, pgoff, flags);
}
#endif /* IVSHMEM_HUGE_FAULT */

/* A debugger reads or writes a program's mapping. */
static int region_access(struct vm_area_struct *vma, unsigned long addr,
			 void *buf, int len, int write)
{
	struct ivshmem_device *idev = vma_device(vma);
	void *mem = idev->mem + PFN_PHYS(vma->vm_pgoff) + (addr - vma->vm_start);
	int idx;

	len = min_t(unsigned long, len, vma->vm_end - addr);
	if (write && !(vma->vm_flags & VM_WRITE))
		return -EACCES;
	if (ivshmem_enter(idev, &idx))
		return -EIO;
	if (write)
		memcpy_toio((void __iomem __force *)mem, buf, len);
	else
		memcpy_fromio(buf, (void __iomem __force *)mem, len);
	ivshmem_exit(idev, idx);
	return len;
}

/* There is nothing to undo; this is for whoever traces. */
static void mapping_close(struct vm_area_struct *vma)
{
	trace_ivshmem_unmap(vma_device(vma)->minor, vma);
}

static const struct vm_operations_struct region_vm_ops = {
	.close = mapping_close,
	.fault = region_fault,
#ifdef IVSHMEM_HUGE_FAULT
	.huge_fault = region_huge_fault,
#endif
	.access = region_access,
};

static vm_fault_t registers_fault(struct vm_fault *vmf)
{
	struct ivshmem_device *idev = vma_device(vmf->vma);
	vm_fault_t ret;
	int idx;

	ret = enter_fault(vmf, &idx);
	if (ret)
		return ret;
	ret = vmf_insert_pfn(vmf->vma, vmf->address & PAGE_MASK,
			     PHYS_PFN(idev->registers_phys));
	ivshmem_exit(idev, idx);
	return ret;
}

static const struct vm_operations_struct registers_vm_ops = {
	.close = mapping_close,
	.fault = registers_fault,
};

static int map_registers(struct ivshmem_file *file, struct vm_area_struct *vma)
{
	if (!file->idev->registers_phys || !(file->mode & FMODE_WRITE))
		return -EACCES;
	if (vma_pages(vma) != 1)
		return -EINVAL;
	vma->vm_ops = &registers_vm_ops;
	vma->vm_page_prot = pgprot_decrypted(pgprot_noncached(vma->vm_page_prot));
	return 0;
}

static int map_region(struct ivshmem_file *file, struct vm_area_struct *vma)
{
	struct ivshmem_device *idev = file->idev;
	unsigned long pages = idev->size >> PAGE_SHIFT;
	pgprot_t prot = vma->vm_page_prot;

	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	if (idev->cache == IVSHMEM_CACHE_WC)
		prot = pgprot_writecombine(prot);
	else if (idev->cache == IVSHMEM_CACHE_UC)
		prot = pgprot_noncached(prot);
	/* What is shared with the host is never encrypted (SEV, TDX). */
	if (!idev->pages)
		prot = pgprot_decrypted(prot);
	vma->vm_ops = &region_vm_ops;
	vma->vm_page_prot = prot;
#ifdef IVSHMEM_HUGE_FAULT
	/* Huge entries also where only who asks for them gets them. */
	vm_flags_set(vma, VM_HUGEPAGE);
#endif
	return 0;
}

int ivshmem_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct ivshmem_file *file = filp->private_data;
	struct ivshmem_device *idev = file->idev;
	int ret;

	if (READ_ONCE(idev->state) == IVSHMEM_GONE)
		return -ENODEV;
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;

	vma->vm_private_data = idev;
	if (vma->vm_pgoff == IVSHMEM_REGISTERS_OFFSET >> PAGE_SHIFT)
		ret = map_registers(file, vma);
	else
		ret = map_region(file, vma);
	if (ret)
		return ret;
	vm_flags_clear(vma, VM_MAYEXEC);
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	trace_ivshmem_map(idev->minor, vma);
	return 0;
}
