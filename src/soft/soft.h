/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * ivshmem_soft: what its files know of each other
 *
 * Devices that no bus finds. A window is memory at a known physical address,
 * perhaps with interrupts and a doorbell register; a device without an address
 * is memory of the kernel's own. They are described by the owner of the machine
 * (configfs, module option) or by its firmware (device tree, ACPI).
 *
 * Lock order: who describes devices has one lock around soft_create() and
 * soft_destroy() of a device, which is the transport's lock of ivshmem.h:
 * struct config_device.lock, the device_lock of a platform device, or none where
 * only the module's init and exit come.
 */
#ifndef IVSHMEM_SOFT_H
#define IVSHMEM_SOFT_H

#include <linux/types.h>
#include "transport.h"

#define SOFT_REASON_SIZE	160

/**
 * struct soft_spec - what a device is to be
 * @name: what users call it: /dev/ivshmem/by-name/NAME
 * @has_address: it is a window at @address, else memory of the kernel's own
 * @address: physical, a multiple of the page size
 * @size: bytes, a multiple of the page size
 * @has_doorbell: a window that can ring
 * @doorbell: physical address of the Doorbell register, a multiple of 4
 * @irqs: interrupts of a window, as many as it has vectors
 * @nr_irqs: how many
 * @vectors: of each peer of a device without an address
 * @reason: why it was refused
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
	unsigned int vectors;
	char reason[SOFT_REASON_SIZE];
};

/* module.c */
__printf(3, 4)
int soft_refuse(struct soft_spec *spec, int error, const char *format, ...);
int soft_number(const char *text, u64 *value);
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
struct ivshmem_device *soft_memory_prepare(struct device *parent,
					   struct soft_spec *spec);
void soft_memory_drop(struct ivshmem_device *idev);

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
