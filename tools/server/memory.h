/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Creating and removing the shared memory.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

/* Of a memfd. They prevent peers from resizing it. */
#define MEMORY_SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

enum memory_kind { MEMORY_SHM, MEMORY_DIRECTORY, MEMORY_MEMFD };

struct memory {
	enum memory_kind kind;
	const char *name;	/* of the object or the directory */
	uint64_t size;
	int fd;			/* passed to peers */
	int lock;		/* locked object, or -1 */
	bool taken_over;	/* of an earlier server: guests may use it */
	char *path;		/* file of the object, or NULL */
};

/* Return 0, or -1 after a message. */
int memory_size(const char *text, uint64_t *size);
int memory_name(const struct memory *memory);
/* @stored: the memory of an earlier server, or -1; used if it is what was asked for. */
int memory_create(struct memory *memory, int stored);
/* @served: the server was up. Otherwise an object that was taken over stays. */
void memory_remove(struct memory *memory, bool served);

/* In the largest unit without a fraction: 4M, not 4194304. Returns @text. */
const char *readable(uint64_t size, char text[32]);

#endif /* MEMORY_H */
