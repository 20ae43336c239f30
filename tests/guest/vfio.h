/* SPDX-License-Identifier: GPL-2.0-only */
/* A PCI device that is bound to vfio-pci, which needs an IOMMU. */
#ifndef RIG_VFIO_H
#define RIG_VFIO_H

#include <linux/vfio.h>

#include "dev.h"

/* The number of a device's IOMMU group, which names its node in /dev/vfio. */
static inline int vfio_group(const char *address)
{
	char path[128], link[256], node[64];
	ssize_t n;

	snprintf(path, sizeof(path), PCI_DEVICES "%s/iommu_group", address);
	n = must(readlink(path, link, sizeof(link) - 1));
	link[n] = '\0';
	snprintf(node, sizeof(node), "/dev/vfio/%s", strrchr(link, '/') + 1);
	return must(open(node, O_RDWR | O_CLOEXEC));
}

static inline struct vfio_region_info vfio_region(int device, uint32_t index)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = index };

	must(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region));
	return region;
}

/* Bind a device to vfio-pci. */
static inline void vfio_bind(const char *address)
{
	char path[80];

	snprintf(path, sizeof(path), PCI_DEVICES "%s/driver_override", address);
	must(file_write(path, "vfio-pci"));
	snprintf(path, sizeof(path), PCI_DEVICES "%s/driver/unbind", address);
	file_write(path, address);
	must(file_write("/sys/bus/pci/drivers_probe", address));
}

/* What the devices of a group find at the addresses that they use. */
static inline int vfio_container(int group)
{
	int container = must(open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC));

	must(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	must(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	return container;
}

/* Open the device and enable bus mastering: MSI-X interrupts are writes to memory. */
static inline int vfio_open(const char *address)
{
	int group = vfio_group(address), device;
	struct vfio_region_info config;
	uint16_t command;

	vfio_container(group);
	device = must(ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address));
	config = vfio_region(device, VFIO_PCI_CONFIG_REGION_INDEX);
	must(pread(device, &command, 2, config.offset + 4));
	command |= 6;
	must(pwrite(device, &command, 2, config.offset + 4));
	return device;
}

static inline void *vfio_map(int device, uint32_t bar, size_t length)
{
	struct vfio_region_info region = vfio_region(device, bar);
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, device,
		       region.offset);

	if (p == MAP_FAILED)
		tap_bail("mmap of BAR%u by vfio: %s", bar, strerror(errno));
	return p;
}

/* Bind the first interrupt vector to an eventfd; its descriptor follows struct vfio_irq_set. */
static inline void vfio_eventfd(int device, int efd)
{
	_Alignas(struct vfio_irq_set)
	char buffer[sizeof(struct vfio_irq_set) + sizeof(int32_t)];
	struct vfio_irq_set set = {
		.argsz = sizeof(buffer), .count = 1,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};
	int32_t fd = efd;

	memcpy(buffer, &set, sizeof(set));
	memcpy(buffer + sizeof(set), &fd, sizeof(fd));
	must(ioctl(device, VFIO_DEVICE_SET_IRQS, buffer));
}

#endif
