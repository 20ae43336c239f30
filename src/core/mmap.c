// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mappings of the region and of the register page
 *
 * mmap only records the request. The page tables are filled by the faults that
 * follow. Before a reset and at removal the mappings are zapped, and the next access
 * faults again: it waits for the end of the reset, or ends in SIGBUS.
 *
 * Memory of a bus or window is entered here, as page frames: one fault enters all
 * pages of the mapping that its page table can hold, never as huge entries. Kernels
 * that accept these for memory without struct page still crash when such an entry is
 * split, moved or inspected (docs/mapping.md).
 *
 * Kernel-allocated memory is pages of shmem, which the fault gives to the kernel to
 * enter as those of any file, huge ones included. So all works on it that works on a
 * shared mapping of a file. The same goes for memory at an address if it has huge struct
 * pages (pages.c), and the mapping room for a huge entry.
 *
 * In other mappings of memory with struct pages the driver enters these, as single pages
 * that the kernel counts as those of a file, and one fault enters as many as without. The
 * two ways never mix in one mapping: what mmap has chosen stays.
 *
 * The vm_pgoff of a mapping counts from the start of the device's memory, also if it is that
 * of a partition: the kernel enters a huge page only where its pages and those of the
 * mapping lie alike, and never beyond the mapping, so never beyond the partition.
 *
 * Mappings are shared and never executable. A private mapping would get a copy
 * of a page at the first write and silently stop being shared memory, so it is
 * refused.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/pagemap.h>
#include <linux/personality.h>
#include <linux/sched/mm.h>
#include <linux/sysfs.h>
#include "compat.h"
#include "core.h"
#include "trace.h"

static struct ivshmem_chardev *vma_chardev(struct vm_area_struct *vma)
{
	return vma->vm_private_data;
}

static struct ivshmem_device *vma_device(struct vm_area_struct *vma)
{
	return vma_chardev(vma)->idev;
}

static unsigned long first_page(const struct ivshmem_node *node)
{
	return node->part.offset >> PAGE_SHIFT;
}

/* The number of the device's page at @addr in a mapping. */
static unsigned long region_page(struct vm_area_struct *vma, unsigned long addr)
{
	const struct ivshmem_node *node = vma_chardev(vma)->node;
	unsigned long page = vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);

	/* The kernel has compared the address of a fault with the mapping's end. */
	return first_page(node) + array_index_nospec(page - first_page(node),
						     node->part.size >> PAGE_SHIFT);
}

static unsigned long region_pfn(struct vm_area_struct *vma, unsigned long addr)
{
	return PHYS_PFN(vma_device(vma)->memory.phys) + region_page(vma, addr);
}

/*
 * Leave an entry as it is. If that is a marker of userfaultfd, as some kernels from 6.7 on allow,
 * no page can be entered there, and the access would fault again for ever.
 */
static int leave_pte(pte_t *pte, unsigned long addr, void *data)
{
	pte_t entry = ptep_get(pte);

	return pte_none(entry) || pte_present(entry) ? 0 : -EBUSY;
}

/*
 * Wait for the end of a reset, without the lock that protects the mapping: other
 * processes must be able to read this one's /proc/PID/maps. The reference to the file
 * keeps the device and the module. After VM_FAULT_RETRY the kernel faults again.
 */
static vm_fault_t fault_wait(struct vm_fault *vmf)
{
	struct ivshmem_chardev *chardev = vma_chardev(vmf->vma);
	struct file *filp;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	filp = get_file(vmf->vma->vm_file);
	ivshmem_release_fault_lock(vmf);
	/* The kernel checks for the fatal signal that may end this. */
	wait_event_killable(chardev->idev->changed, !ivshmem_chardev_resetting(chardev));
	fput(filp);
	return VM_FAULT_RETRY;
}

/*
 * The same where the lock must be kept: wait a moment only. The kernel then finds no page and
 * tries again. For the word of a futex it drops the lock in between. Who pins pages with the lock
 * held, as to register memory for AF_XDP, keeps it to the end of the reset, or of the program.
 * Returns false if the task is to die.
 */
static bool fault_wait_locked(struct ivshmem_chardev *chardev)
{
	return wait_event_killable_timeout(chardev->idev->changed,
					   !ivshmem_chardev_resetting(chardev),
					   msecs_to_jiffies(IVSHMEM_LOCKED_WAIT_MS)) >= 0;
}

/* Begin a fault inside the device. Returns 0, or the result of the fault. */
static vm_fault_t fault_begin(struct vm_fault *vmf, int *idx)
{
	struct ivshmem_chardev *chardev = vma_chardev(vmf->vma);
	int ret = ivshmem_chardev_try(chardev, idx);

	if (!ret && !ivshmem_buffer_revoked(vmf->vma))
		return 0;
	if (!ret)
		ivshmem_access_end(chardev->idev, *idx);
	if (ret == -EAGAIN && vmf->flags & FAULT_FLAG_ALLOW_RETRY)
		return fault_wait(vmf);
	if (ret == -EAGAIN && !(vmf->flags & FAULT_FLAG_REMOTE) && fault_wait_locked(chardev))
		return VM_FAULT_NOPAGE;
	trace_ivshmem_fault_refused(chardev->idev->number, vmf->address, VM_FAULT_SIGBUS);
	return VM_FAULT_SIGBUS;
}

/*
 * The same, if the driver enters the page itself. The page table is allocated first: the
 * allocation may wait for a memory cgroup to shrink, and removal waits for all tasks
 * inside the device.
 */
static vm_fault_t fault_begin_pfn(struct vm_fault *vmf, int *idx)
{
	int ret = apply_to_page_range(vmf->vma->vm_mm, vmf->address & PAGE_MASK, PAGE_SIZE,
				      leave_pte, NULL);

	if (ret)
		return ret == -EBUSY ? VM_FAULT_SIGBUS : VM_FAULT_OOM;
	return fault_begin(vmf, idx);
}

/* The part of the mapping that shares a page table with @addr. */
static void table_range(struct vm_area_struct *vma, unsigned long addr,
			unsigned long *first, unsigned long *last)
{
	*first = max(addr & PMD_MASK, vma->vm_start);
	*last = min((addr & PMD_MASK) + PMD_SIZE - 1, vma->vm_end - 1);
}

#ifdef CONFIG_X86
/* Arguments of fill_table(). */
struct fill {
	struct vm_area_struct *vma;
	unsigned long first;	/* address of the first entry */
	unsigned long last;	/* the last byte of the last one */
};

/*
 * @entered is an entry at @addr. Copy its protection, which contains the type of the memory:
 * a lookup of the type for each page would take longer than everything else. The entries of a
 * table lie side by side: to be called for each would take longer than to write it.
 */
static int fill_table(pte_t *entered, unsigned long addr, void *data)
{
	const struct fill *fill = data;
	pte_t *pte = entered - ((addr - fill->first) >> PAGE_SHIFT);
	unsigned long pfn = region_pfn(fill->vma, fill->first);
	pgprot_t prot;

	if (!pte_present(ptep_get(entered)))
		return -ENOENT;
	prot = pte_pgprot(ptep_get(entered));
	for (addr = fill->first; addr < fill->last; addr += PAGE_SIZE, pte++, pfn++)
		if (pte_none(ptep_get(pte)))
			set_pte_at(fill->vma->vm_mm, addr, pte,
				   pte_mkspecial(pfn_pte(pfn, prot)));
	return 0;
}

/*
 * Fill the page table into which the page at @addr was just entered, as far as the
 * mapping reaches: one fault and one lock for 512 pages.
 */
static void fill_around(struct vm_area_struct *vma, unsigned long addr)
{
	struct fill fill = { .vma = vma };

	table_range(vma, addr, &fill.first, &fill.last);
	apply_to_page_range(vma->vm_mm, addr, PAGE_SIZE, fill_table, &fill);
}
#else
/* Elsewhere the type of the memory needs no lookup. */
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

static vm_fault_t enter_pfns(struct vm_area_struct *vma, unsigned long addr)
{
	vm_fault_t ret = vmf_insert_pfn(vma, addr, region_pfn(vma, addr));

	if (ret == VM_FAULT_NOPAGE)
		fill_around(vma, addr);
	return ret;
}

/*
 * Enter some pages from @addr on, as far as none is there: that gives -EBUSY. They are all of one
 * huge page, if that has to be locked. Gives their number to @n.
 */
static int insert_some(struct vm_area_struct *vma, unsigned long addr, unsigned long end,
		       unsigned long *n)
{
	struct page *batch[32], *first = pfn_to_page(region_pfn(vma, addr)), *locked = NULL;
	unsigned long i, left;
	int ret;

	*n = min_t(unsigned long, ARRAY_SIZE(batch), (end - addr) >> PAGE_SHIFT);
	if (ivshmem_insert_wants_lock() && vma_device(vma)->memory.huge) {
		locked = compound_head(first);
		*n = min(*n, page_to_pfn(locked) + compound_nr(locked) - page_to_pfn(first));
		lock_page(locked);
	}
	for (i = 0; i < *n; i++)
		batch[i] = pfn_to_page(region_pfn(vma, addr + (i << PAGE_SHIFT)));
	left = *n;
	ret = vm_insert_pages(vma, addr, batch, &left);
	if (locked)
		unlock_page(locked);
	return ret;
}

static int insert_pages(struct vm_area_struct *vma, unsigned long addr, unsigned long end)
{
	unsigned long n;
	int ret = 0;

	for (; addr < end && !ret; addr += n << PAGE_SHIFT)
		ret = insert_some(vma, addr, end, &n);
	return ret;
}

/*
 * The same as enter_pfns(), if the memory has struct pages.
 *
 * Since 6.14, MADV_DONTNEED by another thread may free the page table that is allocated
 * already. Then the kernel allocates it again here, which must not wait for anything.
 */
static vm_fault_t enter_pages(struct vm_area_struct *vma, unsigned long addr)
{
	unsigned int flags = memalloc_noreclaim_save();
	unsigned long first, last;
	int ret;

	table_range(vma, addr, &first, &last);
	ret = insert_pages(vma, addr, last + 1);
	insert_pages(vma, first, addr);
	memalloc_noreclaim_restore(flags);
	/* Another fault may have entered this page, or one behind it. */
	return !ret || ret == -EBUSY ? VM_FAULT_NOPAGE : vmf_error(ret);
}

static vm_fault_t region_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ivshmem_device *idev = vma_device(vma);
	unsigned long addr = vmf->address & PAGE_MASK;
	vm_fault_t ret;
	int idx;

	ret = fault_begin_pfn(vmf, &idx);
	if (ret)
		return ret;
	ret = idev->memory.pagemap ? enter_pages(vma, addr) : enter_pfns(vma, addr);
	ivshmem_access_end(idev, idx);
	trace_ivshmem_fault(idev->number, addr, ret);
	return ret;
}

/*
 * A debugger reads or writes a program's mapping. The kernel holds the program's
 * mmap_lock meanwhile, so a reset is not waited for.
 */
static int region_access(struct vm_area_struct *vma, unsigned long addr,
			 void *buf, int len, int write)
{
	const struct ivshmem_node *node = vma_chardev(vma)->node;
	loff_t pos = PFN_PHYS(vma->vm_pgoff) + (addr - vma->vm_start) - node->part.offset;
	int idx, ret = -EIO;

	len = min_t(unsigned long, len, vma->vm_end - addr);
	if (write && !(vma->vm_flags & VM_WRITE))
		return -EACCES;
	if (ivshmem_chardev_try(vma_chardev(vma), &idx))
		return -EIO;
	if (!ivshmem_buffer_revoked(vma))
		ret = ivshmem_node_copy(node, pos, buf, len, write);
	ivshmem_access_end(node->idev, idx);
	return ret ? ret : len;
}

/* Nothing to undo; only a tracepoint. */
static void mapping_close(struct vm_area_struct *vma)
{
	trace_ivshmem_unmap(vma_device(vma)->number, vma);
}

static const struct vm_operations_struct region_vm_ops = {
	.close = mapping_close,
	.fault = region_fault,
	.access = region_access,
};

/*
 * The kernel enters the page, or the huge page that it is in, after this has left the
 * device, and then unlocks it. wait_for_entries() waits for that lock.
 */
static vm_fault_t pages_fault(struct vm_fault *vmf)
{
	struct ivshmem_device *idev = vma_device(vmf->vma);
	unsigned long addr = vmf->address & PAGE_MASK;
	struct page *page;
	vm_fault_t ret;
	int idx;

	ret = fault_begin(vmf, &idx);
	if (ret)
		return ret;
	page = ivshmem_section_page(&idev->memory, region_page(vmf->vma, addr));
	get_page(page);
	lock_page(page);
	ivshmem_access_end(idev, idx);
	vmf->page = page;
	trace_ivshmem_fault(idev->number, addr, VM_FAULT_LOCKED);
	return VM_FAULT_LOCKED;
}

/* No access: the kernel reads and writes pages by itself, for debuggers, too. */
static const struct vm_operations_struct pages_vm_ops = {
	.close = mapping_close,
	.fault = pages_fault,
};

/*
 * All tasks have left the device, and no other fault comes in. Wait until the kernel has
 * entered those pages that faults gave to it. Nobody holds the lock of a page for long.
 */
static void wait_for_entries(const struct ivshmem_node *node)
{
	const struct ivshmem_section *memory = &node->idev->memory;
	unsigned long i, nr = node->part.size >> PAGE_SHIFT;
	struct page *page, *head;

	if (!memory->pages && !memory->huge)
		return;
	/*
	 * Huge pages have one lock, and stay in one piece as long as the device has them. The
	 * node may begin inside one.
	 */
	for (i = 0; i < nr; i += page_to_pfn(head) + compound_nr(head) - page_to_pfn(page)) {
		page = ivshmem_section_page(memory, first_page(node) + i);
		head = compound_head(page);
		lock_page(head);
		unlock_page(head);
		cond_resched();
	}
}

/**
 * ivshmem_zap() - zap all mappings of a node, and revoke its dma-bufs
 * @node: its device is not LIVE, or its character device is unbound; no task that saw
 *	another state is inside the device
 *
 * Return: nothing is mapped then, nor will be before the state changes
 */
void ivshmem_zap(struct ivshmem_node *node)
{
	wait_for_entries(node);
	ivshmem_zap_shutdown(node);
}

/**
 * ivshmem_zap_shutdown() - the same when the machine shuts down
 * @node: may be removed by another task meanwhile, so its pages are not looked at. They stay; a
 *	fault that had begun may enter one later
 */
void ivshmem_zap_shutdown(struct ivshmem_node *node)
{
	ivshmem_buffers_revoke(node);
	unmap_mapping_range(node->inode->i_mapping, 0, 0, 1);
}

static vm_fault_t registers_fault(struct vm_fault *vmf)
{
	struct ivshmem_device *idev = vma_device(vmf->vma);
	vm_fault_t ret;
	int idx;

	ret = fault_begin_pfn(vmf, &idx);
	if (ret)
		return ret;
	ret = vmf_insert_pfn(vmf->vma, vmf->address & PAGE_MASK,
			     PHYS_PFN(idev->registers.phys));
	ivshmem_access_end(idev, idx);
	return ret;
}

static const struct vm_operations_struct registers_vm_ops = {
	.close = mapping_close,
	.fault = registers_fault,
};

static int map_registers(struct ivshmem_file *file, struct vm_area_struct *vma)
{
	if (!ivshmem_node_registers(file->node) || !(file->mode & FMODE_WRITE))
		return -EACCES;
	if (vma_pages(vma) != 1)
		return -EINVAL;
	vma->vm_ops = &registers_vm_ops;
	vm_flags_set(vma, VM_IO | VM_PFNMAP);
	vma->vm_page_prot = pgprot_decrypted(pgprot_noncached(vma->vm_page_prot));
	return 0;
}

/* Is there room for a huge entry in the mapping? */
static bool fits_huge(const struct vm_area_struct *vma)
{
	unsigned long first = ALIGN(vma->vm_start, PMD_SIZE);

	return IS_ALIGNED(vma->vm_start - (vma->vm_pgoff << PAGE_SHIFT), PMD_SIZE) &&
	       first < vma->vm_end && vma->vm_end - first >= PMD_SIZE;
}

static int map_region(struct ivshmem_node *node, struct vm_area_struct *vma)
{
	unsigned long pages = node->part.size >> PAGE_SHIFT;
	struct ivshmem_device *idev = node->idev;
	pgprot_t prot = vma->vm_page_prot;

	if (vma->vm_pgoff > pages || vma_pages(vma) > pages - vma->vm_pgoff)
		return -EINVAL;
	vma->vm_pgoff += first_page(node);
	if (idev->memory.pages || (idev->memory.huge && fits_huge(vma))) {
		vma->vm_ops = &pages_vm_ops;
		return 0;
	}
	vma->vm_ops = &region_vm_ops;
	if (idev->memory.pagemap) {
		/* vm_insert_pages() would set it, for which it wants another lock. */
		vm_flags_set(vma, VM_MIXEDMAP);
		return 0;
	}
	if (idev->memory.cache == IVSHMEM_CACHE_WC)
		prot = pgprot_writecombine(prot);
	else if (idev->memory.cache == IVSHMEM_CACHE_UC)
		prot = pgprot_noncached(prot);
	vm_flags_set(vma, VM_IO | VM_PFNMAP);
	/* What is shared with the host is never encrypted (SEV, TDX). */
	vma->vm_page_prot = pgprot_decrypted(prot);
	return 0;
}

/*
 * For programs of old the kernel makes all executable that can be read (setarch -X). They do not
 * mean it.
 */
static bool is_implied(const struct vm_area_struct *vma)
{
	return current->personality & READ_IMPLIES_EXEC && vma->vm_flags & VM_READ;
}

/* @file is that of the node, or NULL: then there is only the region to map. */
static int map_vma(struct ivshmem_chardev *chardev, struct ivshmem_file *file,
		   struct vm_area_struct *vma)
{
	int ret;

	if (ivshmem_chardev_gone(chardev))
		return -ENODEV;
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (is_implied(vma)) {
		vm_flags_clear(vma, VM_EXEC);
		vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	}
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;

	vma->vm_private_data = chardev;
	if (file && vma->vm_pgoff == IVSHMEM_REGISTERS_OFFSET >> PAGE_SHIFT)
		ret = map_registers(file, vma);
	else
		ret = map_region(chardev->node, vma);
	if (ret)
		return ret;
	vm_flags_clear(vma, VM_MAYEXEC);
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	trace_ivshmem_map(chardev->idev->number, vma);
	return 0;
}

int ivshmem_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct ivshmem_file *file = filp->private_data;

	return map_vma(file->chardev, file, vma);
}

/* Where to map: huge pages want the address and the device's page to lie alike. */
unsigned long ivshmem_mmap_place(struct file *filp, unsigned long addr, unsigned long len,
				 unsigned long pgoff, unsigned long flags)
{
	struct ivshmem_file *file = filp->private_data;

	return ivshmem_get_unmapped_area(filp, addr, len, pgoff + first_page(file->node), flags);
}

static int mapping_release(struct inode *inode, struct file *filp)
{
	struct ivshmem_chardev *chardev = filp->private_data;
	struct module *owner = chardev->cdev.owner;

	put_device(&chardev->dev);
	module_put(owner);
	return 0;
}

/**
 * ivshmem_mmap_file() - map the region, and have the mapping refer to another file
 * @chardev: the character device
 * @filp: nothing but mappings refers to it. It has a reference to @chardev, and is put
 * @vma: the mapping; its vm_pgoff counts from the node's start
 *
 * So the mapping is zapped with those of the node.
 *
 * Return: 0 or a negative errno
 */
int ivshmem_mmap_file(struct ivshmem_chardev *chardev, struct file *filp,
		      struct vm_area_struct *vma)
{
	int ret;

	filp->f_mapping = chardev->node->inode->i_mapping;
	ret = map_vma(chardev, NULL, vma);
	if (!ret)
		vma_set_file(vma, filp);
	fput(filp);
	return ret;
}

/* A file that nothing but mappings refers to. */
static const struct file_operations mapping_fops = {
	.owner = THIS_MODULE,
	.release = mapping_release,
	.fsync = noop_fsync,	/* for msync, as that of the node */
};

/**
 * ivshmem_mmap_region() - map the region through a file of sysfs
 * @chardev: the character device
 * @vma: the mapping; it gets another file
 *
 * kernfs would put its own operations around region_vm_ops. They allow no close, keep
 * the mapping in an inode that a reset does not know, and touch their file after a fault
 * that dropped mmap_lock, when it may be closed. So the mapping gets a file as if it came
 * through the node: it keeps the device and its modules, and is zapped with the others.
 *
 * The file is charged to the caller's memory cgroup, which may make it wait. So that
 * unplug does not wait for that, it may remove the attribute meanwhile.
 *
 * Return: 0 or a negative errno
 */
int ivshmem_mmap_region(struct ivshmem_chardev *chardev, struct vm_area_struct *vma)
{
	struct kernfs_node *kn;
	struct file *filp;

	if (!try_module_get(chardev->cdev.owner))
		return -ENODEV;
	get_device(&chardev->dev);
	kn = sysfs_break_active_protection(&chardev->dev.kobj, &chardev->region_attr.attr);
	filp = anon_inode_getfile(dev_name(&chardev->dev), &mapping_fops, chardev, O_RDWR);
	if (kn)
		sysfs_unbreak_active_protection(kn);
	if (IS_ERR(filp)) {
		struct module *owner = chardev->cdev.owner;

		put_device(&chardev->dev);
		module_put(owner);
		return PTR_ERR(filp);
	}
	return ivshmem_mmap_file(chardev, filp, vma);
}
