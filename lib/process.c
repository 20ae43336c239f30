// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The handles of this process, and the channels of each.
 *
 * A child after fork() has copies of them, and must not speak for its parent. So all
 * of them are marked in the child, and their calls fail with -EPERM. What other threads
 * were changing at the fork stays half changed there, and locked: a call that closes
 * something leaves that alone, and the rest to exec or exit. As long as a copy of a server's
 * socket is open, the server does not notice that its peer has died: the child closes
 * that at once.
 *
 * The lock is taken last but for that of the log.
 */
#include <errno.h>
#include <unistd.h>

#include "process.h"
#include "session.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* protects all below */
static LIST_HEAD(, ivshmem) handles = LIST_HEAD_INITIALIZER(handles);
static _Atomic unsigned int process;	/* how many forks this one is away from the first */

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

static void disown_channel(struct ivshmem_channel *channel)
{
	int n;

	channel->error = -EPERM;
	channel->reason = IVSHMEM_OF_PARENT;
	for (n = 0; n < 2; n++)
		atomic_store(&channel->directions[n].state, DIRECTION_FAILED);
}

static void disown(struct ivshmem *handle)
{
	struct ivshmem_channel *channel;

	if (handle->ops->begin_child)
		handle->ops->begin_child(handle);
	LIST_FOREACH(channel, &handle->channels, place)
		disown_channel(channel);
}

static void begin_child(void)
{
	struct ivshmem *handle;

	process++;
	LIST_FOREACH(handle, &handles, place)
		disown(handle);
	pthread_mutex_unlock(&lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, begin_child);
}

void ivshmem_process_add(struct ivshmem *handle)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&lock);
	handle->process = process;
	LIST_INIT(&handle->channels);
	LIST_INSERT_HEAD(&handles, handle, place);
	pthread_mutex_unlock(&lock);
}

void ivshmem_process_remove(struct ivshmem *handle)
{
	pthread_mutex_lock(&lock);
	LIST_REMOVE(handle, place);
	pthread_mutex_unlock(&lock);
}

void ivshmem_process_close(int *fd)
{
	pthread_mutex_lock(&lock);
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	pthread_mutex_unlock(&lock);
}

void ivshmem_process_add_channel(struct ivshmem_channel *channel)
{
	pthread_mutex_lock(&lock);
	LIST_INSERT_HEAD(&channel->handle->channels, channel, place);
	pthread_mutex_unlock(&lock);
}

void ivshmem_process_remove_channel(struct ivshmem_channel *channel)
{
	pthread_mutex_lock(&lock);
	LIST_REMOVE(channel, place);
	pthread_mutex_unlock(&lock);
}

bool ivshmem_process_owns(const struct ivshmem *handle)
{
	return handle->process == process;
}

int ivshmem_process_check(const struct ivshmem *handle)
{
	if (ivshmem_process_owns(handle))
		return 0;
	return ivshmem_fail(-EPERM, IVSHMEM_OF_PARENT);
}

void ivshmem_process_doubt(struct ivshmem *handle)
{
	struct ivshmem_channel *channel;

	pthread_mutex_lock(&lock);
	LIST_FOREACH(channel, &handle->channels, place) {
		ivshmem_direction_doubt(&channel->directions[OUT]);
		ivshmem_direction_doubt(&channel->directions[IN]);
	}
	pthread_mutex_unlock(&lock);
}
