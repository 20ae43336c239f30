/* SPDX-License-Identifier: GPL-2.0-only */
/* The sample driver (tests/sample) at the first node: give it the node, and take it away. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdio.h>
#include <stdlib.h>

#include "dev.h"

#define BUS "/sys/bus/ivshmem/"
#define NODE BUS "devices/ivshmem0/"
#define CHARDEV BUS "drivers/ivshmem_chardev/"
#define SAMPLE BUS "drivers/ivshmem_sample/"
#define SAMPLE_PARAMETERS "/sys/module/ivshmem_sample/parameters/"

/* The number in a file of a directory; -1 if there is none. */
int sample_number(const char *directory, const char *name);

static inline int node_number(const char *attribute)
{
	return sample_number(NODE, attribute);
}

/* What the sample counts of all nodes. */
static inline int sample_count(const char *what)
{
	return sample_number(SAMPLE_PARAMETERS, what);
}

/* Do doorbells go on? Waits for some more of them. */
bool echoes_go_on(void);

static inline int sample_load(void)
{
	return system("insmod /lib/ivshmem_sample.ko");
}

/*
 * Write a label with slots for four peers and so many polled doorbells, which nobody has read
 * yet. Gives where the section of the second one is.
 */
uint64_t sample_label(unsigned int bell_vectors);

/* Give the node to the sample driver, and back to the character device; 0 or an errno. */
int sample_take(void);
int sample_give(void);

#endif
