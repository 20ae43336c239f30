// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Descriptors for event loops.
 *
 * Each is an epoll instance of its own, in which the doorbell's eventfd is watched for
 * edges: every ring makes each of them readable, and clearing one does not empty the
 * eventfd, so that no listener takes an event from another. ivshmem_wait() on the host
 * does empty it; it then signals the listeners itself, as does a call that has read the
 * server's news.
 *
 * The timer is for what nobody rings for: see park.c. Its interval doubles as long as
 * nothing else happens. It also makes the descriptor readable on demand.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "handle.h"
#include "log.h"
#include "park.h"

enum { SOURCE_DOORBELL, SOURCE_NEWS, SOURCE_TIMER, SOURCES };

/* Of two times, of which 0 is none. */
static int64_t earlier(int64_t one, int64_t other)
{
	return !one || (other && other < one) ? other : one;
}

/*
 * Expire at the earliest of these times, once: a timer that repeats goes on only when it is read,
 * which nobody does. Lock held.
 */
static void set_timer(struct ivshmem_listener *listener)
{
	int64_t until = listener->interval ? listener->look : 0;
	struct itimerspec time = { 0 };

	until = earlier(until, listener->poll);
	until = earlier(until, listener->due);
	time.it_value.tv_sec = until / NSEC_PER_SEC;
	time.it_value.tv_nsec = until % NSEC_PER_SEC;
	timerfd_settime(listener->timer, TFD_TIMER_ABSTIME, &time, NULL);
}

/* Lock held. */
static void look_after(struct ivshmem_listener *listener, int64_t interval, int64_t time)
{
	listener->interval = ivshmem_next_interval(interval, listener->rung);
	listener->look = time + listener->interval;
}

static void poll_after(struct ivshmem_listener *listener, int64_t interval, int64_t time)
{
	listener->poll_interval = ivshmem_next_interval(interval, false);
	listener->poll = listener->unrung ? time + listener->poll_interval : 0;
}

static int watch(struct ivshmem_listener *listener, int source, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.u32 = source };

	return epoll_ctl(listener->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int watch_all(struct ivshmem_listener *listener)
{
	struct ivshmem *handle = listener->handle;
	uint32_t events;
	int error = 0, fd;

	if (listener->rung) {
		fd = handle->ops->doorbell(handle, handle->first_vector + listener->vector);
		listener->watches = fd >= 0;
		error = fd < 0 ? fd : watch(listener, SOURCE_DOORBELL, fd, EPOLLIN | EPOLLET);
	}
	if (!error && handle->ops->news) {
		fd = handle->ops->news(handle, &events);
		error = watch(listener, SOURCE_NEWS, fd, events);
	}
	return error ? error : watch(listener, SOURCE_TIMER, listener->timer,
				     EPOLLIN | EPOLLET);
}

static void destroy(struct ivshmem_listener *listener)
{
	struct ivshmem *handle = listener->handle;

	if (listener->watches && handle->ops->forget)
		handle->ops->forget(handle);
	if (listener->epoll >= 0)
		close(listener->epoll);
	if (listener->timer >= 0)
		close(listener->timer);
	pthread_mutex_destroy(&listener->lock);
}

int ivshmem_listener_open(struct ivshmem_listener *listener, struct ivshmem *handle,
			  uint32_t vector)
{
	int cancel = ivshmem_cancel_off();
	int error;

	listener->handle = handle;
	listener->vector = vector;
	listener->rung = ivshmem_has_doorbell(handle, vector);
	listener->unrung = 0;
	listener->poll = 0;
	listener->watches = false;
	listener->news = true;
	pthread_mutex_init(&listener->lock, NULL);
	listener->epoll = epoll_create1(EPOLL_CLOEXEC);
	listener->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	error = listener->epoll < 0 || listener->timer < 0 ? -errno : watch_all(listener);
	if (error) {
		destroy(listener);
		ivshmem_cancel_restore(cancel);
		return ivshmem_fail(error, "cannot make a descriptor to poll: %s",
				    strerror(-error));
	}
	if (vector != LISTENER_NO_VECTOR)
		ivshmem_listener_hurry(listener);
	pthread_mutex_lock(&handle->listeners_lock);
	listener->next = handle->listeners;
	handle->listeners = listener;
	pthread_mutex_unlock(&handle->listeners_lock);
	atomic_store(&listener->open, true);
	ivshmem_cancel_restore(cancel);
	return 0;
}

void ivshmem_listener_close(struct ivshmem_listener *listener)
{
	struct ivshmem *handle = listener->handle;
	struct ivshmem_listener **place;

	if (!ivshmem_listener_is_open(listener))
		return;
	pthread_mutex_lock(&handle->listeners_lock);
	for (place = &handle->listeners; *place != listener; place = &(*place)->next)
		;
	*place = listener->next;
	pthread_mutex_unlock(&handle->listeners_lock);
	destroy(listener);
	atomic_store(&listener->open, false);
}

static enum ivshmem_timer take_timer(struct ivshmem_listener *listener)
{
	enum ivshmem_timer timer = TIMER_SIGNALLED;
	int64_t time = ivshmem_now();

	pthread_mutex_lock(&listener->lock);
	if (listener->poll && time >= listener->poll) {
		timer = TIMER_POLL;
		poll_after(listener, listener->poll_interval, time);
	}
	if (listener->interval && time >= listener->look) {
		timer = TIMER_IDLE;
		look_after(listener, listener->interval, time);
	}
	if (listener->due <= time)
		listener->due = 0;
	set_timer(listener);
	pthread_mutex_unlock(&listener->lock);
	return timer;
}

enum ivshmem_timer ivshmem_listener_clear(struct ivshmem_listener *listener)
{
	int cancel = ivshmem_cancel_off();
	struct epoll_event events[SOURCES];
	int n = epoll_wait(listener->epoll, events, SOURCES, 0);
	enum ivshmem_timer timer = TIMER_RUNS;

	while (n-- > 0) {
		if (events[n].data.u32 == SOURCE_NEWS)
			listener->news = true;
		else if (events[n].data.u32 == SOURCE_TIMER)
			timer = take_timer(listener);
	}
	ivshmem_cancel_restore(cancel);
	return timer;
}

void ivshmem_listener_signal(struct ivshmem_listener *listener, int64_t delay_ns)
{
	int64_t due = ivshmem_now() + delay_ns;

	pthread_mutex_lock(&listener->lock);
	if (!listener->due || due < listener->due) {
		listener->due = due;
		set_timer(listener);
	}
	pthread_mutex_unlock(&listener->lock);
}

void ivshmem_listener_hurry(struct ivshmem_listener *listener)
{
	int64_t time = ivshmem_now();

	pthread_mutex_lock(&listener->lock);
	look_after(listener, 0, time);
	poll_after(listener, 0, time);
	set_timer(listener);
	pthread_mutex_unlock(&listener->lock);
}

void ivshmem_listener_add_unrung(struct ivshmem_listener *listener, int change)
{
	pthread_mutex_lock(&listener->lock);
	listener->unrung += change;
	pthread_mutex_unlock(&listener->lock);
	ivshmem_listener_hurry(listener);
}

/* The vectors in the set are those of the region. */
static bool is_in(const struct ivshmem_listener *listener, const uint64_t *set)
{
	uint64_t vector = (uint64_t)listener->handle->first_vector + listener->vector;

	return vector < IVSHMEM_MAX_VECTORS && set[vector / 64] >> vector % 64 & 1;
}

void ivshmem_listeners_signal(struct ivshmem *handle, const uint64_t *set)
{
	struct ivshmem_listener *listener;

	pthread_mutex_lock(&handle->listeners_lock);
	for (listener = handle->listeners; listener; listener = listener->next) {
		if (!set)
			listener->news = true;
		else if (!is_in(listener, set))
			continue;
		ivshmem_listener_signal(listener, 0);
	}
	pthread_mutex_unlock(&handle->listeners_lock);
}
