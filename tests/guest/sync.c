// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two guests share a mutex and semaphores. Both count in memory that the mutex protects,
 * with an addition that is not atomic. Then they hand a turn to and fro. At last guest 1
 * owns the mutex, and guest 0 gets it: once by reporting that death, once when guest 1
 * closes the mutex without an unlock.
 */
/* rig: guests=2 devices=doorbell vectors=2 size=1M timeout=300 */
#include <pthread.h>

#include <ivshmem_sync.h>

#include "dev.h"

#define MUTEX		0
#define TURNS		(2 * IVSHMEM_SYNC_SIZE)	/* a semaphore for each guest */
#define UNUSED		(5 * IVSHMEM_SYNC_SIZE)
#define COUNTER		(4 * IVSHMEM_SYNC_SIZE)
#define VECTOR		1
#define ADDITIONS	20000
#define HANDOVERS	2000

static struct ivshmem *shm;
static struct ivshmem_mutex *mutex;

static int64_t soon(void)
{
	return ivshmem_after(60 * SECOND);
}

/* Both guests open the mutex at once, and it must be one. */
static int add_up(volatile uint64_t *counter)
{
	int i, error = 0;

	for (i = 0; i < ADDITIONS && !error; i++) {
		error = ivshmem_mutex_lock(mutex, soon());
		if (error)
			break;
		(*counter)++;
		error = ivshmem_mutex_unlock(mutex);
	}
	return error;
}

/* How often the turn came. */
static int take_turns(void)
{
	struct ivshmem_semaphore *turns[2];
	int me = rig_guest(), i;

	for (i = 0; i < 2; i++)
		if (ivshmem_semaphore_open(shm, TURNS + i * IVSHMEM_SYNC_SIZE, VECTOR,
					   IVSHMEM_SYNC_CREATE, i == 0, &turns[i]))
			tap_bail("no semaphore: %s", ivshmem_error(-EINVAL));
	for (i = 0; i < HANDOVERS; i++)
		if (ivshmem_semaphore_wait(turns[me], soon()) ||
		    ivshmem_semaphore_post(turns[!me]))
			break;
	for (int n = 0; n < 2; n++)
		ivshmem_semaphore_close(turns[n]);
	return i;
}

static void recover(void)
{
	tap_eq(ivshmem_mutex_lock(mutex, soon()), -EOWNERDEAD,
	       "the next to lock it learns that the owner has died");
	tap_eq(ivshmem_mutex_consistent(mutex), 0, "and repairs what it protects");
	tap_eq(ivshmem_mutex_unlock(mutex), 0, "then it is as any other");
}

static void watch_owner(volatile uint32_t *owner)
{
	rig_ask("barrier locked");
	tap_eq(ivshmem_mutex_lock(mutex, ivshmem_after(SECOND / 10)), -ETIMEDOUT,
	       "a mutex of the other guest cannot be locked");
	tap_eq(ivshmem_mutex_recover(mutex, *owner + 1), -ENOENT,
	       "nor taken from a guest that does not own it");
	tap_eq(ivshmem_mutex_recover(mutex, *owner), 0, "report that the owner has died");
	recover();
	rig_ask("barrier taken");
	rig_ask("barrier relocked");
	rig_ask("barrier closed");
	recover();
}

static void be_owner(volatile uint32_t *owner)
{
	struct ivshmem_properties properties;

	ivshmem_get_properties(shm, &properties);
	*owner = properties.id;
	tap_eq(ivshmem_mutex_lock(mutex, soon()), 0, "lock the mutex");
	rig_ask("barrier locked");
	rig_ask("barrier taken");
	tap_eq(ivshmem_mutex_unlock(mutex), -EPERM, "who was declared dead learns it");
	tap_eq(ivshmem_mutex_lock(mutex, soon()), 0, "and can lock the mutex again");
	rig_ask("barrier relocked");
	ivshmem_mutex_close(mutex);
	mutex = NULL;
	rig_ask("barrier closed");
}

static void *wait_for_ever(void *semaphore)
{
	return (void *)(intptr_t)ivshmem_semaphore_wait(semaphore, IVSHMEM_FOREVER);
}

/* It sleeps in the driver, by a call that is no cancellation point. */
static void cancel_a_wait(void)
{
	struct ivshmem_semaphore *semaphore;
	pthread_t thread;
	void *result;

	if (ivshmem_semaphore_open(shm, UNUSED, VECTOR, IVSHMEM_SYNC_CREATE, 0, &semaphore))
		tap_bail("no semaphore: %s", ivshmem_error(-EINVAL));
	pthread_create(&thread, NULL, wait_for_ever, semaphore);
	usleep(10000);
	pthread_cancel(thread);
	pthread_join(thread, &result);
	tap_ok(result == PTHREAD_CANCELED, "a thread that is cancelled in a wait ends");
	ivshmem_semaphore_close(semaphore);
}

int main(void)
{
	volatile uint64_t *counter;
	void *memory;

	if (ivshmem_open(&shm, RIG_DEVICE, 0) || ivshmem_map(shm, 0, 1 << 20, &memory))
		tap_bail("no device: %s", ivshmem_error(-EINVAL));
	counter = (void *)((char *)memory + COUNTER);
	if (!rig_guest())
		*counter = 0;
	rig_ask("barrier zero");
	if (ivshmem_mutex_open(shm, MUTEX, VECTOR, IVSHMEM_SYNC_CREATE, &mutex))
		tap_bail("no mutex: %s", ivshmem_error(-EINVAL));
	tap_eq(add_up(counter), 0, "lock and unlock %d times", ADDITIONS);
	rig_ask("barrier added");
	tap_eq(*counter, 2 * ADDITIONS, "no addition is lost");
	tap_eq(take_turns(), HANDOVERS, "hand the turn to and fro");
	if (!rig_guest())
		cancel_a_wait();
	if (rig_guest())
		be_owner((volatile uint32_t *)(counter + 1));
	else
		watch_owner((volatile uint32_t *)(counter + 1));
	ivshmem_mutex_close(mutex);
	ivshmem_close(shm);
	return tap_done();
}
