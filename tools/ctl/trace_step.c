// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver's tracepoints. A test on the host compares this table with src/core/trace.h and
 * with the functions that contain the tracepoints.
 */
#include <string.h>

#include "trace_step.h"

#define NOTHING		"nothing"
#define TRANSPORT	"the transport's lock (PCI: device_lock)"
#define MMAP_WRITE	"mmap_lock, for writing"
#define FAULT		"mmap_lock for reading, or the lock of the mapping"

/* The first matching row of an event applies. */
const struct trace_step trace_steps[] = {
	{ "ivshmem_alloc", NULL, "src/core/device.c", "ivshmem_device_alloc", TRANSPORT,
	  "the device structure is allocated" },
	{ "ivshmem_region_map", "phys=0x0 ", "src/core/section.c", "ivshmem_device_map_pages",
	  TRANSPORT, "the kernel has mapped memory it has allocated" },
	{ "ivshmem_region_map", NULL, "src/core/section.c", "ivshmem_device_map", TRANSPORT,
	  "the kernel has mapped the region" },
	{ "ivshmem_register", NULL, "src/core/device.c", "ivshmem_device_register", TRANSPORT,
	  "the device has a number; its node comes next" },
	{ "ivshmem_slot", NULL, "src/core/slot.c", "set_own", "idev->srcu, or idev->slots_lock",
	  "the machine has taken a slot among the peers, or lost it (-1)" },
	{ "ivshmem_presence", NULL, "src/core/presence.c", "publish", "idev->srcu",
	  "the peer in that slot comes, goes or changes" },
	{ "ivshmem_probe", NULL, "src/core/device.c", "report", TRANSPORT,
	  "the node exists" },
	{ "ivshmem_open", NULL, "src/core/file.c", "ivshmem_open", NOTHING,
	  "a program has opened the node" },
	{ "ivshmem_map", NULL, "src/core/mmap.c", "map_vma", MMAP_WRITE,
	  "a program has a mapping, still without pages" },
	{ "ivshmem_fault", "result=0x200", "src/core/mmap.c", "pages_fault", FAULT,
	  "a first access: the kernel gets the page, to insert it into the mapping" },
	{ "ivshmem_fault", NULL, "src/core/mmap.c", "region_fault", FAULT,
	  "a first access: pages are inserted into the mapping" },
	{ "ivshmem_fault_refused", NULL, "src/core/mmap.c", "fault_begin", FAULT,
	  "an access after the device was unregistered: SIGBUS" },
	{ "ivshmem_unmap", NULL, "src/core/mmap.c", "mapping_close",
	  "mmap_lock (older kernels: nothing, if the program ends)",
	  "a mapping is removed" },
	{ "ivshmem_release", NULL, "src/core/file.c", "ivshmem_release", NOTHING,
	  "the last reference to an open file is dropped" },
	{ "ivshmem_ring", NULL, "src/core/device.c", "ivshmem_device_ring", "idev->srcu",
	  "a doorbell is rung" },
	{ "ivshmem_look", NULL, "src/core/bell.c", "read_slots", "idev->srcu, bells->lock",
	  "polled doorbells of the peer in that slot are found" },
	{ "ivshmem_interrupt", NULL, "src/core/event.c", "ivshmem_device_signal",
	  "nothing, or idev->srcu", "a doorbell has arrived" },
	{ "ivshmem_wake", NULL, "src/core/wait.c", "waiter_notify", "vec->lock",
	  "a waiting task is woken" },
	{ "ivshmem_wake_any", NULL, "src/core/file.c", "file_notify", "vec->lock, or nothing",
	  "polling tasks are woken" },
	{ "ivshmem_eventfd", NULL, "src/core/eventfd.c", "binding_notify", "vec->lock, or nothing",
	  "an eventfd is signalled" },
	{ "ivshmem_defer", NULL, "src/core/event.c", "defer", "vec->lock",
	  "too many listeners for the interrupt handler: a work item notifies the rest" },
	{ "ivshmem_wait_begin", NULL, "src/core/wait.c", "ivshmem_wait", NOTHING,
	  "a program starts to wait for a doorbell" },
	{ "ivshmem_wait_end", NULL, "src/core/wait.c", "ivshmem_wait", NOTHING,
	  "it runs again and gets the result" },
	{ "ivshmem_reset_prepare", NULL, "src/core/device.c", "ivshmem_device_reset_prepare", TRANSPORT,
	  "a reset starts: no operation is running, mappings are zapped" },
	{ "ivshmem_reset_done", NULL, "src/core/device.c", "ivshmem_device_reset_done", TRANSPORT,
	  "a reset is complete" },
	{ "ivshmem_resume", NULL, "src/core/bus.c", "bus_resume", "the device_lock",
	  "the machine resumes: all waiters recheck" },
	{ "ivshmem_remove", NULL, "src/core/device.c", "ivshmem_device_unregister", TRANSPORT,
	  "the device is being removed" },
	{ "ivshmem_unregister", NULL, "src/core/device.c", "ivshmem_device_unregister", TRANSPORT,
	  "no operation is running any more, mappings are zapped" },
	{ "ivshmem_region_unmap", NULL, "src/core/section.c", "ivshmem_device_unmap", TRANSPORT,
	  "the kernel's mapping is removed" },
	{ "ivshmem_free", NULL, "src/core/device.c", "device_release", NOTHING,
	  "the last reference is dropped, the structure is freed" },
};

const size_t trace_nr_steps = sizeof(trace_steps) / sizeof(trace_steps[0]);

const struct trace_step *trace_step_of(const char *event, const char *fields)
{
	for (size_t i = 0; i < trace_nr_steps; i++) {
		const struct trace_step *step = &trace_steps[i];

		if (!strcmp(step->event, event) &&
		    (!step->with || strstr(fields, step->with)))
			return step;
	}
	return NULL;
}
