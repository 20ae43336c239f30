// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <ivshmem_sync.h>
#include <stdatomic.h>
#include <stdio.h>

#define NAME	0x7265746e756f63	/* "counter" */

struct counter {
	_Atomic uint64_t name;		/* of what is here, once there is something */
	long value;
};

/* To be called with the mutex locked. */
static long count(struct counter *counter)
{
	/* The memory can hold anything that another program has left. */
	if (counter->name != NAME) {
		counter->value = 0;
		counter->name = NAME;	/* last: this program may die at any moment */
	}
	return ++counter->value;
}

int main(int argc, char **argv)
{
	struct ivshmem_mutex *mutex;
	struct counter *counter;
	struct ivshmem *shm;
	int error;

	if (argc < 2 || ivshmem_open(&shm, argv[1], 0) ||
	    ivshmem_map(shm, 0, 0, (void **)&counter) ||
	    ivshmem_mutex_open(shm, 512, 0, IVSHMEM_SYNC_CREATE, &mutex))
		return 1;
	error = ivshmem_mutex_lock(mutex, ivshmem_after(5000000000));
	if (error == -EOWNERDEAD)		/* the counter is always valid */
		error = ivshmem_mutex_consistent(mutex);
	if (error) {
		fprintf(stderr, "cannot lock: %s\n", ivshmem_error(error));
		return 1;
	}
	printf("%ld\n", count(counter));
	ivshmem_mutex_unlock(mutex);
	ivshmem_mutex_close(mutex);
	ivshmem_close(shm);
	return 0;
}
