// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Waiting on the host: a poll of the vectors' eventfds and of the socket.
 *
 * No wake-up is lost against other machines because an eventfd remembers: the
 * word is looked at after the eventfds were emptied, and a ring from then on
 * ends the next poll at once.
 *
 * Between threads that share the handle, one may empty the eventfd that ought
 * to wake another. So the thread that takes an event makes all other waiters look
 * again: the epoch rises and the wake descriptor stays readable until each of
 * them has seen the new epoch. Who has seen it sleeps no more before all have,
 * or it would find the descriptor readable over and over.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "backend_server.h"
#include "park.h"

#define SPIN_ROUNDS	64		/* looks at the word between two polls */

enum { FD_SOCKET, FD_WAKE, FD_VECTORS };

struct waiter {
	struct connection *connection;
	struct ivshmem_wait_result *result;
	const _Atomic uint32_t *word;	/* NULL: none */
	uint32_t expected;
	uint64_t epoch;
	uint64_t wakes;
	int64_t deadline;		/* INT64_MAX: never */
	int64_t spin_end;
	nfds_t nfds;
	struct pollfd fds[FD_VECTORS + IVSHMEM_MAX_VECTORS];
	uint8_t vectors[IVSHMEM_MAX_VECTORS];	/* of fds[FD_VECTORS + n] */
};

static int64_t add(int64_t time, int64_t duration)
{
	return time > INT64_MAX - duration ? INT64_MAX : time + duration;
}

static bool word_changed(const struct waiter *waiter)
{
	return waiter->word &&
	       atomic_load(waiter->word) != waiter->expected;
}

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

/* Waking the other threads; all but the last with the lock held. */

static void end_wake(struct connection *connection)
{
	uint64_t wakes;

	(void)!read(connection->wake, &wakes, sizeof(wakes));
	pthread_cond_broadcast(&connection->woken);
}

static void wake(struct connection *connection, uint32_t waiters)
{
	bool pending = connection->unwoken;
	uint64_t one = 1;

	connection->epoch++;
	connection->unwoken = waiters;
	if (waiters) {
		(void)!write(connection->wake, &one, sizeof(one));
		pthread_cond_broadcast(&connection->woken);
	} else if (pending) {
		/* The one that had not noticed yet is the caller. */
		end_wake(connection);
	}
}

static void wake_others(struct waiter *waiter)
{
	struct connection *connection = waiter->connection;

	wake(connection, connection->waiters - 1);
	waiter->epoch = connection->epoch;
}

void ivshmem_connection_wake_all(struct connection *connection)
{
	connection->wakes++;
	wake(connection, connection->waiters);
}

static void notice_wake(struct waiter *waiter)
{
	struct connection *connection = waiter->connection;

	if (waiter->epoch == connection->epoch)
		return;
	waiter->epoch = connection->epoch;
	if (!--connection->unwoken)
		end_wake(connection);
}

static void let_others_notice(struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	int cancel;

	cancel = ivshmem_connection_lock(connection);
	while (connection->unwoken && waiter->epoch == connection->epoch)
		pthread_cond_wait(&connection->woken, &connection->lock);
	ivshmem_connection_unlock(connection, cancel);
}

/* Empty the eventfds that poll said are readable. */
static void take_events(struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	struct ivshmem_wait_result *result = waiter->result;
	uint64_t count;
	nfds_t n;

	for (n = FD_VECTORS; n < waiter->nfds; n++) {
		uint32_t vector = waiter->vectors[n - FD_VECTORS];

		if (!waiter->fds[n].revents)
			continue;
		if (read(waiter->fds[n].fd, &count, sizeof(count)) < 0) {
			/* Another thread was faster, or it is no eventfd. */
			if (errno != EAGAIN) {
				ivshmem_fail(-EPROTO, "a doorbell cannot be read");
				ivshmem_connection_end(connection, -EPROTO);
			}
			continue;
		}
		if (!result->count) {
			result->vector = vector;
			result->count = count;
		}
		result->set[vector / 64] |= 1ULL << vector % 64;
	}
}

/* After a poll: 1 if there is something to report, 0 if not, or an error. */
static int harvest(struct waiter *waiter)
{
	struct connection *connection = waiter->connection;
	int error, cancel;

	cancel = ivshmem_connection_lock(connection);
	notice_wake(waiter);
	if (waiter->fds[FD_SOCKET].revents)
		ivshmem_connection_drain(connection);
	take_events(waiter);
	if (waiter->result->count) {
		wake_others(waiter);
		ivshmem_listeners_signal(&connection->base, waiter->result->set);
	}
	error = connection->error;
	if (!error && waiter->wakes != connection->wakes)
		error = 1;
	ivshmem_connection_unlock(connection, cancel);

	waiter->result->changed = word_changed(waiter);
	if (waiter->result->changed || waiter->result->count)
		return 1;
	return error < 0 ? ivshmem_connection_error(connection) : error;
}

/* How long the next poll may take: 0 while spinning or when it is the last. */
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

static int wait_loop(struct waiter *waiter)
{
	struct timespec timeout = { 0 };
	int error;

	for (;;) {
		if (ppoll(waiter->fds, waiter->nfds, &timeout, NULL) < 0)
			return -errno;
		error = harvest(waiter);
		if (error)
			return error < 0 ? error : 0;
		error = next_timeout(waiter, &timeout);
		if (error)
			return error;
		if (timeout.tv_sec || timeout.tv_nsec)
			let_others_notice(waiter);
		else
			spin(waiter);
	}
}

static void set_times(struct waiter *waiter,
		      const struct ivshmem_wait_options *options)
{
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

static int find_word(struct waiter *waiter, const struct ivshmem_wait_options *options)
{
	char *whole;

	if (!(options->flags & IVSHMEM_WAIT_WORD))
		return 0;
	whole = ivshmem_whole(&waiter->connection->base);
	if (!whole)
		return -ENOMEM;
	waiter->word = (void *)(whole + options->offset);
	waiter->expected = options->expected;
	return 0;
}

static bool wanted(const struct ivshmem_wait_options *options, uint32_t vector)
{
	if (options->flags & IVSHMEM_WAIT_SET)
		return options->set[vector / 64] >> vector % 64 & 1;
	return options->vector == vector;
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

/* Lock held: from here on other threads' wakes are seen. */
static int enlist(struct waiter *waiter,
		  const struct ivshmem_wait_options *options)
{
	struct connection *connection = waiter->connection;
	struct peer *self;
	uint32_t vector;
	int error;

	error = ivshmem_connection_check_wait(connection, options);
	if (error)
		return error;
	self = ivshmem_connection_peer(connection, connection->id);
	waiter->fds[FD_SOCKET].fd = connection->socket;
	waiter->fds[FD_WAKE].fd = connection->wake;
	waiter->nfds = FD_VECTORS;
	for (vector = 0; vector < self->vectors; vector++) {
		if (!wanted(options, vector))
			continue;
		waiter->vectors[waiter->nfds - FD_VECTORS] = vector;
		waiter->fds[waiter->nfds++].fd = self->fds[vector];
	}
	for (vector = 0; vector < waiter->nfds; vector++)
		waiter->fds[vector].events = POLLIN;
	waiter->epoch = connection->epoch;
	waiter->wakes = connection->wakes;
	connection->waiters++;
	return 0;
}

static void delist(void *argument)
{
	struct waiter *waiter = argument;
	struct connection *connection = waiter->connection;
	int cancel;

	cancel = ivshmem_connection_lock(connection);
	notice_wake(waiter);
	connection->waiters--;
	ivshmem_connection_unlock(connection, cancel);
}

int ivshmem_connection_wait(struct ivshmem *handle,
			    const struct ivshmem_wait_options *options,
			    struct ivshmem_wait_result *result)
{
	struct connection *connection = to_connection(handle);
	struct waiter waiter;
	int error, cancel;

	waiter.connection = connection;
	waiter.result = result;
	waiter.word = NULL;
	cancel = ivshmem_connection_lock(connection);
	error = enlist(&waiter, options);
	ivshmem_connection_unlock(connection, cancel);
	if (error)
		return error;
	set_times(&waiter, options);
	/* The poll is a cancellation point: the others must not wait for this thread. */
	pthread_cleanup_push(delist, &waiter);
	error = find_word(&waiter, options);
	if (!error)
		error = wait_loop(&waiter);
	pthread_cleanup_pop(1);
	return error;
}
