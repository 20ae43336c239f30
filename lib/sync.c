// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Objects that several machines wait for.
 *
 * A caller that is about to sleep enters itself among the sleepers, then sets
 * SYNC_WAITERS in the word, then sleeps while the word stays as it is. A
 * change of the word clears SYNC_WAITERS in the same atomic operation; if it was
 * set, the caller rings all sleepers, each once. An entry stays for the next time;
 * that of a dead machine is rung at most once.
 *
 * All operations on the word are sequentially consistent, which is more than
 * the release and acquire that are promised, and costs nothing more on x86.
 */
#include <errno.h>
#include <linux/ivshmem.h>
#include <stdlib.h>
#include <string.h>

#include "sync.h"

#define SYNC_MAGIC	UINT64_C(0x73686d7600000000)
#define SYNC_VERSION	1
#define SPIN_NS		INT64_C(50000)
#define LOOKS		64	/* at the word between two looks at the clock */

#define SLEEPER_ASLEEP	0x80000000U
#define SLEEPER_THERE	0x40000000U

static uint32_t sleeper(uint32_t id, uint32_t vector)
{
	return SLEEPER_THERE | id << 8 | vector;
}

static int check(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		 struct ivshmem_properties *properties)
{
	int error;

	if (offset % 64 || handle->size < IVSHMEM_SYNC_SIZE ||
	    offset > handle->size - IVSHMEM_SYNC_SIZE)
		return -EINVAL;
	if (handle->read_only)
		return -EACCES;
	error = ivshmem_get_properties(handle, properties);
	if (error)
		return error;
	if (vector >= (handle->vectors ? handle->vectors : IVSHMEM_MAX_VECTORS))
		return -EINVAL;
	return properties->cache == IVSHMEM_CACHE_WB ? 0 : -EOPNOTSUPP;
}

static int map(struct ivshmem *handle, uint64_t offset, uint32_t vector,
	       size_t size, struct sync **sync)
{
	struct ivshmem_properties properties;
	int error = check(handle, offset, vector, &properties);
	size_t before = offset % handle->page;
	struct sync *new;

	*sync = NULL;
	if (error)
		return error;
	new = calloc(1, size);
	if (!new)
		return -ENOMEM;
	new->handle = handle;
	new->offset = offset;
	new->vector = vector;
	new->id = properties.id;
	new->length = before + IVSHMEM_SYNC_SIZE;
	error = ivshmem_map(handle, offset - before, new->length, &new->mapping);
	if (error) {
		free(new);
		return error;
	}
	new->area = (void *)((char *)new->mapping + before);
	ivshmem_handle_get(handle);
	*sync = new;
	return 0;
}

void ivshmem_sync_close(struct sync *sync)
{
	ivshmem_unmap(sync->handle, sync->mapping, sync->length);
	ivshmem_handle_put(sync->handle);
	free(sync);
}

int ivshmem_sync_create(struct ivshmem *handle, uint64_t offset, uint32_t vector,
			uint64_t kind, uint32_t word, size_t size, void *sync)
{
	struct sync **out = sync;
	struct sync_area *area;
	int error = map(handle, offset, vector, size, out);

	if (error)
		return error;
	area = (*out)->area;
	/* Who waits for an earlier object in this place shall see this one. */
	if (atomic_load(&area->magic) >> 32 != SYNC_MAGIC >> 32 ||
	    atomic_load(&area->version) != SYNC_VERSION)
		memset(area, 0, sizeof(*area));
	atomic_store(&area->magic, 0);
	atomic_store(&area->version, SYNC_VERSION);
	atomic_store(&area->mute, (*out)->id == IVSHMEM_ID_UNKNOWN);
	atomic_store(&area->word, word);
	atomic_store(&area->magic, SYNC_MAGIC | kind);
	ivshmem_sync_wake(*out, SYNC_WAITERS);
	return 0;
}

static int recognise(const struct sync_area *area, const uint64_t kinds[2])
{
	uint64_t magic = atomic_load(&area->magic);

	if (magic != (SYNC_MAGIC | kinds[0]) && magic != (SYNC_MAGIC | kinds[1]))
		return -ENOENT;
	return atomic_load(&area->version) == SYNC_VERSION ? 0 :
							     -EPROTONOSUPPORT;
}

int ivshmem_sync_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		      const uint64_t kinds[2], size_t size, void *sync)
{
	struct sync **out = sync;
	int error = map(handle, offset, vector, size, out);

	if (error)
		return error;
	error = recognise((*out)->area, kinds);
	if (error) {
		ivshmem_sync_close(*out);
		*out = NULL;
		return error;
	}
	if ((*out)->id == IVSHMEM_ID_UNKNOWN)
		atomic_store(&(*out)->area->mute, 1);
	return 0;
}

/* Enter ourselves among the sleepers. False: there is no place left. */
static bool enlist(struct sync *sync)
{
	uint32_t self = sleeper(sync->id, sync->vector);
	uint32_t found;
	int n;

	for (n = 0; n < SYNC_SLEEPERS; n++) {
		_Atomic uint32_t *place = &sync->area->sleepers[n];

		found = atomic_load(place);
		if (!found)
			atomic_compare_exchange_strong(place, &found, self);
		/* Not taken meanwhile: what was found is what is there. */
		if (!found || (found & ~SLEEPER_ASLEEP) == self) {
			atomic_fetch_or(place, SLEEPER_ASLEEP);
			return true;
		}
	}
	return false;
}

/* Look for a while, once in each wait. */
static bool spin(struct sync *sync, struct sync_wait *wait, uint32_t word)
{
	int64_t time = ivshmem_now();
	int n;

	if (!wait->spin_end)
		wait->spin_end = time + SPIN_NS;
	for (; time < wait->spin_end; time = ivshmem_now()) {
		if (ivshmem_is_over(wait->deadline, time))
			return false;
		for (n = 0; n < LOOKS; n++) {
			if (atomic_load(&sync->area->word) != word)
				return true;
			ivshmem_relax();
		}
	}
	return false;
}

int ivshmem_sync_wait(struct sync *sync, struct sync_wait *wait, uint32_t *word)
{
	bool rung = sync->id <= IVSHMEM_MAX_PEER &&
		    ivshmem_has_doorbell(sync->handle, sync->vector) &&
		    !atomic_load(&sync->area->mute);
	int error;

	if (!wait->deadline)
		return -EAGAIN;
	if (!spin(sync, wait, *word)) {
		rung = rung && enlist(sync);
		if (!(*word & SYNC_WAITERS) &&
		    !atomic_compare_exchange_strong(&sync->area->word, word,
						    *word | SYNC_WAITERS))
			return 0;
		wait->park.handle = sync->handle;
		wait->park.offset = sync->offset +
				    offsetof(struct sync_area, word);
		wait->park.vector = sync->vector;
		wait->park.rung = rung;
		wait->park.deadline = wait->deadline;
		error = ivshmem_park(&wait->park, *word | SYNC_WAITERS);
		if (error)
			return error;
	}
	*word = atomic_load(&sync->area->word);
	return 0;
}

void ivshmem_sync_wake(struct sync *sync, uint32_t word)
{
	uint32_t found;
	int n;

	if (!(word & SYNC_WAITERS))
		return;
	for (n = 0; n < SYNC_SLEEPERS; n++) {
		_Atomic uint32_t *place = &sync->area->sleepers[n];

		found = atomic_load(place);
		if (!found)
			return;
		if (!(found & SLEEPER_ASLEEP))
			continue;
		atomic_fetch_and(place, ~SLEEPER_ASLEEP);
		ivshmem_ring(sync->handle, found >> 8 & IVSHMEM_MAX_PEER,
			     found & (IVSHMEM_MAX_VECTORS - 1));
	}
}

/* Semaphores: the word is the number of permits. */

struct ivshmem_semaphore {
	struct sync sync;
};

int ivshmem_semaphore_create(struct ivshmem *handle, uint64_t offset,
			     uint32_t vector, uint32_t permits,
			     struct ivshmem_semaphore **semaphore)
{
	*semaphore = NULL;
	if (permits > IVSHMEM_SEMAPHORE_MAX)
		return -EINVAL;
	return ivshmem_sync_create(handle, offset, vector, SYNC_SEMAPHORE,
				   permits, sizeof(**semaphore), semaphore);
}

int ivshmem_semaphore_open(struct ivshmem *handle, uint64_t offset,
			   uint32_t vector, struct ivshmem_semaphore **semaphore)
{
	static const uint64_t kinds[2] = { SYNC_SEMAPHORE, SYNC_SEMAPHORE };

	return ivshmem_sync_open(handle, offset, vector, kinds,
				 sizeof(**semaphore), semaphore);
}

void ivshmem_semaphore_close(struct ivshmem_semaphore *semaphore)
{
	if (semaphore)
		ivshmem_sync_close(&semaphore->sync);
}

int ivshmem_semaphore_wait(struct ivshmem_semaphore *semaphore, int64_t deadline)
{
	_Atomic uint32_t *place = &semaphore->sync.area->word;
	struct sync_wait wait = { .deadline = deadline };
	uint32_t word = atomic_load(place);
	int error = 0;

	while (!error) {
		if (!(word & ~SYNC_WAITERS))
			error = ivshmem_sync_wait(&semaphore->sync, &wait, &word);
		else if (atomic_compare_exchange_strong(place, &word, word - 1))
			return 0;
	}
	return error;
}

int ivshmem_semaphore_post(struct ivshmem_semaphore *semaphore)
{
	_Atomic uint32_t *place = &semaphore->sync.area->word;
	uint32_t word = atomic_load(place);

	do {
		if ((word & ~SYNC_WAITERS) == IVSHMEM_SEMAPHORE_MAX)
			return -EOVERFLOW;
	} while (!atomic_compare_exchange_strong(place, &word,
						 (word & ~SYNC_WAITERS) + 1));
	ivshmem_sync_wake(&semaphore->sync, word);
	return 0;
}

uint32_t ivshmem_semaphore_value(struct ivshmem_semaphore *semaphore)
{
	return atomic_load(&semaphore->sync.area->word) & ~SYNC_WAITERS;
}

/* Events: the word is whether it is set. */

#define EVENT_IS_SET	1U

struct ivshmem_event {
	struct sync sync;
};

int ivshmem_event_create(struct ivshmem *handle, uint64_t offset,
			 uint32_t vector, unsigned int flags,
			 struct ivshmem_event **event)
{
	uint64_t kind = flags & IVSHMEM_EVENT_AUTO_RESET ? SYNC_AUTO_EVENT :
							   SYNC_EVENT;

	*event = NULL;
	if (flags & ~(IVSHMEM_EVENT_AUTO_RESET | IVSHMEM_EVENT_SET))
		return -EINVAL;
	return ivshmem_sync_create(handle, offset, vector, kind,
				   flags & IVSHMEM_EVENT_SET ? EVENT_IS_SET : 0,
				   sizeof(**event), event);
}

int ivshmem_event_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       struct ivshmem_event **event)
{
	static const uint64_t kinds[2] = { SYNC_EVENT, SYNC_AUTO_EVENT };

	return ivshmem_sync_open(handle, offset, vector, kinds, sizeof(**event),
				 event);
}

void ivshmem_event_close(struct ivshmem_event *event)
{
	if (event)
		ivshmem_sync_close(&event->sync);
}

int ivshmem_event_wait(struct ivshmem_event *event, int64_t deadline)
{
	struct sync_area *area = event->sync.area;
	struct sync_wait wait = { .deadline = deadline };
	uint32_t word = atomic_load(&area->word);
	bool takes = atomic_load(&area->magic) == (SYNC_MAGIC | SYNC_AUTO_EVENT);
	int error = 0;

	while (!error) {
		if (!(word & EVENT_IS_SET))
			error = ivshmem_sync_wait(&event->sync, &wait, &word);
		else if (!takes ||
			 atomic_compare_exchange_strong(&area->word, &word,
							word & ~EVENT_IS_SET))
			return 0;
	}
	return error;
}

void ivshmem_event_set(struct ivshmem_event *event)
{
	uint32_t word = atomic_exchange(&event->sync.area->word, EVENT_IS_SET);

	ivshmem_sync_wake(&event->sync, word);
}

void ivshmem_event_reset(struct ivshmem_event *event)
{
	atomic_fetch_and(&event->sync.area->word, ~EVENT_IS_SET);
}
