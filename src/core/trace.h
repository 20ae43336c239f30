/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints ivshmem:*, one for each step in the life of a device or a doorbell.
 * To record them:
 *
 *	trace-cmd stream -e ivshmem
 *	echo 1 > /sys/kernel/tracing/events/ivshmem/enable
 *
 * The field "device" is N of /dev/ivshmemN.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ivshmem

#if !defined(IVSHMEM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IVSHMEM_TRACE_H

#include <linux/mm_types.h>
#include <linux/tracepoint.h>
#include "core.h"

DECLARE_EVENT_CLASS(ivshmem_device_class,
		    TP_PROTO(int device),
		    TP_ARGS(device),
		    TP_STRUCT__entry(__field(int, device)),
		    TP_fast_assign(__entry->device = device;),
		    TP_printk("device=%d", __entry->device)
);

/* The node is about to appear; from here on "device" is known. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_register,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* The last reference to an open file was dropped. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_release,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* Wake the tasks that poll a file, and send the SIGIO they asked for. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_wake_any,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* Before a reset: no task accesses the device, all mappings are zapped. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_reset_prepare,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* After a reset. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_reset_done,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* The machine resumes from sleep; every vector is about to be signalled once. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_resume,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* Unregistration begins: from now on operations fail. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_remove,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* Unregistered: no task accesses the device, all mappings are zapped. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_unregister,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* The kernel's mapping of the region is removed. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_region_unmap,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* The last reference to the device was dropped: its memory is freed. */
DEFINE_EVENT(ivshmem_device_class, ivshmem_free,
	     TP_PROTO(int device),
	     TP_ARGS(device));

/* parent: name of the transport's device, empty if there is none. */
DECLARE_EVENT_CLASS(ivshmem_setup_class,
		    TP_PROTO(const struct ivshmem_device *idev),
		    TP_ARGS(idev),
		    TP_STRUCT__entry(__field(int, device)
				     __array(char, parent, 32)
				     __field(u64, phys)
				     __field(u64, size)
				     __field(unsigned int, vectors)
		    ),
		    TP_fast_assign(__entry->device = idev->number;
				   strscpy(__entry->parent, idev->parent ?
					   dev_name(idev->parent) : "", 32);
				   __entry->phys = idev->memory.phys;
				   __entry->size = idev->memory.size;
				   __entry->vectors = idev->nr_vectors;
		    ),
		    TP_printk("device=%d parent=%s phys=0x%llx size=%llu vectors=%u",
			      __entry->device, __entry->parent, __entry->phys,
			      __entry->size, __entry->vectors)
);

/* Allocated: only the parent is known. device is -1 until registration. */
DEFINE_EVENT(ivshmem_setup_class, ivshmem_alloc,
	     TP_PROTO(const struct ivshmem_device *idev),
	     TP_ARGS(idev));

/* The kernel has mapped the region; phys is 0 for kernel-allocated memory. */
DEFINE_EVENT(ivshmem_setup_class, ivshmem_region_map,
	     TP_PROTO(const struct ivshmem_device *idev),
	     TP_ARGS(idev));

/* The node exists. */
DEFINE_EVENT(ivshmem_setup_class, ivshmem_probe,
	     TP_PROTO(const struct ivshmem_device *idev),
	     TP_ARGS(idev));

TRACE_EVENT(ivshmem_open,
	    TP_PROTO(int device, bool writable),
	    TP_ARGS(device, writable),
	    TP_STRUCT__entry(__field(int, device)
			     __field(bool, writable)
	    ),
	    TP_fast_assign(__entry->device = device;
			   __entry->writable = writable;
	    ),
	    TP_printk("device=%d writable=%d", __entry->device, __entry->writable)
);

DECLARE_EVENT_CLASS(ivshmem_mapping_class,
		    TP_PROTO(int device, const struct vm_area_struct *vma),
		    TP_ARGS(device, vma),
		    TP_STRUCT__entry(__field(int, device)
				     __field(unsigned long, start)
				     __field(unsigned long, end)
				     __field(u64, offset)
		    ),
		    TP_fast_assign(__entry->device = device;
				   __entry->start = vma->vm_start;
				   __entry->end = vma->vm_end;
				   __entry->offset = (u64)vma->vm_pgoff << PAGE_SHIFT;
		    ),
		    TP_printk("device=%d start=0x%lx end=0x%lx offset=0x%llx",
			      __entry->device, __entry->start, __entry->end,
			      __entry->offset)
);

/* A program has mapped the region, or the register page. */
DEFINE_EVENT(ivshmem_mapping_class, ivshmem_map,
	     TP_PROTO(int device, const struct vm_area_struct *vma),
	     TP_ARGS(device, vma));

/* A mapping ends: a program's, a part of one, or the copy in a forked child. */
DEFINE_EVENT(ivshmem_mapping_class, ivshmem_unmap,
	     TP_PROTO(int device, const struct vm_area_struct *vma),
	     TP_ARGS(device, vma));

DECLARE_EVENT_CLASS(ivshmem_fault_class,
		    TP_PROTO(int device, unsigned long address, vm_fault_t result),
		    TP_ARGS(device, address, result),
		    TP_STRUCT__entry(__field(int, device)
				     __field(unsigned long, address)
				     __field(unsigned int, result)
		    ),
		    TP_fast_assign(__entry->device = device;
				   __entry->address = address;
				   __entry->result = (__force unsigned int)result;
		    ),
		    TP_printk("device=%d address=0x%lx result=0x%x",
			      __entry->device, __entry->address, __entry->result)
);

/* A fault has set page-table entries, has a page for the kernel to, or failed: VM_FAULT_* */
DEFINE_EVENT(ivshmem_fault_class, ivshmem_fault,
	     TP_PROTO(int device, unsigned long address, vm_fault_t result),
	     TP_ARGS(device, address, result));

/* SIGBUS: the device is unregistered, or in reset and the fault cannot wait. */
DEFINE_EVENT(ivshmem_fault_class, ivshmem_fault_refused,
	     TP_PROTO(int device, unsigned long address, vm_fault_t result),
	     TP_ARGS(device, address, result));

/* The kernel rings a peer (a program with mapped registers leaves no trace). */
TRACE_EVENT(ivshmem_ring,
	    TP_PROTO(int device, u32 peer, u32 vector),
	    TP_ARGS(device, peer, vector),
	    TP_STRUCT__entry(__field(int, device)
			     __field(u32, peer)
			     __field(u32, vector)
	    ),
	    TP_fast_assign(__entry->device = device;
			   __entry->peer = peer;
			   __entry->vector = vector;
	    ),
	    TP_printk("device=%d peer=%u vector=%u", __entry->device,
		      __entry->peer, __entry->vector)
);

DECLARE_EVENT_CLASS(ivshmem_vector_class,
		    TP_PROTO(int device, unsigned int vector),
		    TP_ARGS(device, vector),
		    TP_STRUCT__entry(__field(int, device)
				     __field(unsigned int, vector)
		    ),
		    TP_fast_assign(__entry->device = device;
				   __entry->vector = vector;
		    ),
		    TP_printk("device=%d vector=%u", __entry->device, __entry->vector)
);

/* A doorbell arrived; from the interrupt handler, or found by a look. */
DEFINE_EVENT(ivshmem_vector_class, ivshmem_interrupt,
	     TP_PROTO(int device, unsigned int vector),
	     TP_ARGS(device, vector));

/* Wake a task in WAIT; vector is 256 if it waits for several. */
DEFINE_EVENT(ivshmem_vector_class, ivshmem_wake,
	     TP_PROTO(int device, unsigned int vector),
	     TP_ARGS(device, vector));

/* The interrupt handler leaves some listeners to a work item. */
DEFINE_EVENT(ivshmem_vector_class, ivshmem_defer,
	     TP_PROTO(int device, unsigned int vector),
	     TP_ARGS(device, vector));

/* Signal an eventfd bound to the vector. */
DEFINE_EVENT(ivshmem_vector_class, ivshmem_eventfd,
	     TP_PROTO(int device, unsigned int vector),
	     TP_ARGS(device, vector));

DECLARE_EVENT_CLASS(ivshmem_slot_class,
		    TP_PROTO(int device, int slot),
		    TP_ARGS(device, slot),
		    TP_STRUCT__entry(__field(int, device)
				     __field(int, slot)
		    ),
		    TP_fast_assign(__entry->device = device;
				   __entry->slot = slot;
		    ),
		    TP_printk("device=%d slot=%d", __entry->device, __entry->slot)
);

/* This machine has taken a slot among the peers of a label, or has none any more (-1). */
DEFINE_EVENT(ivshmem_slot_class, ivshmem_slot,
	     TP_PROTO(int device, int slot),
	     TP_ARGS(device, slot));

/* A peer comes, goes, or says something else about itself. */
DEFINE_EVENT(ivshmem_slot_class, ivshmem_presence,
	     TP_PROTO(int device, int slot),
	     TP_ARGS(device, slot));

/* A look at polled doorbells has found some of the peer in that slot. */
DEFINE_EVENT(ivshmem_slot_class, ivshmem_look,
	     TP_PROTO(int device, int slot),
	     TP_ARGS(device, slot));

TRACE_EVENT(ivshmem_wait_begin,
	    TP_PROTO(int device, const struct ivshmem_wait *w),
	    TP_ARGS(device, w),
	    TP_STRUCT__entry(__field(int, device)
			     __field(u32, flags)
			     __field(u32, vector)
			     __field(s64, timeout_ns)
	    ),
	    TP_fast_assign(__entry->device = device;
			   __entry->flags = w->flags;
			   __entry->vector = w->vector;
			   __entry->timeout_ns = w->timeout_ns;
	    ),
	    TP_printk("device=%d flags=0x%x vector=%u timeout_ns=%lld",
		      __entry->device, __entry->flags, __entry->vector,
		      __entry->timeout_ns)
);

/* result: 0 or a negative errno; vector and count as WAIT reports them. */
TRACE_EVENT(ivshmem_wait_end,
	    TP_PROTO(int device, int result, u32 vector, u64 count),
	    TP_ARGS(device, result, vector, count),
	    TP_STRUCT__entry(__field(int, device)
			     __field(int, result)
			     __field(u32, vector)
			     __field(u64, count)
	    ),
	    TP_fast_assign(__entry->device = device;
			   __entry->result = result;
			   __entry->vector = vector;
			   __entry->count = count;
	    ),
	    TP_printk("device=%d result=%d vector=%u count=%llu", __entry->device,
		      __entry->result, __entry->vector, __entry->count)
);

#endif /* IVSHMEM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
