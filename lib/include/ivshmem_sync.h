/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mutexes, semaphores and events between machines
 *
 * Each is an object of IVSHMEM_SYNC_SIZE bytes in the region, made by one
 * program and opened by all others that use it. Who has to wait looks for a
 * while, then sleeps until rung; who finds nobody waiting makes no system call.
 *
 * Threads may share an opened object, but nothing may run beside its close.
 *
 * Deadlines. 0: do not wait; IVSHMEM_FOREVER; else nanoseconds of
 * CLOCK_MONOTONIC, as ivshmem_after() gives them.
 *
 * Memory ordering. What a program wrote to the region before it unlocks a mutex,
 * posts a semaphore or sets an event is visible to whoever gets the mutex, the
 * semaphore or the event by that, after the call returned: release and acquire
 * in the terms of C11. Other words of the region are not ordered by a call that
 * fails.
 *
 * Trust. Whoever can write to the region can break the object, and so make a
 * call fail or wait for ever, but nothing else.
 *
 * Errors of all calls that make or open:
 *   -EINVAL          the offset is no multiple of 64 or beyond the region's end,
 *                    or there is no such vector
 *   -ENOENT          open: no such object there
 *   -EPROTONOSUPPORT open: one of another version
 *   -EACCES          the handle is read-only
 *   -EOPNOTSUPP      the device's memory is not mapped write-back
 * Of all that have a deadline:
 *   -EAGAIN          it is 0, and the call would have to wait
 *   -ETIMEDOUT       it passed
 *   -EINTR           a signal came while asleep
 *   -ENODEV          the device is gone, or the server
 */
#ifndef IVSHMEM_SYNC_H
#define IVSHMEM_SYNC_H

#include <ivshmem.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of each object; its offset is a multiple of 64. */
#define IVSHMEM_SYNC_SIZE	512

struct ivshmem_mutex;
struct ivshmem_semaphore;
struct ivshmem_event;

/*
 * Mutexes
 *
 * When the owner's machine (on the host: its program) is known to have left,
 * the next to lock gets the mutex and -EOWNERDEAD, as with robust mutexes of
 * POSIX. It is known on the host, by the server; elsewhere somebody has to tell,
 * by ivshmem_mutex_recover(). A program that dies on a machine that lives on
 * does not unlock, and nobody knows: that has to be told as well. Who has no peer
 * number (its device has no doorbell) cannot be named, so what it held when it
 * died stays locked: make the mutex anew.
 */

/*
 * ivshmem_mutex_create - make a mutex, unlocked; ivshmem_mutex_open - use it
 * @vector: the own vector by which others wake this program
 */
int ivshmem_mutex_create(struct ivshmem *handle, uint64_t offset,
			 uint32_t vector, struct ivshmem_mutex **mutex);
int ivshmem_mutex_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       struct ivshmem_mutex **mutex);

/* Does not unlock. NULL is allowed. */
void ivshmem_mutex_close(struct ivshmem_mutex *mutex);

/*
 * ivshmem_mutex_lock
 *
 * -EOWNERDEAD: locked, but its owner was gone, and what it protects may be half
 * done: put that right and call ivshmem_mutex_consistent(). Whoever unlocks
 * without that makes it useless for ever: -ENOTRECOVERABLE, not locked.
 * -EDEADLK: this thread has it.
 */
int ivshmem_mutex_lock(struct ivshmem_mutex *mutex, int64_t deadline);

/* -EPERM: this thread does not have it, or it was taken away by recovery. */
int ivshmem_mutex_unlock(struct ivshmem_mutex *mutex);

/* After -EOWNERDEAD: all is right again. -EINVAL: it was, or is not ours. */
int ivshmem_mutex_consistent(struct ivshmem_mutex *mutex);

/*
 * ivshmem_mutex_recover - say that the mutex's owner is gone
 * @peer: whose peer number must be this one
 *
 * If it was not gone it will have no mutex any more, without knowing.
 * -ENOENT: that peer does not have it.
 */
int ivshmem_mutex_recover(struct ivshmem_mutex *mutex, uint32_t peer);

/* Semaphores: permits, 0 to IVSHMEM_SEMAPHORE_MAX. They belong to nobody. */
#define IVSHMEM_SEMAPHORE_MAX	0x7fffffff

/* -EINVAL as well: more permits than there can be. */
int ivshmem_semaphore_create(struct ivshmem *handle, uint64_t offset,
			     uint32_t vector, uint32_t permits,
			     struct ivshmem_semaphore **semaphore);
int ivshmem_semaphore_open(struct ivshmem *handle, uint64_t offset,
			   uint32_t vector,
			   struct ivshmem_semaphore **semaphore);
void ivshmem_semaphore_close(struct ivshmem_semaphore *semaphore);

/* Take one permit, when there is one. */
int ivshmem_semaphore_wait(struct ivshmem_semaphore *semaphore, int64_t deadline);

/* Give one. -EOVERFLOW: there are as many as can be. */
int ivshmem_semaphore_post(struct ivshmem_semaphore *semaphore);

/* How many there were a moment ago. */
uint32_t ivshmem_semaphore_value(struct ivshmem_semaphore *semaphore);

/* Events: set or not. */

/* ivshmem_event_create() flags */
#define IVSHMEM_EVENT_AUTO_RESET	(1U << 0)	/* one waiter takes it */
#define IVSHMEM_EVENT_SET		(1U << 1)	/* set from the begin */

/* -EINVAL as well: unknown flag. */
int ivshmem_event_create(struct ivshmem *handle, uint64_t offset,
			 uint32_t vector, unsigned int flags,
			 struct ivshmem_event **event);
int ivshmem_event_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       struct ivshmem_event **event);
void ivshmem_event_close(struct ivshmem_event *event);

/* Wait until it is set. With AUTO_RESET it is not any more then. */
int ivshmem_event_wait(struct ivshmem_event *event, int64_t deadline);

/* Setting what is set changes nothing. */
void ivshmem_event_set(struct ivshmem_event *event);
void ivshmem_event_reset(struct ivshmem_event *event);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_SYNC_H */
