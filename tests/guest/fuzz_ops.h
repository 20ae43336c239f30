/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operations that programs of fuzz.c consist of. They work on a few open files and
 * mappings; random numbers decide the details.
 */
#ifndef FUZZ_OPS_H
#define FUZZ_OPS_H

#include "dev.h"
#include "fuzz.h"

#define CONFIG "/sys/kernel/config/ivshmem/"
#define SIZE (4ULL << 20)	/* of each region */
#define DEVICES 3
#define SLOTS 6			/* files and mappings of a process */
#define SHORT_NS 50000		/* longest wait */

#define WORDS 40		/* longer than any structure of the interface */

/* The meaning of the fields depends on the kind. */
struct op {
	uint8_t kind, slot, other, place;
	uint32_t bits;
	uint64_t offset, length;
	union {
		struct ivshmem_info info;
		struct ivshmem_region region;
		struct ivshmem_ring ring;
		struct ivshmem_wait wait;
		struct ivshmem_eventfd eventfd;
		struct ivshmem_dmabuf dmabuf;
		struct ivshmem_peers peers;
		uint32_t words[WORDS];
	} data;
};

/* Two of the kinds. */
enum { OP_OPEN = 0, OP_MAP = 4 };

/* Prepare a process, and each of its threads. Only one process may @replace a device. */
void ops_begin(bool replace, uint64_t registers);
void ops_begin_thread(void);

unsigned int op_draw_kind(void);
void op_make(struct op *o, unsigned int kind);
void op_run(const struct op *o);

/* Close and unmap everything. */
void ops_clean_up(void);

/* A number that may be interesting as offset, length or field. */
uint64_t op_number(void);

#endif
