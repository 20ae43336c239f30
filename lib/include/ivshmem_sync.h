/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mutexes, semaphores and events between machines
 *
 * Each is an object of IVSHMEM_SYNC_SIZE bytes in the region. A call that has to wait
 * spins for a while, then sleeps until it is rung. Without waiters no call makes a
 * system call, except that it asks once a millisecond whether the handle still works.
 *
 * Threads can share an open object, but no other call may run concurrently with its
 * close. Objects can outlive their handle.
 *
 * A program without doorbells makes all who wait for the object look every millisecond,
 * also after it has ended, until somebody opens the object with IVSHMEM_SYNC_RESET.
 *
 * Processes. Objects and handles belong to the process that opened them: see ivshmem.h.
 *
 * Deadlines. 0: do not wait; IVSHMEM_FOREVER; else nanoseconds of
 * CLOCK_MONOTONIC, as returned by ivshmem_after().
 *
 * Memory ordering. Unlocking a mutex, posting a semaphore and setting an event are
 * release operations in the terms of C11; the lock or wait that follows is the acquire.
 * A call that fails orders nothing, except for -EOWNERDEAD.
 *
 * Trust. A peer that can write to the region can corrupt the object, which makes calls
 * fail or wait forever, but nothing worse.
 *
 * Errors of open:
 *   -EINVAL          offset not a multiple of 64 or beyond the region's end, no such
 *                    vector, unknown flag, or a combination that makes no sense
 *   -ENOENT          no such object, and IVSHMEM_SYNC_CREATE is not set
 *   -EEXIST          IVSHMEM_SYNC_EXCLUSIVE: there is an object already;
 *                    IVSHMEM_SYNC_CREATE: there is one of another kind
 *   -EPROTONOSUPPORT an object of another version
 *   -EACCES          the handle is read-only
 *   -EOPNOTSUPP      the device's memory is not mapped write-back
 *   -ENODEV          the device or the server is gone
 *   -ENOMEM, -EMFILE, -ENFILE
 * Errors of calls with a deadline:
 *   -EAGAIN          the deadline is 0, and the call would have to wait
 *   -ETIMEDOUT       the deadline passed
 *   -EINTR           interrupted by a signal
 *   -ENODEV          the device or the server is gone, even if there is no need to wait
 *   -EUSERS          too many sleepers on a guest
 * Of all calls but open and close:
 *   -EPERM           a child after fork() uses an object of its parent
 * Once the server is gone, unlock, post, set and reset still work.
 */
#ifndef IVSHMEM_SYNC_H
#define IVSHMEM_SYNC_H

#include <ivshmem.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of each object; its offset is a multiple of 64. */
#define IVSHMEM_SYNC_SIZE	1024

/*
 * Flags of all open calls. With 0 an object is opened, which has to exist.
 *
 * CREATE: create it if it does not exist. Any number of programs, on any machines, can do
 * so at once, and all get the same object, even if some of them die meanwhile. They
 * must agree on its first value. What was in its place is overwritten.
 * CREATE | EXCLUSIVE: create it, and fail with -EEXIST if it exists. At most one of
 * several programs succeeds.
 * CREATE | RESET: create it again even if it exists and whatever it is. Only for a time
 * when no other program opens or uses it, or to mend it by hand: a mutex that is locked
 * becomes unlocked.
 */
#define IVSHMEM_SYNC_CREATE	(1U << 0)
#define IVSHMEM_SYNC_EXCLUSIVE	(1U << 1)
#define IVSHMEM_SYNC_RESET	(1U << 2)

struct ivshmem_mutex;
struct ivshmem_semaphore;
struct ivshmem_event;

/*
 * Mutexes
 *
 * When the owner is known to have died, the next lock call gets the mutex and returns
 * -EOWNERDEAD, as with robust POSIX mutexes. An owner that is alive never loses the mutex,
 * however slow it is, unless a program reports its death. That its peer is silent, in the peer
 * area of a label, says nothing: it may have been stopped.
 *
 * - Owner and caller are programs on the host: the caller knows by itself, for the owner
 *   holds a lock on the file of the memory. This needs the right to open that file
 *   again by /proc/self/fd; an owner without it counts as a guest. It needs no server, but
 *   one more descriptor for all mutexes of a handle.
 * - The owner is a guest, and the caller is on the host: the server must report that the
 *   guest's machine has disconnected, while the caller waits, or between two calls of
 *   which the first found that guest to be the owner.
 * - The caller is a guest: a program must report it by ivshmem_peer_gone(), likewise.
 * - In all other cases, for example if a program dies in a guest that goes on running: a
 *   program must report it by ivshmem_mutex_recover().
 *
 * A server that restarts on the same memory disconnects all its peers, but they live on:
 * none is taken for dead, and they can unlock. But a new server that gives their ids
 * again, which ivshmem-server does only after 65280 others, has a guest of the old one
 * taken for dead when a new peer with its id disconnects. So restart guests as well, or
 * let none of their programs hold a mutex.
 */

/*
 * ivshmem_mutex_open - open or create a mutex
 * @vector: the own vector by which others wake this program
 * @flags: IVSHMEM_SYNC_*
 *
 * A new mutex is unlocked.
 */
int ivshmem_mutex_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       unsigned int flags, struct ivshmem_mutex **mutex);

/* If this object has locked the mutex, that is the death of its owner. NULL is allowed. */
void ivshmem_mutex_close(struct ivshmem_mutex *mutex);

/*
 * ivshmem_mutex_lock
 *
 * -EOWNERDEAD: locked, but the owner has died, so the protected data may be inconsistent:
 * repair it and call ivshmem_mutex_consistent(). Unlocking without that makes the mutex
 * unusable: later calls fail with -ENOTRECOVERABLE. -EDEADLK: this thread has locked it, by
 * this object; by another one it would wait for itself.
 */
int ivshmem_mutex_lock(struct ivshmem_mutex *mutex, int64_t deadline);

/* -EPERM: this thread does not own it, or recovery or a reset has taken it away. */
int ivshmem_mutex_unlock(struct ivshmem_mutex *mutex);

/* After -EOWNERDEAD: the data is consistent. -EINVAL: was consistent, or not the owner. */
int ivshmem_mutex_consistent(struct ivshmem_mutex *mutex);

/*
 * ivshmem_mutex_recover - report that the mutex's owner has died
 * @peer: the id of the owner; IVSHMEM_ID_UNKNOWN: it has none (a device without doorbells)
 *
 * An owner that is alive loses the mutex, and learns that from its unlock. -ENOENT: the
 * peer does not own it.
 */
int ivshmem_mutex_recover(struct ivshmem_mutex *mutex, uint32_t peer);

/* Semaphores: 0 to IVSHMEM_SEMAPHORE_MAX permits, without owners. */
#define IVSHMEM_SEMAPHORE_MAX	0x7fffffff

/* A new one has that many permits. Also -EINVAL: too many. */
int ivshmem_semaphore_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
			   unsigned int flags, uint32_t permits,
			   struct ivshmem_semaphore **semaphore);
void ivshmem_semaphore_close(struct ivshmem_semaphore *semaphore);

/* Take a permit; wait until there is one. */
int ivshmem_semaphore_wait(struct ivshmem_semaphore *semaphore, int64_t deadline);

/* Return a permit. -EOVERFLOW: already the maximum. */
int ivshmem_semaphore_post(struct ivshmem_semaphore *semaphore);

/* The number of permits; may already have changed. */
uint32_t ivshmem_semaphore_value(struct ivshmem_semaphore *semaphore);

/* Events */

/* More flags of ivshmem_event_open(), for a new event. An existing one stays as it is. */
#define IVSHMEM_EVENT_AUTO_RESET	(1U << 8)	/* a wait resets it */
#define IVSHMEM_EVENT_SET		(1U << 9)	/* initially set */

int ivshmem_event_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       unsigned int flags, struct ivshmem_event **event);
void ivshmem_event_close(struct ivshmem_event *event);

/* Wait until the event is set, and reset it if it is AUTO_RESET. */
int ivshmem_event_wait(struct ivshmem_event *event, int64_t deadline);

/* Setting a set event changes nothing. */
int ivshmem_event_set(struct ivshmem_event *event);
int ivshmem_event_reset(struct ivshmem_event *event);

#ifdef __cplusplus
}
#endif

#endif /* IVSHMEM_SYNC_H */
