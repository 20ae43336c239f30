/* SPDX-License-Identifier: GPL-2.0-only */
/* Labels of regions, for tests of partitions. */
#ifndef LABELS_H
#define LABELS_H

#include "../../lib/label_build.h"
#include "dev.h"

/* Where the driver is told to look at the label of the first device. */
#define LABEL_RESCAN "/sys/bus/ivshmem/devices/ivshmem0/rescan"

/* A label of a region of @size bytes, without partitions and with room for 64. */
struct ivshmem_label label_new(uint64_t size);

/* A partition that is new in this generation of the label. */
void label_add(struct ivshmem_label *label, unsigned int number, const char *type,
	       const char *name, uint64_t offset, uint64_t size, unsigned int first_vector,
	       unsigned int vectors);

/* Room for so many peers in it, each with so many polled doorbells. */
void label_add_peers(struct ivshmem_label *label, unsigned int peers, unsigned int bell_vectors);

/* Store it at the start of a mapping of the region, as the next generation. */
void label_store(void *region, struct ivshmem_label *label);

#endif
