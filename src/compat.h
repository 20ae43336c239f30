/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels this driver builds for: all of it, and
 * nothing anywhere else. A HAVE_ name comes from a probe of the headers in
 * Kbuild; the release named is where mainline changed, and says when an entry
 * may go (once no older kernel is supported).
 */
#ifndef IVSHMEM_COMPAT_H
#define IVSHMEM_COMPAT_H

#include <linux/eventfd.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

/* 6.13: a namespace of symbols is a string. */
#ifdef HAVE_NAMESPACE_TOKEN
#define EXPORT_SYMBOL_IVSHMEM(symbol)	EXPORT_SYMBOL_NS_GPL(symbol, IVSHMEM)
#define MODULE_IMPORT_IVSHMEM()	MODULE_IMPORT_NS(IVSHMEM)
#else
#define EXPORT_SYMBOL_IVSHMEM(symbol)	EXPORT_SYMBOL_NS_GPL(symbol, "IVSHMEM")
#define MODULE_IMPORT_IVSHMEM()	MODULE_IMPORT_NS("IVSHMEM")
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

/*
 * 6.12: huge entries for memory without struct page. Earlier kernels would
 * take one for ordinary memory in get_user_pages_fast(). To take them away means to
 * wait for preempted forks (ivshmem_device_quiesce()), and not every kernel can.
 */
#if defined(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) && \
	(defined(CONFIG_TASKS_RCU) || !defined(CONFIG_PREEMPTION))
#define IVSHMEM_HUGE_FAULT	1

/* 6.17: page frame numbers are plain numbers again. */
#ifdef HAVE_PFN_T
#include <linux/pfn_t.h>
#define ivshmem_huge_pfn(pfn)	__pfn_to_pfn_t(pfn, PFN_DEV)
#else
#define ivshmem_huge_pfn(pfn)	(pfn)
#endif

/* 6.19: the address space is always the caller's own. */
static inline unsigned long
ivshmem_find_area(struct file *file, unsigned long addr, unsigned long len,
		  unsigned long pgoff, unsigned long flags)
{
#ifdef HAVE_MM_GET_UNMAPPED_AREA_MM
	return mm_get_unmapped_area(current->mm, file, addr, len, pgoff, flags);
#else
	return mm_get_unmapped_area(file, addr, len, pgoff, flags);
#endif
}
#endif /* IVSHMEM_HUGE_FAULT */

#endif /* IVSHMEM_COMPAT_H */
