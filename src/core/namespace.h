/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The namespace of the core's symbols
 */
#ifndef IVSHMEM_NAMESPACE_H
#define IVSHMEM_NAMESPACE_H

#include <linux/module.h>

/* What MODULE_IMPORT_NS() is on all kernels; its argument is a string since 6.13. */
#define MODULE_IMPORT_IVSHMEM()	MODULE_INFO(import_ns, "IVSHMEM")

#endif /* IVSHMEM_NAMESPACE_H */
