/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI devices: what the rest of the module knows of them
 */
#ifndef IVSHMEM_PCI_H
#define IVSHMEM_PCI_H

#include <linux/types.h>

/* The parameter map_registers, see core/module.c. */
extern bool ivshmem_map_registers;

#ifdef CONFIG_PCI
int ivshmem_pci_init(void);
void ivshmem_pci_exit(void);
#else
static inline int ivshmem_pci_init(void)
{
	return 0;
}

static inline void ivshmem_pci_exit(void) { }
#endif

#endif /* IVSHMEM_PCI_H */
