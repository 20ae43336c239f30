/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mutexes, semaphores and events between machines
 *
 * Each is an object of IVSHMEM_SYNC_SIZE bytes in the region. One program creates it,
 * all others open it. A call that has to wait spins for a while, then sleeps until it is
 * rung. Without waiters, no call makes a system call.
 *
 * Threads can share an open object, but no other call may run concurrently with its
 * close.
 *
 * Deadlines. 0: do not wait; IVSHMEM_FOREVER; else nanoseconds of
 * CLOCK_MONOTONIC, as returned by ivshmem_after().
 *
 * Memory ordering. Unlocking a mutex, posting a semaphore and setting an event are
 * release operations in the terms of C11; the lock or wait that follows is the acquire.
 * A call that fails orders nothing.
 *
 * Trust. A peer that can write to the region can corrupt the object, which makes calls
 * fail or wait forever, but nothing worse.
 *
 * Errors of create and open:
 *   -EINVAL          offset not a multiple of 64 or beyond the region's end, or no such
 *                    vector
 *   -ENOENT          open: no such object
 *   -EPROTONOSUPPORT open: an object of another version
 *   -EACCES          the handle is read-only
 *   -EOPNOTSUPP      the device's memory is not mapped write-back
 * Errors of calls with a deadline:
 *   -EAGAIN          the deadline is 0, and the call would have to wait
 *   -ETIMEDOUT       the deadline passed
 *   -EINTR           interrupted by a signal
 *   -ENODEV          the device or the server is gone
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
 * When the owner's machine (on the host: its program) is known to have disconnected, the
 * next lock call gets the mutex and returns -EOWNERDEAD, as with robust POSIX mutexes. On
 * the host the server reports disconnects. Elsewhere, and when a program dies on a
 * running machine, there is no report: a program that knows must call
 * ivshmem_mutex_recover(). An owner without a peer id (a device without doorbells) cannot
 * be identified, so its mutexes stay locked after its death: create them again.
 */

/*
 * ivshmem_mutex_create - create an unlocked mutex
 * ivshmem_mutex_open - open an existing one
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
 * -EOWNERDEAD: locked, but the owner has died, so the protected data may be inconsistent:
 * repair it and call ivshmem_mutex_consistent(). Unlocking without that makes the mutex
 * unusable: later calls fail with -ENOTRECOVERABLE. -EDEADLK: this thread owns it.
 */
int ivshmem_mutex_lock(struct ivshmem_mutex *mutex, int64_t deadline);

/* -EPERM: this thread does not own it, or recovery has taken it away. */
int ivshmem_mutex_unlock(struct ivshmem_mutex *mutex);

/* After -EOWNERDEAD: the data is consistent. -EINVAL: was consistent, or not the owner. */
int ivshmem_mutex_consistent(struct ivshmem_mutex *mutex);

/*
 * ivshmem_mutex_recover - report that the mutex's owner has died
 * @peer: the id of the owner
 *
 * An owner that is alive loses the mutex without notice. -ENOENT: the peer does not own
 * it.
 */
int ivshmem_mutex_recover(struct ivshmem_mutex *mutex, uint32_t peer);

/* Semaphores: 0 to IVSHMEM_SEMAPHORE_MAX permits, without owners. */
#define IVSHMEM_SEMAPHORE_MAX	0x7fffffff

/* Also -EINVAL: too many permits. */
int ivshmem_semaphore_create(struct ivshmem *handle, uint64_t offset,
			     uint32_t vector, uint32_t permits,
			     struct ivshmem_semaphore **semaphore);
int ivshmem_semaphore_open(struct ivshmem *handle, uint64_t offset,
			   uint32_t vector,
			   struct ivshmem_semaphore **semaphore);
void ivshmem_semaphore_close(struct ivshmem_semaphore *semaphore);

/* Take a permit; wait until there is one. */
int ivshmem_semaphore_wait(struct ivshmem_semaphore *semaphore, int64_t deadline);

/* Return a permit. -EOVERFLOW: already the maximum. */
int ivshmem_semaphore_post(struct ivshmem_semaphore *semaphore);

/* The number of permits; may already have changed. */
uint32_t ivshmem_semaphore_value(struct ivshmem_semaphore *semaphore);

/* Events */

/* ivshmem_event_create() flags */
#define IVSHMEM_EVENT_AUTO_RESET	(1U << 0)	/* a wait resets it */
#define IVSHMEM_EVENT_SET		(1U << 1)	/* initially set */

/* Also -EINVAL: unknown flag. */
int ivshmem_event_create(struct ivshmem *handle, uint64_t offset,
			 uint32_t vector, unsigned int flags,
			 struct ivshmem_event **event);
int ivshmem_event_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       struct ivshmem_event **event);
void ivshmem_event_close(struct ivshmem_event *event);

/* Wait until the event is set, and reset it if it is AUTO_RESET. */
int ivshmem_event_wait(struct ivshmem_event *event, int64_t deadline);

/* Setting a set event has no effect. */
void ivshmem_event_set(struct ivshmem_event *event);
void ivshmem_event_reset(struct ivshmem_event *event);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_SYNC_H */
