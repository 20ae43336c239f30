// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each tracepoint of the driver is. A test on the host compares this table with
 * src/trace.h and with the functions that the tracepoints stand in.
 */
#include <string.h>

#include "trace_step.h"

#define NOTHING		"nothing"
#define TRANSPORT	"the transport's lock (PCI: device_lock)"
#define MMAP_WRITE	"mmap_lock, for writing"
#define FAULT		"mmap_lock for reading, or the lock of the mapping"

/* Where an event has several rows, the last of them is for what remains. */
const struct trace_step trace_steps[] = {
	{ "ivshmem_alloc", NULL, "src/device.c", "ivshmem_device_alloc", TRANSPORT,
	  "a device begins: the structure is there" },
	{ "ivshmem_region_map", "phys=0x0 ", "src/device.c", "ivshmem_device_map_pages",
	  TRANSPORT, "the kernel has mapped memory of its own" },
	{ "ivshmem_region_map", NULL, "src/device.c", "ivshmem_device_map", TRANSPORT,
	  "the kernel has mapped the region" },
	{ "ivshmem_register", NULL, "src/device.c", "ivshmem_device_register", TRANSPORT,
	  "it has a number; the node comes next" },
	{ "ivshmem_probe", NULL, "src/device.c", "report", TRANSPORT,
	  "the node is there" },
	{ "ivshmem_open", NULL, "src/file.c", "ivshmem_open", NOTHING,
	  "a program has opened the node" },
	{ "ivshmem_map", NULL, "src/mmap.c", "ivshmem_mmap", MMAP_WRITE,
	  "a program has a mapping, still empty" },
	{ "ivshmem_fault", NULL, "src/mmap.c", "region_fault", FAULT,
	  "a first touch: pages are put into the mapping" },
	{ "ivshmem_fault_refused", NULL, "src/mmap.c", "fault_begin", FAULT,
	  "a touch of a device that is gone: SIGBUS" },
	{ "ivshmem_unmap", NULL, "src/mmap.c", "mapping_close",
	  "mmap_lock (older kernels: nothing, if the program ends)",
	  "a program's mapping ends" },
	{ "ivshmem_release", NULL, "src/file.c", "ivshmem_release", NOTHING,
	  "a file is closed for the last time" },
	{ "ivshmem_ring", NULL, "src/ioctl.c", "ioctl_do_ring", "idev->srcu",
	  "a doorbell goes out" },
	{ "ivshmem_interrupt", NULL, "src/event.c", "ivshmem_interrupt", NOTHING,
	  "a doorbell has come in" },
	{ "ivshmem_wake", NULL, "src/wait.c", "waiter_notify", "vec->lock",
	  "a task that waits is woken" },
	{ "ivshmem_wake_any", NULL, "src/file.c", "file_notify", "vec->lock, or nothing",
	  "tasks that poll are woken" },
	{ "ivshmem_eventfd", NULL, "src/eventfd.c", "binding_notify", "vec->lock, or nothing",
	  "an eventfd is signalled" },
	{ "ivshmem_defer", NULL, "src/event.c", "notify", "vec->lock",
	  "more listeners than the interrupt handler notifies: a work item goes on" },
	{ "ivshmem_wait_begin", NULL, "src/wait.c", "ivshmem_wait", NOTHING,
	  "a program begins to wait for a doorbell" },
	{ "ivshmem_wait_end", NULL, "src/wait.c", "ivshmem_wait", NOTHING,
	  "it runs again, and is told" },
	{ "ivshmem_pause", NULL, "src/device.c", "ivshmem_device_pause", TRANSPORT,
	  "a reset begins: nobody is inside, mappings are empty" },
	{ "ivshmem_resume", NULL, "src/device.c", "ivshmem_device_resume", TRANSPORT,
	  "a reset has ended" },
	{ "ivshmem_woken", NULL, "src/device.c", "ivshmem_device_woken", "the device_lock",
	  "the machine has slept: all who wait look again" },
	{ "ivshmem_remove", NULL, "src/device.c", "ivshmem_device_gone", TRANSPORT,
	  "the device is being taken away" },
	{ "ivshmem_gone", NULL, "src/device.c", "ivshmem_device_gone", TRANSPORT,
	  "nobody is inside any more, mappings are empty" },
	{ "ivshmem_region_unmap", NULL, "src/device.c", "ivshmem_device_unmap", TRANSPORT,
	  "the kernel's own mapping ends" },
	{ "ivshmem_free", NULL, "src/device.c", "ivshmem_device_release", NOTHING,
	  "the last reference is gone, and with it the structure" },
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
