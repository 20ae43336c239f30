// SPDX-License-Identifier: LGPL-2.1-or-later
#include <ivshmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)			/* DEVICE [PEER TEXT] */
{
	struct ivshmem_wait_options forever = { .timeout_ns = IVSHMEM_FOREVER };
	struct ivshmem *shm;
	void *memory;
	int error;

	if (argc < 2 || ivshmem_open(&shm, argv[1], 0) || ivshmem_map(shm, 0, 0, &memory))
		return 1;
	if (argc > 3) {				/* write, then ring */
		strcpy(memory, argv[3]);
		error = ivshmem_ring(shm, atoi(argv[2]), 0);
	} else {				/* wait for a doorbell, then read */
		error = ivshmem_wait(shm, &forever, NULL) || puts(memory) < 0;
	}
	ivshmem_close(shm);
	return error != 0;
}
