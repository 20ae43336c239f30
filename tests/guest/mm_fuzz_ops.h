/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operations of mm_fuzz.c: every call that splits, moves, protects, advises, locks,
 * pins or inspects a mapping.
 */
#ifndef MM_FUZZ_OPS_H
#define MM_FUZZ_OPS_H

#include "dev.h"
#include "fuzz.h"

#define MIB (1ULL << 20)
#define GIB (1ULL << 30)
#define PROCESSES 8

/* Memory of all processes. */
struct mm_shared {
	volatile bool stop;
	unsigned long operations;
	pid_t pids[PROCESSES];
};

extern struct mm_shared *shared;

/* Open the device with a region of this size, under whatever number; -1 if none. */
int mm_open_device(uint64_t bytes);

/* Prepare a process that maps this device. */
void mm_begin(uint64_t bytes);

void mm_run_one(void);

#endif
