/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The node of tests/importer: each open file is hardware that imports one dma-buf
 *
 * pread() and pwrite() are its transfers. They give ENXIO while nothing is mapped.
 */
#ifndef IMPORTER_H
#define IMPORTER_H

#include <linux/ioctl.h>

#define IMPORTER "/dev/ivshmem_importer"

/* Attach to the dma-buf with this file descriptor, as a static or a dynamic importer. */
#define IMPORTER_STATIC		_IO('I', 0x80)
#define IMPORTER_DYNAMIC	_IO('I', 0x81)
/* As a dynamic one that ends its mapping when it is asked to. */
#define IMPORTER_OBLIGING	_IO('I', 0x85)
/* Map it for transfers, or end that. */
#define IMPORTER_MAP		_IO('I', 0x82)
#define IMPORTER_UNMAP		_IO('I', 0x83)
/* How often the exporter has asked to let go. */
#define IMPORTER_ASKED		_IO('I', 0x84)

#endif
