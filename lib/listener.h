/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A descriptor that programs poll, and that is readable while there may be something to
 * do: a doorbell, news of the server or the device, or the time to look again.
 */
#ifndef IVSHMEM_LISTENER_H
#define IVSHMEM_LISTENER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ivshmem;

#define LISTENER_NO_VECTOR	UINT32_MAX	/* only for news, without a timer */

struct ivshmem_listener {
	_Atomic bool open;
	struct ivshmem *handle;
	struct ivshmem_listener *next;	/* of the handle; under its listeners_lock */
	uint32_t vector;		/* of the handle, or LISTENER_NO_VECTOR */
	bool rung;			/* there is a doorbell */
	bool watches;			/* the doorbell's descriptor */
	int epoll;			/* what programs poll */
	int timer;
	_Atomic bool news;		/* of the server or the device */
	pthread_mutex_t lock;		/* taken last; protects all below and the timer */
	unsigned int unrung;		/* channels that are not rung for all the same */
	int64_t interval;		/* between two looks for nothing; 0: there are none */
	int64_t look;			/* when the timer expires for the next one */
	int64_t poll_interval;		/* the same for those that are not rung */
	int64_t poll;			/* 0: there are none */
	int64_t due;			/* when it expires for somebody; 0: it does not */
};

/* -EMFILE, -ENFILE, -ENOMEM, or a reason why the vector cannot be listened to. */
int ivshmem_listener_open(struct ivshmem_listener *listener, struct ivshmem *handle,
			  uint32_t vector);
void ivshmem_listener_close(struct ivshmem_listener *listener);

static inline bool ivshmem_listener_is_open(const struct ivshmem_listener *listener)
{
	return atomic_load(&listener->open);
}

/* Why the timer has expired; each one includes those before. */
enum ivshmem_timer {
	TIMER_RUNS,
	TIMER_SIGNALLED,	/* as somebody wanted it */
	TIMER_POLL,		/* it is time to look at channels that are not rung */
	TIMER_IDLE,		/* and at all the others, though nothing has happened */
};

/*
 * The caller looks at the memory after this; what comes from here on makes the descriptor
 * readable again.
 */
enum ivshmem_timer ivshmem_listener_clear(struct ivshmem_listener *listener);

/* Make it readable after this time at the latest. */
void ivshmem_listener_signal(struct ivshmem_listener *listener, int64_t delay_ns);

/* Has there been news since the last call? Then look who is still there. */
static inline bool ivshmem_listener_has_news(struct ivshmem_listener *listener)
{
	return atomic_exchange(&listener->news, false);
}

/* Look again soon: a doorbell that was rung before the peers knew each other is lost. */
void ivshmem_listener_hurry(struct ivshmem_listener *listener);

/* One more (1) or less (-1) of the channels that only the timer tells of. */
void ivshmem_listener_add_unrung(struct ivshmem_listener *listener, int change);

/* Somebody else has taken the doorbells of the region's @set, or has heard the news (NULL). */
void ivshmem_listeners_signal(struct ivshmem *handle, const uint64_t *set);

#endif /* IVSHMEM_LISTENER_H */
