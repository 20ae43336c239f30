/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem_soft: declarations shared by its files
 *
 * The module creates devices that no bus reports. A window is memory at a known
 * physical address, optionally with interrupts and a Doorbell register. A software
 * device has no address, but kernel-allocated memory. The administrator describes
 * devices by configfs or the module option, firmware by device tree or ACPI.
 *
 * Locking: each source of devices calls soft_create() and soft_destroy() under one
 * lock per device, the transport's lock of core.h. For configfs that is struct
 * config_device.lock, for platform devices the device_lock. The module option needs
 * none, as only init and exit of the module use it. memory.c takes its own locks inside.
 */
#ifndef IVSHMEM_SOFT_H
#define IVSHMEM_SOFT_H

#include <linux/types.h>
#include "transport.h"

#define SOFT_REASON_SIZE	200

/**
 * struct soft_spec - description of a device
 * @name: name for users: /dev/ivshmem/by-name/NAME
 * @has_address: a window at @address, else kernel-allocated memory
 * @address: physical address, a multiple of the page size
 * @size: bytes, a nonzero multiple of the page size
 * @has_doorbell: a window with a Doorbell register
 * @doorbell: physical address of that register, a multiple of 4
 * @irqs: interrupts of a window, one for each vector
 * @nr_irqs: number of @irqs
 * @has_vectors: somebody said how many there are
 * @vectors: vectors of each peer of a software device, 0 to IVSHMEM_MAX_VECTORS
 * @node: NUMA node of its memory, or NUMA_NO_NODE for any
 * @reason: why soft_prepare() or soft_create() failed
 */
struct soft_spec {
	const char *name;
	bool has_address;
	u64 address;
	u64 size;
	bool has_doorbell;
	u64 doorbell;
	const unsigned int *irqs;
	unsigned int nr_irqs;
	bool has_vectors;
	unsigned int vectors;
	int node;
	char reason[SOFT_REASON_SIZE];
};

/* module.c */
__printf(3, 4)
int soft_refuse(struct soft_spec *spec, int error, const char *format, ...);
struct ivshmem_device *soft_prepare(struct device *parent, struct soft_spec *spec);
void soft_drop(struct ivshmem_device *idev);
struct ivshmem_device *soft_create(struct device *parent, struct soft_spec *spec);
void soft_destroy(struct ivshmem_device *idev);

/* window.c */
struct ivshmem_device *soft_window_prepare(struct device *parent,
					   struct soft_spec *spec);
void soft_window_drop(struct ivshmem_device *idev);

/* memory.c */
#define SOFT_DEFAULT_VECTORS	4
extern const struct ivshmem_transport soft_memory_transport;
struct ivshmem_device *soft_memory_prepare(struct device *parent,
					   struct soft_spec *spec);
void soft_memory_drop(struct ivshmem_device *idev);
void soft_memory_exit(void);

/* option.c, platform.c, configfs.c */
int soft_option_prepare(void);
void soft_option_drop(void);
void soft_option_register(void);
void soft_option_exit(void);
void soft_platform_init(void);
void soft_platform_exit(void);
#if IS_ENABLED(CONFIG_CONFIGFS_FS)
int soft_config_init(void);
void soft_config_exit(void);
#else
static inline int soft_config_init(void)
{
	return 0;
}

static inline void soft_config_exit(void) { }
#endif

#endif /* IVSHMEM_SOFT_H */
