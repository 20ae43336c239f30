/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sleeping on the host, where own doorbells are eventfds: what connections to a server and
 * files with a peer area have in common (waiting.c).
 */
#ifndef IVSHMEM_WAITING_H
#define IVSHMEM_WAITING_H

#include <pthread.h>
#include <sys/queue.h>

#include "handle.h"

/* What a back end has to say about its doorbells; all with the lock held. */
struct waiting_source {
	/* The eventfds of the own vectors, and how many there are. */
	const int *(*doorbells)(struct ivshmem *handle, uint32_t *count);
	/* Hear the news, which the descriptor has announced or not. */
	void (*drain)(struct ivshmem *handle);
	/* Find the doorbells that nothing announces (or NULL). */
	void (*look)(struct ivshmem *handle);
	/* A thread has begun to wait, the first one (or NULL). */
	void (*begin)(struct ivshmem *handle);
};

struct waiting {
	struct ivshmem *handle;
	const struct waiting_source *source;
	int news;			/* the descriptor to hear, or -1 */
	int wake;			/* an eventfd that makes the leader look again */

	pthread_mutex_t lock;		/* protects all below, and what the back end says */
	int error;			/* why the handle is of no use, for good; or 0 */
	char reason[128];		/* the same in words */
	TAILQ_HEAD(, waiter) waiters;	/* the one that has waited longest first */
	struct waiter *leader;		/* the one that polls for all, or NULL */
	uint32_t wanting[IVSHMEM_MAX_VECTORS];	/* how many wait for each vector */
	uint64_t wakes;			/* for which waits return */
};

/* 0, or why not; free it in either case. */
int ivshmem_waiting_init(struct waiting *waiting, struct ivshmem *handle,
			 const struct waiting_source *source);
void ivshmem_waiting_free(struct waiting *waiting);

/*
 * While the lock is held the thread is not cancelled, for another would wait for ever.
 * Lock gives what unlock takes.
 */
static inline int ivshmem_waiting_lock(struct waiting *waiting)
{
	int cancel = ivshmem_cancel_off();

	pthread_mutex_lock(&waiting->lock);
	return cancel;
}

static inline void ivshmem_waiting_unlock(struct waiting *waiting, int cancel)
{
	pthread_mutex_unlock(&waiting->lock);
	ivshmem_cancel_restore(cancel);
}

/* Called with the lock held: all is over, for the thread's latest error. */
void ivshmem_waiting_end(struct waiting *waiting, int error);

/* Why it is over, for this thread as well, or 0. */
int ivshmem_waiting_error(const struct waiting *waiting);

/* Called with the lock held: make all waits look again, or return. */
void ivshmem_waiting_rouse(struct waiting *waiting);
void ivshmem_waiting_wake_all(struct waiting *waiting);

/* What the operations of a handle do. */
int ivshmem_waiting_wait(struct waiting *waiting, const struct ivshmem_wait_options *options,
			 struct ivshmem_wait_result *result);
int ivshmem_waiting_ring_wait(struct waiting *waiting, uint32_t peer, uint32_t vector,
			      const struct ivshmem_wait_options *options,
			      struct ivshmem_wait_result *result);
int ivshmem_waiting_doorbell(struct waiting *waiting, uint32_t vector);

#endif /* IVSHMEM_WAITING_H */
