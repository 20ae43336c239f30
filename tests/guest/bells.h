/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Polled doorbells between two plain devices of one machine that have the same memory: each is
 * a peer of the other.
 */
#ifndef BELLS_H
#define BELLS_H

#include <pthread.h>

#include "peers.h"

#define BELLS_SIZE (1UL << 20)
#define BELLS_VECTORS 4
#define BELLS_SLOTS 4
/* Partition 1 has vectors 1 and 2 of the device, and these bytes. */
#define BELLS_OFFSET (512UL << 10)
#define BELLS_PART_SIZE (64UL << 10)
/* A doorbell that takes longer is lost. */
#define BELLS_PATIENCE (30 * SECOND)

/* The devices, with open files and their ids. */
struct bells {
	int fds[2];
	uint32_t ids[2];
	char *region;
	struct ivshmem_label label;
};

/* Open both devices and map their memory; no label yet. */
void bells_open(struct bells *b);

/* Give them another label with so many vectors, have both read it, and open them again. */
void bells_relabel(struct bells *b, unsigned int vectors);

/* Open them again, when both have a slot and see each other. */
void bells_reopen(struct bells *b);

/* Let a device, 0 or 1, read the label. */
int bells_rescan(unsigned int device);

/* Ring the second device from the first one. */
static inline int bells_ring(const struct bells *b, uint32_t vector)
{
	return dev_ring(b->fds[0], b->ids[1], vector);
}

/* A thread that rings a peer after a while. */
struct bells_later {
	pthread_t thread;
	int fd;
	uint32_t peer, vector;
	long ms;
};

void bells_ring_later(struct bells_later *later, int fd, uint32_t peer, uint32_t vector, long ms);

/* How often a device has looked at doorbells, in so many milliseconds. */
long bells_looks(unsigned int device, long ms);

#endif
