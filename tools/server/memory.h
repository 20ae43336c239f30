/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The shared memory: where it comes from and how it goes.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdint.h>

enum memory_kind { MEMORY_SHM, MEMORY_DIRECTORY, MEMORY_MEMFD };

struct memory {
	enum memory_kind kind;
	const char *name;	/* of the object or the directory */
	uint64_t size;
	int fd;			/* what peers get */
	int lock;		/* -1, or held while the object is ours */
	bool taken_over;	/* it was there before, and guests may have it */
	char *path;		/* NULL, or the object's file */
};

/* 0, or -1 having said what is wrong. */
int memory_size(const char *text, uint64_t *size);
int memory_name(const struct memory *memory);
int memory_create(struct memory *memory);
/* Who has not served leaves what was taken over as it was. */
void memory_remove(struct memory *memory, bool served);

#endif /* MEMORY_H */
