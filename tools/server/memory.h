/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creating and removing the shared memory.
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
	int fd;			/* passed to peers */
	int lock;		/* locked object, or -1 */
	bool taken_over;	/* existed before: guests may use it */
	char *path;		/* file of the object, or NULL */
};

/* Return 0, or -1 after a message. */
int memory_size(const char *text, uint64_t *size);
int memory_name(const struct memory *memory);
int memory_create(struct memory *memory);
/* @served: the server was up. Otherwise an object that was taken over stays. */
void memory_remove(struct memory *memory, bool served);

#endif /* MEMORY_H */
