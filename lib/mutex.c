// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mutexes that survive their owner.
 *
 * The value of the word is the owner (owner.c). Together with the round it tells one
 * lock from all others. Once the owner is known to have died, some waiter takes the
 * mutex from it and marks it inconsistent.
 *
 * It is known in one of two ways. A program on the host knows about other programs on
 * the host. About all others it has to be told that the owner's peer has left, after it
 * has seen that owner: what it was told before may have been about an earlier peer with
 * that id. Nothing else counts, such as that a peer is not listed: the news that it has
 * come may be late, or be known to another server only.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>

#include "owner.h"
#include "sync.h"

#define INCONSISTENT	SYNC_FLAG(0)	/* an owner has died */
#define USELESS		SYNC_FLAG(1)	/* unlocked while inconsistent */

struct ivshmem_mutex {
	struct sync sync;
	uint64_t owner;			/* this program, by this object */

	/* The thread that has locked it, and the lock; written in this order. */
	_Atomic uint64_t holder;
	_Atomic uint64_t held;

	pthread_mutex_t lock;		/* protects all below */
	uint64_t watched;		/* the owner seen last */
	uint32_t disconnects;		/* of its peer, when it was seen first */
};

int ivshmem_mutex_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       unsigned int flags, struct ivshmem_mutex **mutex)
{
	struct sync_object object = {
		.handle = handle,
		.offset = offset,
		.vector = vector,
		.flags = flags,
		.kind = SYNC_MUTEX,
	};
	IVSHMEM_CANCEL_OFF(cancel);
	struct ivshmem_mutex *new;
	uint64_t former;
	int error;

	*mutex = NULL;
	error = ivshmem_sync_open(&object, sizeof(*new), &new);
	if (error)
		return error;
	former = sync_value(atomic_load(&new->sync.area->word));
	error = ivshmem_owner_begin(handle, new->sync.id, former, &new->owner);
	if (error) {
		ivshmem_sync_close(&new->sync);
		return error;
	}
	pthread_mutex_init(&new->lock, NULL);
	*mutex = new;
	return 0;
}

/* Threads */

/* A number that no other thread of this program gets, also after this one has ended. */
static uint64_t this_thread(void)
{
	static _Atomic uint64_t last;
	static _Thread_local uint64_t number;

	if (!number)
		number = ++last;
	return number;
}

/* What tells one lock from all others. */
static uint64_t acquisition(uint64_t word)
{
	return word & (SYNC_VALUE | SYNC_ROUND);
}

/* The lock of this thread, or 0. It may have been taken away. */
static uint64_t own_lock(struct ivshmem_mutex *mutex)
{
	uint64_t held = mutex->held;

	return mutex->holder == this_thread() ? held : 0;
}

static bool is_mine(struct ivshmem_mutex *mutex, uint64_t word)
{
	return sync_value(word) && own_lock(mutex) == acquisition(word);
}

/* Lock it if the word is still that, which it becomes. */
static bool take(struct ivshmem_mutex *mutex, uint64_t *word)
{
	uint64_t locked = *word | mutex->owner << SYNC_VALUE_SHIFT;

	if (!atomic_compare_exchange_strong(&mutex->sync.area->word, word, locked))
		return false;
	mutex->holder = this_thread();
	mutex->held = acquisition(locked);
	return true;
}

/* Owners */

/* Take it from its owner, for this reason, if the word is still that, which it becomes. */
static bool take_away(struct ivshmem_mutex *mutex, uint64_t *word, const char *reason)
{
	uint64_t owner = sync_value(*word);

	if (!atomic_compare_exchange_strong(&mutex->sync.area->word, word,
					    sync_next(*word, 0) | INCONSISTENT))
		return false;
	ivshmem_log(IVSHMEM_LOG_INFO, "%s: mutex at %#" PRIx64 ": taken from peer %d: %s",
		    mutex->sync.handle->name, mutex->sync.offset,
		    owner & OWNER_HAS_ID ? (int)(owner & OWNER_ID) : -1, reason);
	ivshmem_sync_wake(&mutex->sync, *word);
	return true;
}

/* Whether the owner's peer has left since this object saw the owner, or looked last. */
static bool has_left(struct ivshmem_mutex *mutex, uint64_t owner, bool again)
{
	uint32_t disconnects = ivshmem_disconnects(mutex->sync.handle, owner & OWNER_ID);
	bool left;

	pthread_mutex_lock(&mutex->lock);
	if (mutex->watched != owner) {
		mutex->watched = owner;
		mutex->disconnects = disconnects;
	}
	left = mutex->disconnects != disconnects;
	if (again)
		mutex->disconnects = disconnects;
	pthread_mutex_unlock(&mutex->lock);
	return left;
}

static bool is_dead(struct ivshmem_mutex *mutex, uint64_t owner, struct sync_wait *wait)
{
	struct ivshmem *handle = mutex->sync.handle;
	bool known = ivshmem_owner_is_known(handle, owner);
	bool left;

	if (owner == mutex->owner)
		return false;
	left = owner & OWNER_HAS_ID && has_left(mutex, owner, known);
	if (!known)
		return left;
	/* A program that ends may leave before its lock is gone: look again soon. */
	if (left)
		wait->park.interval = 0;
	return ivshmem_owner_has_ended(handle, owner);
}

/* Calls */

int ivshmem_mutex_lock(struct ivshmem_mutex *mutex, int64_t deadline)
{
	struct sync_wait wait = { .deadline = deadline };
	int error = ivshmem_sync_enter(&mutex->sync);
	uint64_t word = atomic_load(&mutex->sync.area->word);

	if (!error && is_mine(mutex, word))
		return -EDEADLK;
	while (!error) {
		if (word & USELESS)
			return -ENOTRECOVERABLE;
		if (!sync_value(word)) {
			if (take(mutex, &word))
				return word & INCONSISTENT ? -EOWNERDEAD : 0;
		} else if (is_dead(mutex, sync_value(word), &wait)) {
			take_away(mutex, &word, "it has died");
			word = atomic_load(&mutex->sync.area->word);
		} else {
			error = ivshmem_sync_wait(&mutex->sync, &wait, &word);
		}
	}
	return error;
}

int ivshmem_mutex_unlock(struct ivshmem_mutex *mutex)
{
	_Atomic uint64_t *place = &mutex->sync.area->word;
	int error = ivshmem_sync_check(&mutex->sync);
	uint64_t held = own_lock(mutex);
	uint64_t word = atomic_load(place);
	uint64_t unlocked;

	if (error)
		return error;
	if (!held)
		return ivshmem_fail(-EPERM, "this thread has not locked the mutex");
	/* The next thread that locks it writes this. */
	mutex->holder = 0;
	do {
		if (acquisition(word) != held)
			return ivshmem_fail(-EPERM, "the mutex was taken from this thread");
		unlocked = sync_next(word, 0);
		if (word & INCONSISTENT)
			unlocked ^= INCONSISTENT | USELESS;
	} while (!atomic_compare_exchange_strong(place, &word, unlocked));
	ivshmem_sync_wake(&mutex->sync, word);
	return 0;
}

int ivshmem_mutex_consistent(struct ivshmem_mutex *mutex)
{
	_Atomic uint64_t *place = &mutex->sync.area->word;
	int error = ivshmem_sync_check(&mutex->sync);
	uint64_t word = atomic_load(place);

	if (error)
		return error;
	do {
		if (!is_mine(mutex, word))
			return ivshmem_fail(-EINVAL, "this thread has not locked the mutex");
		if (!(word & INCONSISTENT))
			return ivshmem_fail(-EINVAL, "the mutex is consistent");
	} while (!atomic_compare_exchange_strong(place, &word, word & ~INCONSISTENT));
	return 0;
}

int ivshmem_mutex_recover(struct ivshmem_mutex *mutex, uint32_t peer)
{
	int error = ivshmem_sync_check(&mutex->sync);
	uint64_t word = atomic_load(&mutex->sync.area->word);
	uint64_t wanted = peer <= IVSHMEM_MAX_PEER ? OWNER_HAS_ID | peer : 0;
	uint64_t owner;

	if (error)
		return error;
	do {
		owner = sync_value(word);
		if (!owner)
			return ivshmem_fail(-ENOENT, "nobody has locked the mutex");
		if ((owner & (OWNER_HAS_ID | OWNER_ID)) != wanted ||
		    (!wanted && peer != IVSHMEM_ID_UNKNOWN))
			return ivshmem_fail(-ENOENT, "the mutex's owner is peer %d, not %d",
					    owner & OWNER_HAS_ID ? (int)(owner & OWNER_ID) : -1,
					    (int)peer);
	} while (!take_away(mutex, &word, "it is reported to have died"));
	return 0;
}

void ivshmem_mutex_close(struct ivshmem_mutex *mutex)
{
	IVSHMEM_CANCEL_OFF(cancel);
	uint64_t word;

	if (!mutex)
		return;
	if (!ivshmem_sync_check(&mutex->sync)) {
		word = atomic_load(&mutex->sync.area->word);
		while (sync_value(word) == mutex->owner && !take_away(mutex, &word, "it closes it"))
			;
		ivshmem_owner_end(mutex->sync.handle, mutex->owner);
	}
	pthread_mutex_destroy(&mutex->lock);
	ivshmem_sync_close(&mutex->sync);
}
