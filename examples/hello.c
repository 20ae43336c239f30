// SPDX-License-Identifier: LGPL-2.1-or-later
#include <ivshmem.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct note {				/* at the start of the region */
	_Atomic uint32_t full;
	char text[252];
};

int main(int argc, char **argv)		/* DEVICE [PEER TEXT] */
{
	struct ivshmem_wait_options while_empty = {
		.flags = IVSHMEM_WAIT_WORD,
		.offset = offsetof(struct note, full),
		.expected = 0,
		.timeout_ns = IVSHMEM_FOREVER,
	};
	char text[sizeof(((struct note *)0)->text) + 1] = "";
	struct ivshmem *shm;
	struct note *note;
	void *memory;
	int error = 0;

	if (argc < 2 || ivshmem_open(&shm, argv[1], 0) || ivshmem_map(shm, 0, 0, &memory))
		return 1;
	note = memory;
	if (argc > 3) {			/* write the note, then ring */
		snprintf(note->text, sizeof(note->text), "%s", argv[3]);
		atomic_store(&note->full, 1);
		error = ivshmem_ring(shm, atoi(argv[2]), 0);
	} else {			/* read it as soon as there is one */
		while (!error && !atomic_load(&note->full))
			error = ivshmem_wait(shm, &while_empty, NULL);
		if (!error) {		/* copy first: a peer may change it at any time */
			memcpy(text, note->text, sizeof(note->text));
			atomic_store(&note->full, 0);
			puts(text);
		}
	}
	ivshmem_close(shm);
	return error != 0;
}
