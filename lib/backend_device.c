// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A guest's device: everything is an ioctl of the kernel driver, except that a
 * ring is one store where the driver lets us map the register page.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/ivshmem.h>

#include "handle.h"

struct device {
	struct ivshmem base;
	void *registers;		/* NULL: ring by ioctl */
	size_t registers_size;
};

static struct device *to_device(struct ivshmem *handle)
{
	return (struct device *)handle;
}

static int device_ioctl(struct ivshmem *handle, unsigned long request,
			void *argument)
{
	return ioctl(handle->memory, request, argument) < 0 ? -errno : 0;
}

static void device_close(struct ivshmem *handle)
{
	struct device *device = to_device(handle);

	if (device->registers)
		munmap(device->registers, device->registers_size);
	close(handle->memory);
	ivshmem_handle_free(handle);
}

static int device_properties(struct ivshmem *handle,
			     struct ivshmem_properties *out)
{
	struct ivshmem_info info;
	int error = device_ioctl(handle, IVSHMEM_IOC_INFO, &info);

	if (error)
		return error;
	*out = (struct ivshmem_properties){
		.size = info.size,
		.id = info.id,
		.vectors = info.vectors,
		.transport = IVSHMEM_TRANSPORT_DEVICE,
		.cache = info.cache,
		.page_size = handle->page,
		.can_ring = !!(info.flags & IVSHMEM_INFO_DOORBELL),
		.mapped_registers = to_device(handle)->registers != NULL,
	};
	return 0;
}

static int device_ring(struct ivshmem *handle, uint32_t peer, uint32_t vector)
{
	struct ivshmem_ring ring = { .peer = peer, .vector = vector };
	char *registers = to_device(handle)->registers;

	if (!registers)
		return device_ioctl(handle, IVSHMEM_IOC_RING, &ring);
	/* What was written to the region must be there before the peer looks. */
	atomic_thread_fence(memory_order_seq_cst);
	*(volatile uint32_t *)(registers + IVSHMEM_REG_DOORBELL) =
		htole32(IVSHMEM_DOORBELL(peer, vector));
	return 0;
}

static struct ivshmem_wait
wait_to_kernel(const struct ivshmem_wait_options *options)
{
	struct ivshmem_wait wait = {
		.flags = options->flags,
		.timeout_ns = options->timeout_ns,
		.spin_ns = options->spin_ns,
	};

	if (options->flags & IVSHMEM_WAIT_SET)
		memcpy(wait.set, options->set, sizeof(wait.set));
	else
		wait.vector = options->vector;
	if (options->flags & IVSHMEM_WAIT_WORD) {
		wait.offset = options->offset;
		wait.expected = options->expected;
	}
	return wait;
}

static void wait_from_kernel(const struct ivshmem_wait *wait,
			     struct ivshmem_wait_result *result)
{
	result->changed = !!(wait->result & IVSHMEM_RESULT_CHANGED);
	if (!(wait->result & IVSHMEM_RESULT_FIRED))
		return;
	result->vector = wait->fired_vector;
	result->count = wait->count;
	memcpy(result->set, wait->fired, sizeof(result->set));
}

static int device_wait(struct ivshmem *handle,
		       const struct ivshmem_wait_options *options,
		       struct ivshmem_wait_result *result)
{
	int error = ivshmem_check_wait(handle, options);
	struct ivshmem_wait wait;

	if (error)
		return error;
	wait = wait_to_kernel(options);
	error = device_ioctl(handle, IVSHMEM_IOC_WAIT, &wait);
	if (!error)
		wait_from_kernel(&wait, result);
	return error;
}

static int device_ring_wait(struct ivshmem *handle, uint32_t peer,
			    uint32_t vector,
			    const struct ivshmem_wait_options *options,
			    struct ivshmem_wait_result *result)
{
	int error = ivshmem_check_wait(handle, options);
	struct ivshmem_ring_wait both;

	if (error)
		return error;
	both = (struct ivshmem_ring_wait){
		.ring = { .peer = peer, .vector = vector },
		.wait = wait_to_kernel(options),
	};
	error = device_ioctl(handle, IVSHMEM_IOC_RING_WAIT, &both);
	if (!error)
		wait_from_kernel(&both.wait, result);
	return error;
}

static int device_eventfd(struct ivshmem *handle, uint32_t vector)
{
	struct ivshmem_eventfd bind = { .vector = vector };
	int error;

	bind.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (bind.fd < 0)
		return -errno;
	error = device_ioctl(handle, IVSHMEM_IOC_EVENTFD, &bind);
	if (!error)
		return bind.fd;
	close(bind.fd);
	return error;
}

static int device_peers(struct ivshmem *handle, uint32_t *ids, size_t max)
{
	(void)handle;
	(void)ids;
	(void)max;
	return -EOPNOTSUPP;
}

/* Ringing oneself is the only way to reach who sleeps in the driver. */
static void device_wake_all(struct ivshmem *handle)
{
	struct ivshmem_properties properties;
	uint32_t vector;

	if (device_properties(handle, &properties) || handle->read_only)
		return;
	for (vector = 0; vector < properties.vectors; vector++)
		device_ring(handle, properties.id, vector);
}

static const struct ivshmem_ops device_ops = {
	.close = device_close,
	.properties = device_properties,
	.ring = device_ring,
	.wait = device_wait,
	.ring_wait = device_ring_wait,
	.eventfd = device_eventfd,
	.peers = device_peers,
	.wake_all = device_wake_all,
};

/* What the driver says of itself, or that this is no device of ours. */
static int device_identify(struct device *device)
{
	struct ivshmem_info info = { 0 };
	int error = device_ioctl(&device->base, IVSHMEM_IOC_INFO, &info);
	uint32_t wanted = IVSHMEM_INFO_DOORBELL | IVSHMEM_INFO_REGISTERS;
	void *registers;

	if (error)
		return error == -EINVAL ? -ENOTTY : error;
	if (info.abi != IVSHMEM_ABI_VERSION)
		return -EPROTONOSUPPORT;
	device->base.size = info.size;
	device->base.vectors = info.vectors;
	if (device->base.read_only || (info.flags & wanted) != wanted)
		return 0;
	registers = mmap(NULL, info.registers_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, device->base.memory,
			 info.registers_offset);
	if (registers == MAP_FAILED)
		return 0;
	device->registers = registers;
	device->registers_size = info.registers_size;
	return 0;
}

int ivshmem_device_open(struct ivshmem **handle, const char *path,
			bool read_only)
{
	struct device *device = calloc(1, sizeof(*device));
	int error;

	if (!device)
		return -ENOMEM;
	if (ivshmem_handle_init(&device->base, &device_ops, read_only)) {
		free(device);
		return -ENOMEM;
	}
	device->base.page = sysconf(_SC_PAGESIZE);
	device->base.memory = open(path, O_CLOEXEC | O_NOCTTY |
				   (read_only ? O_RDONLY : O_RDWR));
	if (device->base.memory < 0) {
		error = -errno;
		ivshmem_handle_free(&device->base);
		return error == -ENXIO ? -ENODEV : error;
	}
	error = device_identify(device);
	if (error) {
		device_close(&device->base);
		return error;
	}
	*handle = &device->base;
	return 0;
}
