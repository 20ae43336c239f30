// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Objects that several machines wait for.
 *
 * A caller that is about to sleep enters itself among the sleepers, with the round in
 * which it found nothing, then sets SYNC_WAITERS in the word, then sleeps while the word
 * stays as it is. A change that ends the round clears SYNC_WAITERS in the same atomic
 * operation; if it was set, the caller takes out all sleepers of this round and of
 * earlier ones and rings them. It leaves those of later rounds, which may not have to
 * wake, to those who end these. Entries whose peers have died do no harm: each is rung
 * once at most, and taken by another sleeper if there is no empty place.
 *
 * All operations on the word are sequentially consistent, which is more than
 * the release and acquire that are promised, and costs nothing more on x86.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "process.h"
#include "sync.h"

#define SPIN_NS		INT64_C(50000)
#define LOOKS		64	/* at the word between two looks at the clock */
#define LONGEST_SLEEP_NS NSEC_PER_SEC
#define CHECK_NS	INT64_C(1000000)	/* after this ask again for the server */

/* A sleeper: a mark that chance does not write, peer, vector, round. */
#define SLEEPER_MARK	(UINT64_C(0x736c70) << 40)
#define SLEEPER_ROUND	(SYNC_ROUND >> SYNC_ROUND_SHIFT)

static uint64_t sleeper(uint32_t id, uint32_t vector)
{
	return SLEEPER_MARK | (uint64_t)id << 24 | vector << 16;
}

static bool is_sleeper(uint64_t entry)
{
	return entry >> 40 == SLEEPER_MARK >> 40;
}

static uint32_t peer_of(uint64_t entry)
{
	return entry >> 24 & IVSHMEM_MAX_PEER;
}

static uint64_t round_of(uint64_t word)
{
	return (word & SYNC_ROUND) >> SYNC_ROUND_SHIFT;
}

/* Rounds are counted in a circle. */
static bool is_later(uint64_t entry, uint64_t word)
{
	uint64_t rounds = (entry - round_of(word)) & SLEEPER_ROUND;

	return rounds && rounds <= SLEEPER_ROUND / 2;
}

int ivshmem_sync_check(const struct sync *sync)
{
	return ivshmem_process_check(sync->handle);
}

int ivshmem_sync_enter(struct sync *sync)
{
	int64_t time = ivshmem_now();
	int error = ivshmem_sync_check(sync);

	if (error || time - sync->checked < CHECK_NS)
		return error;
	error = sync->handle->ops->listen(sync->handle);
	if (!error)
		sync->checked = time;
	return error;
}

/* Opening */

static int check(const struct sync_object *object, struct ivshmem_properties *properties)
{
	unsigned int known = IVSHMEM_SYNC_CREATE | IVSHMEM_SYNC_EXCLUSIVE | IVSHMEM_SYNC_RESET;
	struct ivshmem *handle = object->handle;

	if (object->offset % 64)
		return ivshmem_fail(-EINVAL, "the object's offset %" PRIu64
				    " is not a multiple of 64", object->offset);
	if (handle->size < IVSHMEM_SYNC_SIZE ||
	    object->offset > handle->size - IVSHMEM_SYNC_SIZE)
		return ivshmem_fail(-EINVAL, "an object at %#" PRIx64
				    " is not in the region of %#" PRIx64 " bytes",
				    object->offset, handle->size);
	if (object->flags & ~known)
		return ivshmem_fail(-EINVAL, "unknown flags %#x", object->flags & ~known);
	if (object->flags && !(object->flags & IVSHMEM_SYNC_CREATE))
		return ivshmem_fail(-EINVAL, "EXCLUSIVE and RESET need CREATE");
	if (object->flags == known)
		return ivshmem_fail(-EINVAL, "EXCLUSIVE and RESET exclude each other");
	return ivshmem_check_object(handle, object->vector, properties);
}

static int map(const struct sync_object *object, size_t size, struct sync **sync)
{
	uint32_t losses = object->handle->losses;
	struct ivshmem_properties properties;
	int error = check(object, &properties);
	size_t before = object->offset % object->handle->page;
	struct sync *new;

	if (error)
		return error;
	new = calloc(1, size);
	if (!new)
		return -ENOMEM;
	new->handle = ivshmem_handle_get(object->handle);
	new->offset = object->offset;
	new->vector = object->vector;
	new->id = properties.id;
	new->losses = losses;
	new->checked = ivshmem_now();
	new->length = before + IVSHMEM_SYNC_SIZE;
	error = ivshmem_map(object->handle, object->offset - before, new->length,
			    &new->mapping);
	if (error) {
		ivshmem_handle_put(new->handle);
		free(new);
		return error;
	}
	new->area = (void *)((char *)new->mapping + before);
	*sync = new;
	return 0;
}

static bool is_object(uint64_t magic)
{
	return magic >> 32 == SYNC_MAGIC >> 32;
}

/* What is there is an object. Is it the one that is to be opened? */
static int recognise(const struct sync_object *object, uint64_t magic)
{
	if (object->flags & IVSHMEM_SYNC_EXCLUSIVE)
		return ivshmem_fail(-EEXIST, "there is an object at %#" PRIx64, object->offset);
	if ((magic ^ SYNC_MAGIC) >> 16)
		return ivshmem_fail(-EPROTONOSUPPORT,
				    "the object is of another version of the library");
	if (magic == (SYNC_MAGIC | object->kind))
		return 0;
	return ivshmem_fail(object->flags & IVSHMEM_SYNC_CREATE ? -EEXIST : -ENOENT,
			    "the object at %#" PRIx64 " is of another kind", object->offset);
}

/* The first round is random, so that no two words of an object look alike for long. */
static uint64_t first_word(const struct sync_object *object)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = 0;
	return object->value << SYNC_VALUE_SHIFT | object->kind << SYNC_KIND_SHIFT |
	       (random & SYNC_ROUND) | object->kind_flags;
}

/*
 * Any number of programs can do this at once, and any of them can die at any point. The
 * magic makes the word an object. Before that, any creator may replace the word, for
 * nobody has used it; and one that still believes so afterwards has seen another word
 * than there is now, or one that nobody has used. In the words of an object is its
 * kind, which zeroed memory does not contain.
 */
static int find_or_create(const struct sync_object *object, struct sync_area *area)
{
	uint64_t word, magic;

	for (;;) {
		/* In this order: what was there before the magic has never been used. */
		word = atomic_load(&area->word);
		magic = atomic_load(&area->magic);
		if (is_object(magic))
			return recognise(object, magic);
		if (!(object->flags & IVSHMEM_SYNC_CREATE))
			return ivshmem_fail(-ENOENT, "there is no object at %#" PRIx64,
					    object->offset);
		if (atomic_compare_exchange_strong(&area->word, &word, first_word(object)) &&
		    atomic_compare_exchange_strong(&area->magic, &magic,
						   SYNC_MAGIC | object->kind))
			return 0;
	}
}

static void say_if_mute(struct sync *sync)
{
	if (sync->id == IVSHMEM_ID_UNKNOWN)
		atomic_store(&sync->area->mute, SYNC_MUTE);
}

static void wake_all(struct sync *sync, const uint64_t *word);

int ivshmem_sync_open(const struct sync_object *object, size_t size, void *sync)
{
	IVSHMEM_CANCEL_OFF(cancel);
	struct sync **out = sync;
	struct sync_area *area;
	struct sync *new;
	int error;

	*out = NULL;
	error = map(object, size, &new);
	if (error)
		return error;
	area = new->area;
	if (object->flags & IVSHMEM_SYNC_RESET) {
		atomic_store(&area->mute, 0);
		atomic_store(&area->magic, 0);
	}
	error = find_or_create(object, area);
	if (error) {
		ivshmem_sync_close(new);
		return error;
	}
	say_if_mute(new);
	/* Who waits for an earlier object in this place shall see this one. */
	if (object->flags & IVSHMEM_SYNC_RESET)
		wake_all(new, NULL);
	*out = new;
	return 0;
}

/* Sleepers */

/*
 * Another thread of this program may sleep by the same entry, in this round or, if the
 * word has changed meanwhile, in a later one. Only the first may be written over. Of the
 * round in an old entry nothing can be concluded: rounds are few and come again.
 */
static bool renew(struct sync *sync, uint64_t self, uint64_t word)
{
	uint64_t found;
	int n;

	for (n = 0; n < SYNC_SLEEPERS; n++) {
		found = atomic_load(&sync->area->sleepers[n]);
		if ((found & ~SLEEPER_ROUND) != self)
			continue;
		if ((atomic_load(&sync->area->word) ^ word) & ~SYNC_WAITERS)
			return true;
		if (ivshmem_try_replace(&sync->area->sleepers[n], found, self | round_of(word)))
			return true;
	}
	return false;
}

static bool is_empty(const struct sync *sync, uint64_t entry)
{
	(void)sync;
	return !is_sleeper(entry);
}

/* Its peer is not there any more. (Or not yet: then it cannot be rung either.) */
static bool is_stale(const struct sync *sync, uint64_t entry)
{
	struct ivshmem *handle = sync->handle;

	return handle->ops->has_peer && !handle->ops->has_peer(handle, peer_of(entry));
}

static bool claim(struct sync *sync, uint64_t self, uint64_t word,
		  bool (*is_free)(const struct sync *sync, uint64_t entry))
{
	uint64_t found;
	int n;

	for (n = 0; n < SYNC_SLEEPERS; n++) {
		found = atomic_load(&sync->area->sleepers[n]);
		if (is_free(sync, found) &&
		    ivshmem_try_replace(&sync->area->sleepers[n], found, self | round_of(word)))
			return true;
	}
	return false;
}

/*
 * Enter ourselves among the sleepers, unless the word has changed. False: there is no
 * place left.
 */
static bool enlist(struct sync *sync, uint64_t word)
{
	uint64_t self = sleeper(sync->id, sync->vector);

	return renew(sync, self, word) || claim(sync, self, word, is_empty) ||
	       claim(sync, self, word, is_stale);
}

/* Ring all sleepers; with a word, all but those of rounds later than that. */
static void wake_all(struct sync *sync, const uint64_t *word)
{
	uint64_t found;
	int n;

	for (n = 0; n < SYNC_SLEEPERS; n++) {
		found = atomic_load(&sync->area->sleepers[n]);
		if (!is_sleeper(found) || (word && is_later(found, *word)))
			continue;
		if (ivshmem_try_replace(&sync->area->sleepers[n], found, 0))
			ivshmem_ring(sync->handle, peer_of(found),
				     found >> 16 & (IVSHMEM_MAX_VECTORS - 1));
	}
}

void ivshmem_sync_wake(struct sync *sync, uint64_t word)
{
	if (word & SYNC_WAITERS)
		wake_all(sync, &word);
}

/* Another object of this program may have slept by the same entry: ring that too. */
static void unlist(struct sync *sync)
{
	uint64_t self = sleeper(sync->id, sync->vector);
	uint64_t found;
	int n;

	for (n = 0; n < SYNC_SLEEPERS; n++) {
		found = atomic_load(&sync->area->sleepers[n]);
		if ((found & ~SLEEPER_ROUND) == self &&
		    ivshmem_try_replace(&sync->area->sleepers[n], found, 0))
			ivshmem_ring(sync->handle, sync->id, sync->vector);
	}
}

void ivshmem_sync_close(struct sync *sync)
{
	if (!ivshmem_sync_check(sync))
		unlist(sync);
	ivshmem_unmap(sync->handle, sync->mapping, sync->length);
	ivshmem_handle_put(sync->handle);
	free(sync);
}

/* Waiting */

/* Look for a while, once in each wait. */
static bool spin(struct sync *sync, struct sync_wait *wait, uint64_t word)
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

static bool can_be_rung(struct sync *sync)
{
	return sync->id <= IVSHMEM_MAX_PEER &&
	       ivshmem_has_doorbell(sync->handle, sync->vector) &&
	       atomic_load(&sync->area->mute) != SYNC_MUTE;
}

static bool will_be_rung(struct sync *sync, uint64_t word)
{
	bool can;

	if (ivshmem_renew_id(sync->handle, &sync->losses, &sync->id))
		say_if_mute(sync);
	can = can_be_rung(sync);

	if (can && enlist(sync, word))
		return true;
	if (!atomic_exchange(&sync->polls, true))
		ivshmem_log(IVSHMEM_LOG_INFO, "%s: object at %#" PRIx64 ": polling: %s",
			    sync->handle->name, sync->offset,
			    can ? "too many sleepers" : "a user has no doorbells");
	return false;
}

int ivshmem_sync_wait(struct sync *sync, struct sync_wait *wait, uint64_t *word)
{
	int error;

	if (!wait->deadline)
		return ivshmem_late(-EAGAIN);
	if (!spin(sync, wait, *word)) {
		wait->park.handle = sync->handle;
		wait->park.offset = sync->offset + offsetof(struct sync_area, word);
		wait->park.vector = sync->vector;
		wait->park.rung = will_be_rung(sync, *word);
		wait->park.deadline = wait->deadline;
		/* Who begins to use it without doorbells, for which all poll, wakes nobody. */
		if (wait->park.interval > LONGEST_SLEEP_NS / 2)
			wait->park.interval = LONGEST_SLEEP_NS / 2;
		if (!(*word & SYNC_WAITERS) &&
		    !atomic_compare_exchange_strong(&sync->area->word, word,
						    *word | SYNC_WAITERS))
			return 0;
		error = ivshmem_park(&wait->park, (uint32_t)(*word | SYNC_WAITERS));
		if (error)
			return ivshmem_late(error);
	}
	*word = atomic_load(&sync->area->word);
	return 0;
}

/* Semaphores: the value is the number of permits. */

struct ivshmem_semaphore {
	struct sync sync;
};

int ivshmem_semaphore_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
			   unsigned int flags, uint32_t permits,
			   struct ivshmem_semaphore **semaphore)
{
	struct sync_object object = {
		.handle = handle,
		.offset = offset,
		.vector = vector,
		.flags = flags,
		.kind = SYNC_SEMAPHORE,
		.value = permits,
	};

	*semaphore = NULL;
	if (permits > IVSHMEM_SEMAPHORE_MAX)
		return ivshmem_fail(-EINVAL, "%u permits: the most are %u", permits,
				    IVSHMEM_SEMAPHORE_MAX);
	return ivshmem_sync_open(&object, sizeof(**semaphore), semaphore);
}

void ivshmem_semaphore_close(struct ivshmem_semaphore *semaphore)
{
	if (semaphore)
		ivshmem_sync_close(&semaphore->sync);
}

int ivshmem_semaphore_wait(struct ivshmem_semaphore *semaphore, int64_t deadline)
{
	_Atomic uint64_t *place = &semaphore->sync.area->word;
	struct sync_wait wait = { .deadline = deadline };
	int error = ivshmem_sync_enter(&semaphore->sync);
	uint64_t word = atomic_load(place);

	while (!error) {
		if (!sync_value(word))
			error = ivshmem_sync_wait(&semaphore->sync, &wait, &word);
		else if (atomic_compare_exchange_strong(place, &word,
							word - (UINT64_C(1) << SYNC_VALUE_SHIFT)))
			return 0;
	}
	return error;
}

int ivshmem_semaphore_post(struct ivshmem_semaphore *semaphore)
{
	_Atomic uint64_t *place = &semaphore->sync.area->word;
	int error = ivshmem_sync_check(&semaphore->sync);
	uint64_t word = atomic_load(place);

	if (error)
		return error;
	do {
		if (sync_value(word) >= IVSHMEM_SEMAPHORE_MAX)
			return -EOVERFLOW;
	} while (!atomic_compare_exchange_strong(place, &word,
						 sync_next(word, sync_value(word) + 1)));
	ivshmem_sync_wake(&semaphore->sync, word);
	return 0;
}

uint32_t ivshmem_semaphore_value(struct ivshmem_semaphore *semaphore)
{
	return sync_value(atomic_load(&semaphore->sync.area->word));
}

/* Events: the value is whether it is set. */

#define EVENT_AUTO_RESET	SYNC_FLAG(0)
#define EVENT_FLAGS		(IVSHMEM_EVENT_AUTO_RESET | IVSHMEM_EVENT_SET)

struct ivshmem_event {
	struct sync sync;
};

int ivshmem_event_open(struct ivshmem *handle, uint64_t offset, uint32_t vector,
		       unsigned int flags, struct ivshmem_event **event)
{
	struct sync_object object = {
		.handle = handle,
		.offset = offset,
		.vector = vector,
		.flags = flags & ~EVENT_FLAGS,
		.kind = SYNC_EVENT,
		.value = !!(flags & IVSHMEM_EVENT_SET),
		.kind_flags = flags & IVSHMEM_EVENT_AUTO_RESET ? EVENT_AUTO_RESET : 0,
	};

	return ivshmem_sync_open(&object, sizeof(**event), event);
}

void ivshmem_event_close(struct ivshmem_event *event)
{
	if (event)
		ivshmem_sync_close(&event->sync);
}

int ivshmem_event_wait(struct ivshmem_event *event, int64_t deadline)
{
	_Atomic uint64_t *place = &event->sync.area->word;
	struct sync_wait wait = { .deadline = deadline };
	int error = ivshmem_sync_enter(&event->sync);
	uint64_t word = atomic_load(place);

	while (!error) {
		if (!sync_value(word))
			error = ivshmem_sync_wait(&event->sync, &wait, &word);
		else if (!(word & EVENT_AUTO_RESET) ||
			 atomic_compare_exchange_strong(place, &word, word & ~SYNC_VALUE))
			return 0;
	}
	return error;
}

int ivshmem_event_set(struct ivshmem_event *event)
{
	_Atomic uint64_t *place = &event->sync.area->word;
	int error = ivshmem_sync_check(&event->sync);
	uint64_t word = atomic_load(place);

	if (error)
		return error;
	/* Also if it is set: what was written before is to be visible to the next wait. */
	while (!atomic_compare_exchange_strong(place, &word, sync_next(word, 1)))
		;
	ivshmem_sync_wake(&event->sync, word);
	return 0;
}

int ivshmem_event_reset(struct ivshmem_event *event)
{
	int error = ivshmem_sync_check(&event->sync);

	if (!error)
		atomic_fetch_and(&event->sync.area->word, ~SYNC_VALUE);
	return error;
}
