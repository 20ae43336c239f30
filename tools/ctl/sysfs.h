/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Attributes of this machine's devices in /sys/class/ivshmem.
 */
#ifndef CTL_SYSFS_H
#define CTL_SYSFS_H

#include <limits.h>
#include <ivshmem.h>
#include <stdbool.h>
#include <stdint.h>

#define SYSFS_CLASS	"/sys/class/ivshmem"
#define SYSFS_NODES	"/sys/bus/ivshmem/devices"

struct sysfs_device {
	char name[NAME_MAX + 1];
	char pci[16];		/* 0000:00:05.0; empty if not a PCI device */
	char label[256];	/* attribute "name"; empty if none */
	char parent[NAME_MAX + 1];	/* the device of a partition; else empty */
	uint64_t offset;	/* of a partition, in its device */
	uint64_t size;
	uint32_t id;		/* IVSHMEM_ID_UNKNOWN */
	uint32_t vectors;	/* at most IVSHMEM_MAX_VECTORS */
	char cache[8];		/* wb, wc, uc */
	uint64_t interrupts[IVSHMEM_MAX_VECTORS];
	uint64_t looks;		/* for polled doorbells; 0: they are not needed */
};

/*
 * List all devices in natural order. Returns their number, 0 without the driver, or a
 * negative errno. Free the result with free_names().
 */
int sysfs_names(char ***names);

/* Returns 0 or a negative errno; -ENOENT: the device is gone. */
int sysfs_read(const char *name, struct sysfs_device *device);

/* The device that a partition is in; false: this is no partition. */
bool sysfs_parent(const char *name, char parent[NAME_MAX + 1]);

/* The label that the driver has read last; @uuid is empty without one. */
struct sysfs_label {
	char uuid[40];		/* or "refused" */
	uint64_t generation;
};

void sysfs_read_label(const char *name, struct sysfs_label *label);

/* Has the driver seen a label on the device, good or bad? */
bool sysfs_is_labelled(const char *name);

/* Find the name of a device that a user names, or whose node. */
int sysfs_name(const char *device, char name[NAME_MAX + 1]);

/* Find the device of a node. -ENOENT: not a character device. */
int sysfs_name_of_node(const char *path, char name[NAME_MAX + 1]);

uint64_t sysfs_total(const struct sysfs_device *device);

#endif /* CTL_SYSFS_H */
