/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels this driver builds for: all of it, and
 * nothing anywhere else. A HAVE_ name comes from a probe of the headers in
 * Kbuild; the release named is where mainline changed, and says when an entry
 * may go (once no older kernel is supported).
 */
#ifndef IVSHMEM_COMPAT_H
#define IVSHMEM_COMPAT_H

#include <linux/dma-buf.h>
#include <linux/eventfd.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/sysfs.h>
#include <linux/version.h>

/* 6.13: a namespace of symbols is a string. */
#ifdef HAVE_NAMESPACE_TOKEN
#define EXPORT_SYMBOL_IVSHMEM(symbol)	EXPORT_SYMBOL_NS_GPL(symbol, IVSHMEM)
#else
#define EXPORT_SYMBOL_IVSHMEM(symbol)	EXPORT_SYMBOL_NS_GPL(symbol, "IVSHMEM")
#endif

/* 5.11: a mapping gets another file by this function. */
#ifndef HAVE_VMA_SET_FILE
static inline void vma_set_file(struct vm_area_struct *vma, struct file *file)
{
	get_file(file);
	swap(vma->vm_file, file);
	fput(file);
}
#endif

/* 5.13, and stable 5.10: a flag instead of a setting of the interrupt. */
static inline int ivshmem_request_disabled_irq(unsigned int irq, irq_handler_t handler,
					       const char *name, void *data)
{
#ifdef IRQF_NO_AUTOEN
	return request_irq(irq, handler, IRQF_NO_AUTOEN, name, data);
#else
	irq_set_status_flags(irq, IRQ_NOAUTOEN);
	return request_irq(irq, handler, 0, name, data);
#endif
}

/* 6.13, 6.16: the callbacks of a binary attribute take it as constant. */
#ifdef HAVE_CONST_BIN_MMAP
#define BIN_MMAP_CONST	const
#else
#define BIN_MMAP_CONST
#endif
#ifdef HAVE_CONST_BIN_READ
#define BIN_READ_CONST	const
#else
#define BIN_READ_CONST
#endif

/* 6.7: a binary attribute has a llseek. That of sysfs goes no further than 2 GiB. */
#ifdef HAVE_BIN_LLSEEK
static inline loff_t ivshmem_bin_llseek(struct file *filp, struct kobject *kobj,
					BIN_MMAP_CONST struct bin_attribute *attr,
					loff_t offset, int whence)
{
	return generic_file_llseek_size(filp, offset, whence, attr->size, attr->size);
}

static inline void ivshmem_bin_set_llseek(struct bin_attribute *attr)
{
	attr->llseek = ivshmem_bin_llseek;
}
#else
static inline void ivshmem_bin_set_llseek(struct bin_attribute *attr)
{
}
#endif

/* 6.3: the flags of a mapping are changed through functions only. */
#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* 6.8: eventfd_signal() always adds one. */
static inline void ivshmem_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef HAVE_EVENTFD_SIGNAL_ONE
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

/* 6.3, 6.11: callbacks of a bus take what they do not change as constant. */
#ifdef HAVE_CONST_UEVENT
#define BUS_UEVENT_CONST	const
#else
#define BUS_UEVENT_CONST
#endif
#ifdef HAVE_CONST_MATCH
#define BUS_MATCH_CONST	const
#else
#define BUS_MATCH_CONST
#endif

/* 6.5: a copy into the pipe is one of two kinds of splice_read. */
#ifdef HAVE_COPY_SPLICE_READ
#define ivshmem_splice_read	copy_splice_read
#else
#define ivshmem_splice_read	generic_file_splice_read
#endif

/* 6.6: a fault may hold the lock of its mapping alone instead of mmap_lock. */
static inline void ivshmem_release_fault_lock(struct vm_fault *vmf)
{
#ifdef HAVE_RELEASE_FAULT_LOCK
	release_fault_lock(vmf);
#else
	mmap_read_unlock(vmf->vma->vm_mm);
#endif
}

/* 6.13: a timer is initialized together with its function. */
#ifndef HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *timer),
				 clockid_t clock_id, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock_id, mode);
	timer->function = function;
}
#endif

/*
 * 7.0: flags of a mapping are a type of their own. The flag has memory accounted page by
 * page, so that what is truncated no longer counts.
 */
static inline struct file *ivshmem_shmem_file(struct vfsmount *mount, const char *name,
					      loff_t size)
{
#ifdef HAVE_SHMEM_VMA_FLAGS
	return shmem_file_setup_with_mnt(mount, name, size,
					 mk_vma_flags(VMA_NORESERVE_BIT));
#else
	return shmem_file_setup_with_mnt(mount, name, size, VM_NORESERVE);
#endif
}

/* 6.16: a page has its index by its folio only. */
static inline void ivshmem_page_set_mapping(struct page *page, struct address_space *mapping,
					    pgoff_t index)
{
	page->mapping = mapping;
#ifdef HAVE_FOLIO_INDEX
	page->__folio_index = index;
#else
	page->index = index;
#endif
}

/* 5.17: the pages of a page map may be huge. */
#ifdef HAVE_VMEMMAP_SHIFT
static inline void ivshmem_pagemap_set_order(struct dev_pagemap *pgmap, unsigned int order)
{
	pgmap->vmemmap_shift = order;
}
#else
static inline void ivshmem_pagemap_set_order(struct dev_pagemap *pgmap, unsigned int order)
{
}

static inline unsigned long pgmap_vmemmap_nr(const struct dev_pagemap *pgmap)
{
	return 1;
}
#endif

/*
 * 6.6, and stable 6.1: a macro tells whether the kernel keeps one copy of the struct pages of a
 * huge page that are the same. Elsewhere than on x86 modules may be unable to call what it does.
 */
static inline bool ivshmem_pagemap_is_small(struct dev_pagemap *pgmap)
{
#if defined(HAVE_VMEMMAP_CAN_OPTIMIZE) && defined(CONFIG_X86_64)
	return vmemmap_can_optimize(NULL, pgmap);
#else
	return false;
#endif
}

/*
 * The kernel frees struct pages together with all others that are in the same page of its
 * vmemmap. Bytes of memory, a power of two, whose struct pages are freed together; no less than
 * what struct pages can be made for.
 *
 * 6.14, and stable 6.12.20: arm64 with pages of 4 KiB makes a huge page of vmemmap only for a whole
 * section, and not for whatever lies in it. No header tells.
 */
#ifdef CONFIG_ZONE_DEVICE
static inline unsigned long ivshmem_pages_freed_together(void)
{
	unsigned long least = 1UL << SUBSECTION_SHIFT;
#ifdef CONFIG_ARM64
	const unsigned int kernel = LINUX_VERSION_CODE;
	bool by_page = is_power_of_2(sizeof(struct page));

	if (IS_ENABLED(CONFIG_ARM64_4K_PAGES))
		by_page = kernel >= KERNEL_VERSION(6, 14, 0) ||
			  (kernel >= KERNEL_VERSION(6, 12, 20) &&
			   kernel < KERNEL_VERSION(6, 13, 0));
	if (!by_page)
		return 1UL << SECTION_SIZE_BITS;
	return max(least, PAGE_SIZE / sizeof(struct page) * PAGE_SIZE);
#else
	return least;
#endif
}
#endif

/*
 * 5.14: before, memremap() of arm64 gives the address in the direct map for memory that has
 * struct pages. It goes with these.
 */
static inline bool ivshmem_memremap_needs_pages(void)
{
	return IS_ENABLED(CONFIG_ARM64) && LINUX_VERSION_CODE < KERNEL_VERSION(5, 14, 0);
}

/*
 * 6.2: before, the kernel marks a huge page of which it enters a part in a page table, and wants
 * it to be locked meanwhile.
 */
static inline bool ivshmem_insert_wants_lock(void)
{
	const unsigned int kernel = LINUX_VERSION_CODE;

	return kernel < KERNEL_VERSION(6, 2, 0);
}

/*
 * 5.15: the function for a list of pages in segments of the size that a device can have has
 * another name, and cleans up after itself.
 */
static inline int ivshmem_sg_alloc_table(struct sg_table *table, struct page **pages,
					 unsigned long nr, unsigned int max_segment)
{
	unsigned int most = max_t(unsigned int, max_segment & PAGE_MASK, PAGE_SIZE);
#ifdef HAVE_SG_SEGMENT
	return sg_alloc_table_from_pages_segment(table, pages, nr, 0, nr << PAGE_SHIFT, most,
						 GFP_KERNEL_ACCOUNT);
#else
	struct scatterlist *last = __sg_alloc_table_from_pages(table, pages, nr, 0,
							       nr << PAGE_SHIFT, most, NULL, 0,
							       GFP_KERNEL_ACCOUNT);

	if (IS_ERR(last))
		sg_free_table(table);
	return PTR_ERR_OR_ZERO(last);
#endif
}

/* 7.0: importers are told so by another name. */
#ifdef CONFIG_DMA_SHARED_BUFFER
static inline void ivshmem_dma_buf_invalidate(struct dma_buf *dmabuf)
{
#ifdef HAVE_DMA_BUF_INVALIDATE
	dma_buf_invalidate_mappings(dmabuf);
#else
	dma_buf_move_notify(dmabuf);
#endif
}
#endif

/*
 * A place for a mapping where huge entries are possible.
 *
 * 5.18: thp_get_unmapped_area() aligns mappings of all files, not just of those with DAX.
 * No header tells. 6.10: the field get_unmapped_area has gone; so does this code, then.
 */
#if defined(HAVE_MM_GET_UNMAPPED_AREA) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
#define ivshmem_get_unmapped_area	thp_get_unmapped_area
#elif defined(CONFIG_TRANSPARENT_HUGEPAGE)
static inline unsigned long ivshmem_get_unmapped_area(struct file *filp, unsigned long addr,
						      unsigned long len, unsigned long pgoff,
						      unsigned long flags)
{
	typeof(current->mm->get_unmapped_area) find = current->mm->get_unmapped_area;
	unsigned long found;

	if (!addr && !(flags & MAP_FIXED) && len >= PMD_SIZE) {
		found = find(filp, 0, len + PMD_SIZE, pgoff, flags);
		if (!IS_ERR_VALUE(found))
			return found + (((pgoff << PAGE_SHIFT) - found) & ~PMD_MASK);
	}
	return find(filp, addr, len, pgoff, flags);
}
#else
static inline unsigned long ivshmem_get_unmapped_area(struct file *filp, unsigned long addr,
						      unsigned long len, unsigned long pgoff,
						      unsigned long flags)
{
	return -EINVAL;	/* nobody asks: see ivshmem_fops */
}
#endif

/* 5.15: a PCI device has a list of the ways to reset it. A macro, as what follows. */
#ifdef HAVE_RESET_METHODS
#define ivshmem_pci_can_reset(pdev)	((pdev)->reset_methods[0] != 0)
#else
#define ivshmem_pci_can_reset(pdev)	((pdev)->reset_fn)
#endif

/*
 * What follows is for network interfaces: macros, so that no other file reads their headers.
 *
 * 5.15, and stable 5.10: the address of an interface is written by a function.
 */
#ifndef HAVE_ETH_HW_ADDR_SET
#define eth_hw_addr_set(dev, address)	ether_addr_copy((dev)->dev_addr, address)
#endif

/* 5.19: the function for a NAPI with a weight has a name of its own. */
#ifndef HAVE_NAPI_ADD_WEIGHT
#define netif_napi_add_weight	netif_napi_add
#endif

/* 5.19: what the interface can take, and not what it is used with. */
#ifdef HAVE_TSO_MAX_SIZE
#define ivshmem_set_tso_max_size	netif_set_tso_max_size
#else
#define ivshmem_set_tso_max_size	netif_set_gso_max_size
#endif

/* 5.15: more parameters for interrupts. */
#ifdef HAVE_KERNEL_COALESCE
#define IVSHMEM_COALESCE_MORE \
	, struct kernel_ethtool_coalesce *more, struct netlink_ext_ack *extack
#else
#define IVSHMEM_COALESCE_MORE
#endif

/* 5.17: more parameters for the rings, and words for errors. */
#ifdef HAVE_KERNEL_RINGPARAM
#define IVSHMEM_RINGPARAM_MORE \
	, struct kernel_ethtool_ringparam *more, struct netlink_ext_ack *extack
#define IVSHMEM_EXTACK	extack
#else
#define IVSHMEM_RINGPARAM_MORE
#define IVSHMEM_EXTACK	NULL
#endif

/* 6.2: the header of virtio_net carries UDP of many packets. */
#ifdef HAVE_VIRTIO_USO
#define IVSHMEM_USO_FEATURE	NETIF_F_GSO_UDP_L4
#else
#define IVSHMEM_USO_FEATURE	0
#endif

#endif /* IVSHMEM_COMPAT_H */
