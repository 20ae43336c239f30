// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting on the host: a poll of the vectors' eventfds, and of a server's socket.
 *
 * No wake-up is lost against other machines because an eventfd remembers: the
 * word is looked at after the eventfds were emptied, and a ring from then on
 * ends the next poll at once.
 *
 * Of the threads that wait on a handle one leads: it polls what any of them waits for,
 * gives each event to one of them, and wakes those whose word has changed. The others
 * follow: each sleeps on a semaphore of its own. So a ring wakes one thread or two, however
 * many wait. A leader that is done wakes a follower, which leads from then on; so
 * whenever nobody leads, a thread that waits is awake.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "park.h"
#include "waiting.h"

#define SPIN_ROUNDS	64		/* looks at the word between two polls */

enum { FD_NEWS, FD_WAKE, FD_VECTORS };

/* What a thread polls. */
struct look {
	nfds_t nfds;
	struct pollfd fds[FD_VECTORS + IVSHMEM_MAX_VECTORS];
	uint8_t vectors[IVSHMEM_MAX_VECTORS];	/* of fds[FD_VECTORS + n] */
};

/* Under the lock, but for what says otherwise. */
struct waiter {
	TAILQ_ENTRY(waiter) place;
	struct waiting *waiting;
	const struct ivshmem_wait_options *options;	/* never changes */
	uint32_t first, end;		/* vectors that may be wanted */
	struct ivshmem_wait_result *result;
	const _Atomic uint32_t *word;	/* NULL: none; never changes */
	uint64_t wakes;
	int64_t deadline;		/* INT64_MAX: never; the thread's own */
	int64_t spin_end;		/* the thread's own */
	int cancel;			/* state to restore, the thread's own */
	bool asleep;			/* as a follower, until it is roused */
	sem_t roused;
};

static int64_t add(int64_t time, int64_t duration)
{
	return time > INT64_MAX - duration ? INT64_MAX : time + duration;
}

static bool word_changed(const struct waiter *waiter)
{
	return waiter->word && atomic_load(waiter->word) != waiter->options->expected;
}

static void lock(struct waiter *waiter)
{
	waiter->cancel = ivshmem_waiting_lock(waiter->waiting);
}

static void unlock(struct waiter *waiter)
{
	ivshmem_waiting_unlock(waiter->waiting, waiter->cancel);
}

static bool wanted(const struct waiter *waiter, uint32_t vector)
{
	if (vector < waiter->first || vector >= waiter->end)
		return false;
	return !(waiter->options->flags & IVSHMEM_WAIT_SET) ||
	       waiter->options->set[vector / 64] >> vector % 64 & 1;
}

/* Waking threads; with the lock held. */

static void rouse(struct waiter *waiter)
{
	uint64_t one = 1;

	if (waiter == waiter->waiting->leader) {
		(void)!write(waiter->waiting->wake, &one, sizeof(one));
	} else if (waiter->asleep) {
		waiter->asleep = false;
		sem_post(&waiter->roused);
	}
}

void ivshmem_waiting_rouse(struct waiting *waiting)
{
	struct waiter *waiter;

	TAILQ_FOREACH(waiter, &waiting->waiters, place)
		rouse(waiter);
}

void ivshmem_waiting_wake_all(struct waiting *waiting)
{
	waiting->wakes++;
	ivshmem_waiting_rouse(waiting);
}

/* Events */

/* Who gets an event: a thread that has to look anyway, or else one that waits only for it. */
static struct waiter *choose(struct waiting *waiting, uint32_t vector)
{
	struct waiter *waiter, *chosen = NULL;

	TAILQ_FOREACH(waiter, &waiting->waiters, place) {
		if (!wanted(waiter, vector))
			continue;
		if (word_changed(waiter))
			return waiter;
		if (!chosen || (chosen->word && !waiter->word))
			chosen = waiter;
	}
	return chosen;
}

static void give(struct waiting *waiting, uint32_t vector, uint64_t count)
{
	struct waiter *waiter = choose(waiting, vector);
	struct ivshmem_wait_result *result = waiter->result;

	if (!result->count || vector < result->vector) {
		result->vector = vector;
		result->count = count;
	} else if (vector == result->vector) {
		result->count += count;
	}
	result->set[vector / 64] |= 1ULL << vector % 64;
	rouse(waiter);
}

static void take_event(struct waiting *waiting, uint32_t vector, int fd)
{
	uint64_t count, set[IVSHMEM_MAX_VECTORS / 64] = { 0 };

	if (!waiting->wanting[vector])
		return;
	if (read(fd, &count, sizeof(count)) < 0) {
		/* Another thread was faster, or it is no eventfd. */
		if (errno != EAGAIN) {
			ivshmem_fail(-EPROTO, "a doorbell cannot be read");
			ivshmem_waiting_end(waiting, -EPROTO);
		}
		return;
	}
	give(waiting, vector, count);
	set[vector / 64] = 1ULL << vector % 64;
	ivshmem_listeners_signal(waiting->handle, set);
}

/* What all that wait want. */
static void prepare(const struct waiting *waiting, struct look *look)
{
	uint32_t vector, count;
	const int *fds = waiting->source->doorbells(waiting->handle, &count);

	look->fds[FD_NEWS] = (struct pollfd){ waiting->news, POLLIN, 0 };
	look->fds[FD_WAKE] = (struct pollfd){ waiting->wake, POLLIN, 0 };
	look->nfds = FD_VECTORS;
	for (vector = 0; vector < count; vector++) {
		if (!waiting->wanting[vector])
			continue;
		look->vectors[look->nfds - FD_VECTORS] = vector;
		look->fds[look->nfds++] = (struct pollfd){ fds[vector], POLLIN, 0 };
	}
}

static void look_for(struct waiting *waiting)
{
	if (waiting->source->look)
		waiting->source->look(waiting->handle);
}

/* After a poll: tell everybody concerned. */
static void harvest(struct waiting *waiting, const struct look *look)
{
	struct waiter *waiter;
	uint64_t wakes;
	nfds_t n;

	if (look->fds[FD_WAKE].revents)
		(void)!read(waiting->wake, &wakes, sizeof(wakes));
	if (look->fds[FD_NEWS].revents)
		waiting->source->drain(waiting->handle);
	for (n = FD_VECTORS; n < look->nfds; n++)
		if (look->fds[n].revents)
			take_event(waiting, look->vectors[n - FD_VECTORS], look->fds[n].fd);
	TAILQ_FOREACH(waiter, &waiting->waiters, place)
		if (word_changed(waiter))
			rouse(waiter);
}

/* Waiting; with the lock held, which is free while the thread sleeps or spins. */

/* Look at the word some more before asking the kernel again. */
static void spin(const struct waiter *waiter)
{
	int round;

	for (round = 0; round < SPIN_ROUNDS; round++) {
		if (!waiter->word || word_changed(waiter))
			return;
		ivshmem_relax();
	}
}

/* How long the thread may sleep: 0 while it spins. */
static int next_timeout(const struct waiter *waiter, struct timespec *timeout)
{
	int64_t left, time = ivshmem_now();

	if (time >= waiter->deadline)
		return -ETIMEDOUT;
	left = time < waiter->spin_end ? 0 : waiter->deadline - time;
	timeout->tv_sec = left / NSEC_PER_SEC;
	timeout->tv_nsec = left % NSEC_PER_SEC;
	return 0;
}

static int lead(struct waiter *waiter, const struct timespec *timeout, bool spins)
{
	struct waiting *waiting = waiter->waiting;
	struct look look;
	int error;

	prepare(waiting, &look);
	waiting->leader = waiter;
	unlock(waiter);
	if (spins)
		spin(waiter);
	error = ppoll(look.fds, look.nfds, timeout, NULL) < 0 ? -errno : 0;
	lock(waiter);
	waiting->leader = NULL;
	if (!error)
		harvest(waiting, &look);
	return error;
}

/* With a time to end at, it is not restarted after a signal. */
static int sleep_until_roused(struct waiter *waiter)
{
	const struct timespec until = {
		.tv_sec = waiter->deadline / NSEC_PER_SEC,
		.tv_nsec = waiter->deadline % NSEC_PER_SEC,
	};

	return sem_clockwait(&waiter->roused, CLOCK_MONOTONIC, &until) && errno == EINTR ?
	       -EINTR : 0;
}

static int follow(struct waiter *waiter, bool spins)
{
	int error = 0;

	waiter->asleep = !spins;
	unlock(waiter);
	if (spins)
		spin(waiter);
	else
		error = sleep_until_roused(waiter);
	lock(waiter);
	waiter->asleep = false;
	sem_trywait(&waiter->roused);	/* if it was roused at the last moment */
	return error;
}

/* Is there something to report? */
static bool is_over(struct waiter *waiter)
{
	waiter->result->changed = word_changed(waiter);
	return waiter->result->changed || waiter->result->count || waiter->waiting->error ||
	       waiter->wakes != waiter->waiting->wakes;
}

static int wait_loop(struct waiter *waiter)
{
	struct waiting *waiting = waiter->waiting;
	struct timespec timeout;
	struct look look;
	int error = 0;

	look_for(waiting);
	/* The thread that leads may not know yet what this one wants. It must be told. */
	prepare(waiting, &look);
	look.fds[FD_WAKE].fd = -1;
	if (poll(look.fds, look.nfds, 0) > 0)
		harvest(waiting, &look);
	while (!is_over(waiter)) {
		bool spins;

		if (!error)
			error = next_timeout(waiter, &timeout);
		if (error)
			return error;
		spins = !timeout.tv_sec && !timeout.tv_nsec;
		if (spins)
			look_for(waiting);
		error = waiting->leader ? follow(waiter, spins) :
					  lead(waiter, &timeout, spins);
	}
	return waiter->result->changed || waiter->result->count ?
	       0 : ivshmem_waiting_error(waiting);
}

static void set_vectors(struct waiter *waiter)
{
	bool set = waiter->options->flags & IVSHMEM_WAIT_SET;

	waiter->first = set ? 0 : waiter->options->vector;
	waiter->end = set ? waiter->waiting->handle->vectors : waiter->first + 1;
}

static void set_times(struct waiter *waiter)
{
	const struct ivshmem_wait_options *options = waiter->options;
	int64_t start = options->spin_ns || options->timeout_ns > 0 ?
			ivshmem_now() : 0;

	if (options->timeout_ns < 0)
		waiter->deadline = INT64_MAX;
	else if (options->flags & IVSHMEM_WAIT_ABSTIME)
		waiter->deadline = options->timeout_ns;
	else
		waiter->deadline = add(start, options->timeout_ns);
	waiter->spin_end = start + (int64_t)options->spin_ns;
}

static int find_word(struct waiter *waiter)
{
	char *whole;

	if (!(waiter->options->flags & IVSHMEM_WAIT_WORD))
		return 0;
	whole = ivshmem_whole(waiter->waiting->handle);
	if (!whole)
		return -ENOMEM;
	waiter->word = (void *)(whole + waiter->options->offset);
	return 0;
}

/* Lock held. */
static int check_wait(struct waiting *waiting, const struct ivshmem_wait_options *options)
{
	int error = ivshmem_check_wait(waiting->handle, options);

	if (!error)
		return 0;
	/* A vector that came late may still be on its way to us. */
	waiting->source->drain(waiting->handle);
	return ivshmem_check_wait(waiting->handle, options);
}

/* Lock held: from here on the leader cares for this thread as well. */
static void enlist(struct waiter *waiter)
{
	struct waiting *waiting = waiter->waiting;
	bool news = false;
	uint32_t vector;

	sem_init(&waiter->roused, 0, 0);
	waiter->wakes = waiting->wakes;
	for (vector = waiter->first; vector < waiter->end; vector++)
		if (wanted(waiter, vector) && !waiting->wanting[vector]++)
			news = true;
	if (TAILQ_EMPTY(&waiting->waiters) && waiting->source->begin)
		waiting->source->begin(waiting->handle);
	TAILQ_INSERT_TAIL(&waiting->waiters, waiter, place);
	if (news && waiting->leader)
		rouse(waiting->leader);
}

static void delist(struct waiter *waiter)
{
	struct waiting *waiting = waiter->waiting;
	uint32_t vector;

	for (vector = waiter->first; vector < waiter->end; vector++)
		waiting->wanting[vector] -= wanted(waiter, vector);
	TAILQ_REMOVE(&waiting->waiters, waiter, place);
	sem_destroy(&waiter->roused);
	if (!waiting->leader && !TAILQ_EMPTY(&waiting->waiters))
		rouse(TAILQ_FIRST(&waiting->waiters));
}

/* What the thread was given rings again, for the others. */
static void give_back(const struct waiter *waiter)
{
	struct waiting *waiting = waiter->waiting;
	const struct ivshmem_wait_result *result = waiter->result;
	uint32_t vector, count;
	const int *fds = waiting->source->doorbells(waiting->handle, &count);

	for (vector = 0; vector < count; vector++) {
		uint64_t times = vector == result->vector ? result->count : 1;

		if (result->set[vector / 64] >> vector % 64 & 1)
			(void)!write(fds[vector], &times, sizeof(times));
	}
}

/* The thread is cancelled while it sleeps. */
static void cancelled(void *argument)
{
	struct waiter *waiter = argument;

	lock(waiter);
	if (waiter->waiting->leader == waiter)
		waiter->waiting->leader = NULL;
	give_back(waiter);
	delist(waiter);
	unlock(waiter);
}

/* Others must not wait for a thread that is cancelled while it sleeps. */
static int wait_cancellable(struct waiter *waiter)
{
	int error;

	enlist(waiter);
	pthread_cleanup_push(cancelled, waiter);
	error = wait_loop(waiter);
	pthread_cleanup_pop(0);
	delist(waiter);
	return error;
}

int ivshmem_waiting_wait(struct waiting *waiting, const struct ivshmem_wait_options *options,
			 struct ivshmem_wait_result *result)
{
	struct waiter waiter = {
		.waiting = waiting,
		.options = options,
		.result = result,
	};
	int error;

	lock(&waiter);
	error = check_wait(waiting, options);
	if (!error)
		error = find_word(&waiter);
	if (!error) {
		set_vectors(&waiter);
		set_times(&waiter);
		error = wait_cancellable(&waiter);
	}
	unlock(&waiter);
	return error;
}

int ivshmem_waiting_ring_wait(struct waiting *waiting, uint32_t peer, uint32_t vector,
			      const struct ivshmem_wait_options *options,
			      struct ivshmem_wait_result *result)
{
	struct ivshmem *handle = waiting->handle;
	int cancel = ivshmem_waiting_lock(waiting);
	int error = check_wait(waiting, options);

	ivshmem_waiting_unlock(waiting, cancel);
	if (!error)
		error = handle->ops->ring(handle, peer, vector);
	return error ? error : ivshmem_waiting_wait(waiting, options, result);
}

int ivshmem_waiting_doorbell(struct waiting *waiting, uint32_t vector)
{
	int cancel = ivshmem_waiting_lock(waiting);
	uint32_t count;
	const int *fds;
	int fd;

	waiting->source->drain(waiting->handle);
	fds = waiting->source->doorbells(waiting->handle, &count);
	if (vector < count)
		fd = fds[vector];
	else if (waiting->error)
		fd = ivshmem_waiting_error(waiting);
	else if (count)
		fd = ivshmem_fail(-EINVAL, "vector %u: the last one is %u", vector, count - 1);
	else
		fd = ivshmem_fail(-EOPNOTSUPP, "there are no doorbells");
	ivshmem_waiting_unlock(waiting, cancel);
	return fd;
}

/* The end */

void ivshmem_waiting_end(struct waiting *waiting, int error)
{
	if (waiting->error)
		return;
	waiting->error = error;
	snprintf(waiting->reason, sizeof(waiting->reason), "%s", ivshmem_error(error));
	ivshmem_log(IVSHMEM_LOG_ERROR, "%s: the connection is over: %s",
		    waiting->handle->name, waiting->reason);
	ivshmem_listeners_signal(waiting->handle, NULL);
	ivshmem_waiting_rouse(waiting);
}

int ivshmem_waiting_error(const struct waiting *waiting)
{
	int error = waiting->error;

	return error ? ivshmem_fail(error, "%s", waiting->reason) : 0;
}

int ivshmem_waiting_init(struct waiting *waiting, struct ivshmem *handle,
			 const struct waiting_source *source)
{
	waiting->handle = handle;
	waiting->source = source;
	waiting->news = -1;
	pthread_mutex_init(&waiting->lock, NULL);
	TAILQ_INIT(&waiting->waiters);
	waiting->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return waiting->wake < 0 ? -errno : 0;
}

void ivshmem_waiting_free(struct waiting *waiting)
{
	if (waiting->wake >= 0)
		close(waiting->wake);
	pthread_mutex_destroy(&waiting->lock);
}
