// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting on the host: a poll of the vectors' eventfds and of the socket.
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
#include <time.h>
#include <unistd.h>

#include "backend_server.h"
#include "park.h"

#define SPIN_ROUNDS	64		/* looks at the word between two polls */

enum { FD_SOCKET, FD_WAKE, FD_VECTORS };

/* What a thread polls. */
struct look {
	nfds_t nfds;
	struct pollfd fds[FD_VECTORS + IVSHMEM_MAX_VECTORS];
	uint8_t vectors[IVSHMEM_MAX_VECTORS];	/* of fds[FD_VECTORS + n] */
};

/* Under the connection's lock, but for what says otherwise. */
struct waiter {
	TAILQ_ENTRY(waiter) place;
	struct connection *connection;
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
	waiter->cancel = ivshmem_connection_lock(waiter->connection);
}

static void unlock(struct waiter *waiter)
{
	ivshmem_connection_unlock(waiter->connection, waiter->cancel);
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

	if (waiter == waiter->connection->leader) {
		(void)!write(waiter->connection->wake, &one, sizeof(one));
	} else if (waiter->asleep) {
		waiter->asleep = false;
		sem_post(&waiter->roused);
	}
}

void ivshmem_connection_rouse(struct connection *connection)
{
	struct waiter *waiter;

	TAILQ_FOREACH(waiter, &connection->waiters, place)
		rouse(waiter);
}

void ivshmem_connection_wake_all(struct connection *connection)
{
	connection->wakes++;
	ivshmem_connection_rouse(connection);
}

/* Events */

/* Who gets an event: a thread that has to look anyway, or else one that waits only for it. */
static struct waiter *choose(struct connection *connection, uint32_t vector)
{
	struct waiter *waiter, *chosen = NULL;

	TAILQ_FOREACH(waiter, &connection->waiters, place) {
		if (!wanted(waiter, vector))
			continue;
		if (word_changed(waiter))
			return waiter;
		if (!chosen || (chosen->word && !waiter->word))
			chosen = waiter;
	}
	return chosen;
}

static void give(struct connection *connection, uint32_t vector, uint64_t count)
{
	struct waiter *waiter = choose(connection, vector);
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

static void take_event(struct connection *connection, uint32_t vector, int fd)
{
	uint64_t count, set[IVSHMEM_MAX_VECTORS / 64] = { 0 };

	if (!connection->wanting[vector])
		return;
	if (read(fd, &count, sizeof(count)) < 0) {
		/* Another thread was faster, or it is no eventfd. */
		if (errno != EAGAIN) {
			ivshmem_fail(-EPROTO, "a doorbell cannot be read");
			ivshmem_connection_end(connection, -EPROTO);
		}
		return;
	}
	give(connection, vector, count);
	set[vector / 64] = 1ULL << vector % 64;
	ivshmem_listeners_signal(&connection->base, set);
}

/* What all that wait want. */
static void prepare(const struct connection *connection, struct look *look)
{
	struct peer *self = ivshmem_connection_peer(connection, connection->id);
	uint32_t vector;

	look->fds[FD_SOCKET] = (struct pollfd){ connection->socket, POLLIN, 0 };
	look->fds[FD_WAKE] = (struct pollfd){ connection->wake, POLLIN, 0 };
	look->nfds = FD_VECTORS;
	for (vector = 0; self && vector < self->vectors; vector++) {
		if (!connection->wanting[vector])
			continue;
		look->vectors[look->nfds - FD_VECTORS] = vector;
		look->fds[look->nfds++] = (struct pollfd){ self->fds[vector], POLLIN, 0 };
	}
}

/* After a poll: tell everybody concerned. */
static void harvest(struct connection *connection, const struct look *look)
{
	struct waiter *waiter;
	uint64_t wakes;
	nfds_t n;

	if (look->fds[FD_WAKE].revents)
		(void)!read(connection->wake, &wakes, sizeof(wakes));
	if (look->fds[FD_SOCKET].revents)
		ivshmem_connection_drain(connection);
	for (n = FD_VECTORS; n < look->nfds; n++)
		if (look->fds[n].revents)
			take_event(connection, look->vectors[n - FD_VECTORS], look->fds[n].fd);
	TAILQ_FOREACH(waiter, &connection->waiters, place)
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
	struct connection *connection = waiter->connection;
	struct look look;
	int error;

	prepare(connection, &look);
	connection->leader = waiter;
	unlock(waiter);
	if (spins)
		spin(waiter);
	error = ppoll(look.fds, look.nfds, timeout, NULL) < 0 ? -errno : 0;
	lock(waiter);
	connection->leader = NULL;
	if (!error)
		harvest(connection, &look);
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
	return waiter->result->changed || waiter->result->count || waiter->connection->error ||
	       waiter->wakes != waiter->connection->wakes;
}

static int wait_loop(struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	struct timespec timeout;
	struct look look;
	int error = 0;

	/* The thread that leads may not know yet what this one wants. It must be told. */
	prepare(connection, &look);
	look.fds[FD_WAKE].fd = -1;
	if (poll(look.fds, look.nfds, 0) > 0)
		harvest(connection, &look);
	while (!is_over(waiter)) {
		bool spins;

		if (!error)
			error = next_timeout(waiter, &timeout);
		if (error)
			return error;
		spins = !timeout.tv_sec && !timeout.tv_nsec;
		error = connection->leader ? follow(waiter, spins) :
					     lead(waiter, &timeout, spins);
	}
	return waiter->result->changed || waiter->result->count ?
	       0 : ivshmem_connection_error(connection);
}

static void set_vectors(struct waiter *waiter)
{
	bool set = waiter->options->flags & IVSHMEM_WAIT_SET;

	waiter->first = set ? 0 : waiter->options->vector;
	waiter->end = set ? waiter->connection->base.vectors : waiter->first + 1;
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
	whole = ivshmem_whole(&waiter->connection->base);
	if (!whole)
		return -ENOMEM;
	waiter->word = (void *)(whole + waiter->options->offset);
	return 0;
}

/* Lock held. */
int ivshmem_connection_check_wait(struct connection *connection,
				  const struct ivshmem_wait_options *options)
{
	int error = ivshmem_check_wait(&connection->base, options);

	if (!error)
		return 0;
	/* A vector that came late may still be on its way to us. */
	ivshmem_connection_drain(connection);
	return ivshmem_check_wait(&connection->base, options);
}

/* Lock held: from here on the leader cares for this thread as well. */
static void enlist(struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	bool news = false;
	uint32_t vector;

	sem_init(&waiter->roused, 0, 0);
	waiter->wakes = connection->wakes;
	for (vector = waiter->first; vector < waiter->end; vector++)
		if (wanted(waiter, vector) && !connection->wanting[vector]++)
			news = true;
	TAILQ_INSERT_TAIL(&connection->waiters, waiter, place);
	if (news && connection->leader)
		rouse(connection->leader);
}

static void delist(struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	uint32_t vector;

	for (vector = waiter->first; vector < waiter->end; vector++)
		connection->wanting[vector] -= wanted(waiter, vector);
	TAILQ_REMOVE(&connection->waiters, waiter, place);
	sem_destroy(&waiter->roused);
	if (!connection->leader && !TAILQ_EMPTY(&connection->waiters))
		rouse(TAILQ_FIRST(&connection->waiters));
}

/* What the thread was given rings again, for the others. */
static void give_back(const struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	struct peer *self = ivshmem_connection_peer(connection, connection->id);
	const struct ivshmem_wait_result *result = waiter->result;
	uint32_t vector;

	for (vector = 0; self && vector < self->vectors; vector++) {
		uint64_t count = vector == result->vector ? result->count : 1;

		if (result->set[vector / 64] >> vector % 64 & 1)
			(void)!write(self->fds[vector], &count, sizeof(count));
	}
}

/* The thread is cancelled while it sleeps. */
static void cancelled(void *argument)
{
	struct waiter *waiter = argument;

	lock(waiter);
	if (waiter->connection->leader == waiter)
		waiter->connection->leader = NULL;
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

int ivshmem_connection_wait(struct ivshmem *handle,
			    const struct ivshmem_wait_options *options,
			    struct ivshmem_wait_result *result)
{
	struct waiter waiter = {
		.connection = to_connection(handle),
		.options = options,
		.result = result,
	};
	int error;

	lock(&waiter);
	error = ivshmem_connection_check_wait(waiter.connection, options);
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
