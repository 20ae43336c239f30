/* SPDX-License-Identifier: GPL-2.0-only */
/* Hardware that imports dma-bufs: the module tests/importer. */
#ifndef HARDWARE_H
#define HARDWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../importer/importer.h"

/* Can this kernel have dma-bufs? The rig builds the module where it can. */
bool hardware_exists(void);

/* Load, with options, and unload the module; 0 or the status of the program that does it. */
int hardware_load_with(const char *options);
int hardware_load(void);
int hardware_unload(void);

/* A dma-buf of a range of a device: a file descriptor or a negative errno. */
int buffer_export(int fd, uint64_t offset, uint64_t size);

/*
 * Attach hardware to a dma-buf, as IMPORTER_STATIC or another kind, and have it map: a file
 * descriptor or a negative errno.
 */
int hardware_map(int buffer, unsigned long kind);

/* Does the hardware read these bytes from the beginning of the dma-buf? */
bool hardware_reads(int importer, const char *bytes, size_t size);

#endif
