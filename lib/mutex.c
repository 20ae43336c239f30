// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Mutexes that survive their owner.
 *
 * The word tells the owner's peer number and counts how often the mutex was
 * locked, so that a waiter can tell whether the owner that it saw before is
 * still the same. Once that owner's machine has left, some waiter takes the
 * mutex from it and marks it inconsistent.
 *
 * A peer that the server does not list has left as well, before we saw the
 * mutex; but it may also have come so lately that we are yet to be told.
 */
#include <errno.h>
#include <linux/ivshmem.h>
#include <pthread.h>
#include <stdlib.h>

#include "sync.h"

#define OWNER		0x1ffffU	/* peer number plus one; 0: unlocked */
#define LOCKED_ONCE	0x20000U
#define LOCK_COUNT	0x1ffe0000U
#define USELESS		0x20000000U	/* unlocked while inconsistent */
#define INCONSISTENT	0x40000000U	/* an owner was gone */

#define NO_NUMBER	(IVSHMEM_MAX_PEER + 2)	/* an owner without a peer number */
#define ARRIVAL_NS	(NSEC_PER_SEC / 2)	/* time to hear of an arrival */

struct ivshmem_mutex {
	struct sync sync;
	_Atomic pthread_t holder;	/* the thread that has locked this object */
	_Atomic uint32_t held;		/* owner and count then; 0: none has */

	/* Under mutexes_lock. */
	struct ivshmem_mutex *next;
	uint32_t watched;		/* owner and count as others have it */
	uint32_t disconnects;		/* of the owner, when first seen */
	int64_t since;			/* that was then */
};

/* All of this program: what it has locked itself, no dead program has. */
static pthread_mutex_t mutexes_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ivshmem_mutex *mutexes;

static int enlist(int error, struct ivshmem_mutex *mutex)
{
	if (error)
		return error;
	pthread_mutex_lock(&mutexes_lock);
	mutex->next = mutexes;
	mutexes = mutex;
	pthread_mutex_unlock(&mutexes_lock);
	return 0;
}

int ivshmem_mutex_create(struct ivshmem *handle, uint64_t offset,
			 uint32_t vector, struct ivshmem_mutex **mutex)
{
	int error = ivshmem_sync_create(handle, offset, vector, SYNC_MUTEX, 0,
					sizeof(**mutex), mutex);

	return enlist(error, *mutex);
}

int ivshmem_mutex_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       struct ivshmem_mutex **mutex)
{
	static const uint64_t kinds[2] = { SYNC_MUTEX, SYNC_MUTEX };
	int error = ivshmem_sync_open(handle, offset, vector, kinds,
				      sizeof(**mutex), mutex);

	return enlist(error, *mutex);
}

void ivshmem_mutex_close(struct ivshmem_mutex *mutex)
{
	struct ivshmem_mutex **place = &mutexes;

	if (!mutex)
		return;
	pthread_mutex_lock(&mutexes_lock);
	while (*place != mutex)
		place = &(*place)->next;
	*place = mutex->next;
	pthread_mutex_unlock(&mutexes_lock);
	ivshmem_sync_close(&mutex->sync);
}

static uint32_t acquisition(uint32_t word)
{
	return word & (OWNER | LOCK_COUNT);
}

static bool is_mine(struct ivshmem_mutex *mutex)
{
	return mutex->held && pthread_equal(mutex->holder, pthread_self());
}

/* Lock it if the word is still that, which it becomes. */
static bool take(struct ivshmem_mutex *mutex, uint32_t *word)
{
	uint32_t id = mutex->sync.id;
	uint32_t locked = (*word & (SYNC_WAITERS | INCONSISTENT)) |
			  ((*word + LOCKED_ONCE) & LOCK_COUNT) |
			  (id <= IVSHMEM_MAX_PEER ? id + 1 : NO_NUMBER);
	bool done;

	pthread_mutex_lock(&mutexes_lock);
	done = atomic_compare_exchange_strong(&mutex->sync.area->word, word,
					      locked);
	if (done) {
		mutex->holder = pthread_self();
		mutex->held = acquisition(locked);
	}
	pthread_mutex_unlock(&mutexes_lock);
	return done;
}

/* Take it from its owner if the word is still that, which it becomes. */
static bool take_away(struct ivshmem_mutex *mutex, uint32_t *word)
{
	if (!atomic_compare_exchange_strong(&mutex->sync.area->word, word,
					    (*word & LOCK_COUNT) | INCONSISTENT))
		return false;
	ivshmem_sync_wake(&mutex->sync, *word);
	return true;
}

/* Whether this program has it, through whatever object; mutexes_lock held. */
static bool is_ours(const struct ivshmem_mutex *mutex, uint32_t word)
{
	const struct ivshmem_mutex *other;

	for (other = mutexes; other; other = other->next)
		if (other->sync.handle == mutex->sync.handle &&
		    other->sync.offset == mutex->sync.offset &&
		    other->held == acquisition(word))
			return true;
	return false;
}

/* mutexes_lock held. */
static bool has_left(struct ivshmem_mutex *mutex, uint32_t word, uint32_t owner)
{
	struct ivshmem *handle = mutex->sync.handle;
	uint32_t disconnects = ivshmem_disconnects(handle, owner);

	if (mutex->watched != acquisition(word)) {
		mutex->watched = acquisition(word);
		mutex->disconnects = disconnects;
		mutex->since = ivshmem_now();
	}
	if (mutex->disconnects != disconnects)
		return true;
	if (!handle->ops->has_peer)
		return false;
	/* A program on the host is the only one by its number. */
	if (owner == mutex->sync.id)
		return !is_ours(mutex, word);
	return !handle->ops->has_peer(handle, owner) &&
	       ivshmem_now() - mutex->since > ARRIVAL_NS;
}

static bool owner_has_left(struct ivshmem_mutex *mutex, uint32_t word)
{
	uint32_t number = word & OWNER;
	bool left;

	if (number > IVSHMEM_MAX_PEER + 1)
		return false;
	pthread_mutex_lock(&mutexes_lock);
	left = has_left(mutex, word, number - 1);
	pthread_mutex_unlock(&mutexes_lock);
	return left;
}

int ivshmem_mutex_lock(struct ivshmem_mutex *mutex, int64_t deadline)
{
	struct sync_wait wait = { .deadline = deadline };
	uint32_t word = atomic_load(&mutex->sync.area->word);
	int error = 0;

	if (is_mine(mutex) && mutex->held == acquisition(word))
		return -EDEADLK;
	while (!error) {
		if (word & USELESS)
			return -ENOTRECOVERABLE;
		if (!(word & OWNER)) {
			if (take(mutex, &word))
				return word & INCONSISTENT ? -EOWNERDEAD : 0;
		} else if (owner_has_left(mutex, word)) {
			take_away(mutex, &word);
			word = atomic_load(&mutex->sync.area->word);
		} else {
			error = ivshmem_sync_wait(&mutex->sync, &wait, &word);
		}
	}
	return error;
}

int ivshmem_mutex_unlock(struct ivshmem_mutex *mutex)
{
	_Atomic uint32_t *place = &mutex->sync.area->word;
	uint32_t word = atomic_load(place);
	uint32_t held = mutex->held;
	uint32_t unlocked;

	if (!is_mine(mutex))
		return -EPERM;
	pthread_mutex_lock(&mutexes_lock);
	mutex->held = 0;
	do {
		unlocked = (word & LOCK_COUNT) |
			   (word & INCONSISTENT ? USELESS : 0);
	} while (acquisition(word) == held &&
		 !atomic_compare_exchange_strong(place, &word, unlocked));
	pthread_mutex_unlock(&mutexes_lock);
	if (acquisition(word) != held)
		return -EPERM;
	ivshmem_sync_wake(&mutex->sync, word);
	return 0;
}

int ivshmem_mutex_consistent(struct ivshmem_mutex *mutex)
{
	_Atomic uint32_t *place = &mutex->sync.area->word;
	uint32_t word = atomic_load(place);

	do {
		if (!is_mine(mutex) || acquisition(word) != mutex->held ||
		    !(word & INCONSISTENT))
			return -EINVAL;
	} while (!atomic_compare_exchange_strong(place, &word,
						 word & ~INCONSISTENT));
	return 0;
}

int ivshmem_mutex_recover(struct ivshmem_mutex *mutex, uint32_t peer)
{
	uint32_t word = atomic_load(&mutex->sync.area->word);

	do {
		if (peer > IVSHMEM_MAX_PEER || (word & OWNER) != peer + 1)
			return -ENOENT;
	} while (!take_away(mutex, &word));
	return 0;
}
