// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that are cancelled: only the calls that sleep are cancellation points, and what
 * such a call had is given back (ivshmem.h). Each call here is made with a cancellation
 * pending, so that it acts at the first point there is.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "common/channel.h"
#include "ivshmem_sync.h"

static const struct ivshmem_channel_options range = { .size = 64 << 10 };
static const struct ivshmem_channel_options nobody = { .offset = 128 << 10, .size = 64 << 10 };

static struct ivshmem *own;
static struct ivshmem_channel *channel, *another;
static struct ivshmem_channel_set *set;
static struct ivshmem_mutex *mutex;
static struct ivshmem_semaphore *semaphore;
static struct ivshmem_event *event;
static void *memory;
static int fd;

static int open_own(void)
{
	return ivshmem_open(&own, scratch("socket"), 0);
}

static int close_own(void)
{
	ivshmem_close(own);
	return 0;
}

static int properties(void)
{
	struct ivshmem_properties out;

	return ivshmem_get_properties(own, &out);
}

static int map(void)
{
	return ivshmem_map(own, 0, 4096, &memory);
}

static int unmap(void)
{
	return ivshmem_unmap(own, memory, 4096);
}

static int ring(void)
{
	return ivshmem_ring(own, 0, 0);
}

static int get_eventfd(void)
{
	fd = ivshmem_eventfd(own, 0);
	return fd < 0 ? fd : 0;
}

static int get_fd(void)
{
	int news = ivshmem_fd(own);

	return news < 0 ? news : 0;
}

static int peers(void)
{
	return ivshmem_peers(own, NULL, 0) != 1;
}

static int peer_gone(void)
{
	return ivshmem_peer_gone(own, 0);
}

static int create(void)
{
	return ivshmem_channel_create(own, &range, &channel);
}

static int attach(void)
{
	return ivshmem_channel_attach(own, &range, IVSHMEM_FOREVER, &another);
}

static int channel_fd(void)
{
	int ready = ivshmem_channel_fd(channel);

	return ready < 0 ? ready : 0;
}

static int try(void)
{
	char byte;

	ivshmem_channel_send(another, "x", 1, 0, 0);
	ivshmem_channel_recv(channel, &byte, 1, 0);
	return 0;
}

static int end(void)
{
	ivshmem_channel_shutdown(another);
	return 0;
}

static int close_both(void)
{
	ivshmem_channel_close(another);
	ivshmem_channel_close(channel);
	return 0;
}

static int open_set(void)
{
	return ivshmem_channel_set_open(own, 256 << 10, IVSHMEM_CHANNEL_SET_SIZE, 0, &set);
}

static int ask_set(void)
{
	return ivshmem_channel_set_next(set, &channel) != -EAGAIN;
}

static int close_set(void)
{
	ivshmem_channel_set_close(set);
	return 0;
}

static int open_mutex(void)
{
	return ivshmem_mutex_open(own, 64 << 10, 0, IVSHMEM_SYNC_CREATE, &mutex);
}

static int lock_and_unlock(void)
{
	int error = ivshmem_mutex_lock(mutex, 0);

	return error ? error : ivshmem_mutex_unlock(mutex);
}

static int close_mutex(void)
{
	ivshmem_mutex_close(mutex);
	return 0;
}

static int open_others(void)
{
	int error = ivshmem_semaphore_open(own, 65 << 10, 0, IVSHMEM_SYNC_CREATE, 0, &semaphore);

	return error ? error : ivshmem_event_open(own, 66 << 10, 0, IVSHMEM_SYNC_CREATE, &event);
}

static int use_others(void)
{
	return ivshmem_semaphore_post(semaphore) || ivshmem_event_set(event) ||
	       ivshmem_event_reset(event);
}

static int close_others(void)
{
	ivshmem_semaphore_close(semaphore);
	ivshmem_event_close(event);
	return 0;
}

/* Called in this order. */
static const struct {
	const char *name;
	int (*function)(void);
} calls[] = {
	{ "ivshmem_open()", open_own },
	{ "ivshmem_get_properties()", properties },
	{ "ivshmem_map()", map },
	{ "ivshmem_unmap()", unmap },
	{ "ivshmem_ring()", ring },
	{ "ivshmem_eventfd()", get_eventfd },
	{ "ivshmem_fd()", get_fd },
	{ "ivshmem_peers()", peers },
	{ "ivshmem_peer_gone()", peer_gone },
	{ "ivshmem_channel_create()", create },
	{ "ivshmem_channel_attach() that finds one", attach },
	{ "ivshmem_channel_fd()", channel_fd },
	{ "calls with deadline 0", try },
	{ "ivshmem_channel_shutdown()", end },
	{ "ivshmem_channel_close()", close_both },
	{ "ivshmem_channel_set_open()", open_set },
	{ "ivshmem_channel_set_next()", ask_set },
	{ "ivshmem_channel_set_close()", close_set },
	{ "ivshmem_mutex_open()", open_mutex },
	{ "ivshmem_mutex_lock() that gets it, and ivshmem_mutex_unlock()", lock_and_unlock },
	{ "ivshmem_mutex_close()", close_mutex },
	{ "ivshmem_semaphore_open() and ivshmem_event_open()", open_others },
	{ "semaphores and events", use_others },
	{ "ivshmem_semaphore_close() and ivshmem_event_close()", close_others },
	{ "ivshmem_close()", close_own },
};

static void *call(void *function)
{
	pthread_cancel(pthread_self());
	return (void *)(intptr_t)((int (*)(void))function)();
}

/* What a thread's function gives; -ECANCELED if it did not come to its end. */
static int result_of(void *(*start)(void *), void *argument)
{
	pthread_t thread;
	void *result;

	if (pthread_create(&thread, NULL, start, argument))
		tap_bail("cannot create a thread");
	pthread_join(thread, &result);
	return result == PTHREAD_CANCELED ? -ECANCELED : (int)(intptr_t)result;
}

static void *attach_in_vain(void *argument)
{
	struct ivshmem_channel *none;

	(void)argument;
	ivshmem_channel_attach(own, &nobody, IVSHMEM_FOREVER, &none);
	return NULL;
}

int main(void)
{
	pid_t server = start_server("--memfd", "-l", "1M", "-n", "2", NULL);
	struct ivshmem *witness = must_open(0);
	int before = open_descriptors(0);
	size_t n;

	for (n = 0; n < sizeof(calls) / sizeof(*calls); n++)
		tap_eq(result_of(call, (void *)calls[n].function), 0,
		       "%s is no cancellation point", calls[n].name);
	close(fd);
	ivshmem_peers(witness, NULL, 0);
	own = must_open(0);
	tap_eq(result_of(call, (void *)attach_in_vain), -ECANCELED,
	       "a thread that waits for a channel's creator is cancelled");
	ivshmem_close(own);
	tap_ok(eventually(ivshmem_peers(witness, NULL, 0) == 0),
	       "it keeps the connection no longer");
	tap_eq(open_descriptors(0), before, "no descriptor is lost");
	ivshmem_close(witness);
	return stop_server(server, SIGTERM) || tap_done();
}
