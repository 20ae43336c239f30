/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection to an ivshmem server: what backend_server.c (who is there) and
 * backend_server_wait.c (sleeping) share.
 */
#ifndef IVSHMEM_BACKEND_SERVER_H
#define IVSHMEM_BACKEND_SERVER_H

#include <pthread.h>
#include <sys/queue.h>

#include "handle.h"

struct peer {
	uint32_t id;
	uint32_t vectors;		/* how many of fds are there */
	int fds[];			/* eventfds, room for a power of two */
};

/* A message that may come in pieces. */
struct message {
	unsigned char bytes[8];
	size_t have;
	int fd;				/* what came with it, or -1 */
};

struct connection {
	struct ivshmem base;
	int socket;
	uint32_t id;

	pthread_mutex_t lock;		/* protects all below */
	struct message incoming;
	int error;			/* why the connection is over, for good; or 0 */
	char reason[128];		/* the same in words */
	bool complete;			/* all own vectors are there */
	struct peer **peers;		/* rising ids; the own one among them */
	size_t npeers;

	/* Threads that wait: backend_server_wait.c. */
	TAILQ_HEAD(, waiter) waiters;	/* the one that has waited longest first */
	struct waiter *leader;		/* the one that polls for all, or NULL */
	uint32_t wanting[IVSHMEM_MAX_VECTORS];	/* how many wait for each vector */
	int wake;			/* an eventfd that makes the leader look again */
	uint64_t wakes;			/* for which waits return */
};

static inline struct connection *to_connection(struct ivshmem *handle)
{
	return (struct connection *)handle;
}

/*
 * While the lock is held the thread is not cancelled, for another would wait for ever.
 * Lock gives what unlock takes.
 */
static inline int ivshmem_connection_lock(struct connection *connection)
{
	int cancel = ivshmem_cancel_off();

	pthread_mutex_lock(&connection->lock);
	return cancel;
}

static inline void ivshmem_connection_unlock(struct connection *connection, int cancel)
{
	pthread_mutex_unlock(&connection->lock);
	ivshmem_cancel_restore(cancel);
}

/* Called with the lock held: the connection is over, for the thread's latest error. */
void ivshmem_connection_end(struct connection *connection, int error);

/* Why the connection is over, for this thread as well, or 0. */
int ivshmem_connection_error(const struct connection *connection);

/* Called with the lock held. */
void ivshmem_connection_drain(struct connection *connection);
struct peer *ivshmem_connection_peer(const struct connection *connection,
				     uint32_t id);
int ivshmem_connection_check_wait(struct connection *connection,
				  const struct ivshmem_wait_options *options);

/* Called with the lock held: make all waits look again, or return. */
void ivshmem_connection_rouse(struct connection *connection);
void ivshmem_connection_wake_all(struct connection *connection);

int ivshmem_connection_wait(struct ivshmem *handle,
			    const struct ivshmem_wait_options *options,
			    struct ivshmem_wait_result *result);

#endif /* IVSHMEM_BACKEND_SERVER_H */
