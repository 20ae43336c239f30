// SPDX-License-Identifier: GPL-2.0-only
/*
 * Doorbells that come in
 *
 * The interrupt handler ends in ivshmem_vector_fire(): count, then wake who
 * waits. It takes nothing from anybody: each open file compares the count with
 * what it has seen itself (struct ivshmem_file.seen), so any number of
 * processes can wait for the same vector.
 */
#include <linux/eventfd.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include "compat.h"
#include "ivshmem.h"
#include "trace.h"

/* An eventfd that an open file has tied to a vector. */
struct ivshmem_eventfd_binding {
	struct list_head node;		/* in vec->eventfds, under vec->lock */
	struct ivshmem_file *file;
	struct eventfd_ctx *ctx;
};

/**
 * ivshmem_vectors_alloc() - make the doorbells of a device
 * @idev: not registered yet
 * @nr: how many, 0 to IVSHMEM_MAX_VECTORS
 *
 * They go with the device.
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_vectors_alloc(struct ivshmem_device *idev, unsigned int nr)
{
	unsigned int i;

	if (!nr)
		return 0;
	idev->vectors = kvcalloc(nr, sizeof(*idev->vectors), GFP_KERNEL);
	if (!idev->vectors)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		struct ivshmem_vector *vec = &idev->vectors[i];

		vec->idev = idev;
		init_waitqueue_head(&vec->queue);
		spin_lock_init(&vec->lock);
		INIT_LIST_HEAD(&vec->eventfds);
		snprintf(vec->name, sizeof(vec->name), "%u", (u8)i);
	}
	idev->nr_vectors = nr;
	return 0;
}

void ivshmem_vectors_free(struct ivshmem_device *idev)
{
	kfree(idev->vector_attrs);
	kvfree(idev->vectors);
}

/**
 * ivshmem_vector_fire() - a doorbell rang
 * @vec: which
 *
 * Called in the interrupt handler, and where a doorbell may have been missed.
 * The count goes up before anybody is woken, and wq_has_sleeper() orders it
 * before the look at the queue: a waiter that queued itself too late to be
 * woken sees the new count.
 */
void ivshmem_vector_fire(struct ivshmem_vector *vec)
{
	struct ivshmem_device *idev = vec->idev;
	struct ivshmem_eventfd_binding *b;
	unsigned long flags;

	atomic64_inc(&vec->count);

	if (wq_has_sleeper(&vec->queue))
		wake_up_all(&vec->queue);
	if (wq_has_sleeper(&idev->any))
		wake_up_poll(&idev->any, EPOLLIN | EPOLLRDNORM);

	if (!list_empty_careful(&vec->eventfds)) {
		spin_lock_irqsave(&vec->lock, flags);
		list_for_each_entry(b, &vec->eventfds, node)
			ivshmem_eventfd_signal(b->ctx);
		spin_unlock_irqrestore(&vec->lock, flags);
	}
	kill_fasync(&idev->fasync, SIGIO, POLL_IN);
}

/**
 * ivshmem_vectors_fire_all() - wake everybody, for whatever they wait
 * @idev: whose state has changed, or whose doorbells may have been lost
 */
void ivshmem_vectors_fire_all(struct ivshmem_device *idev)
{
	unsigned int i;

	for (i = 0; i < idev->nr_vectors; i++)
		ivshmem_vector_fire(&idev->vectors[i]);
	/* Who waits for the state has no key to be found by. */
	wake_up_all(&idev->any);
}

/* Has anything happened that was not reported to this file yet? */
bool ivshmem_events_pending(struct ivshmem_file *file)
{
	struct ivshmem_device *idev = file->idev;
	unsigned int i;

	for (i = 0; i < idev->nr_vectors; i++)
		if (atomic64_read(&idev->vectors[i].count) !=
		    atomic64_read(&file->seen[i]))
			return true;
	return false;
}

/* Take this file's binding off a vector's list, if there is one. */
static struct ivshmem_eventfd_binding *
eventfd_detach(struct ivshmem_file *file, struct ivshmem_vector *vec)
{
	struct ivshmem_eventfd_binding *b, *found = NULL;

	lockdep_assert_held(&file->eventfd_lock);
	spin_lock_irq(&vec->lock);
	list_for_each_entry(b, &vec->eventfds, node) {
		if (b->file == file) {
			list_del(&b->node);
			found = b;
			break;
		}
	}
	spin_unlock_irq(&vec->lock);
	return found;
}

static void eventfd_binding_free(struct ivshmem_eventfd_binding *b)
{
	eventfd_ctx_put(b->ctx);
	kfree(b);
}

/**
 * ivshmem_eventfd_bind() - tie a vector to an eventfd, or end that
 * @file: whose
 * @vector: below nr_vectors
 * @fd: the eventfd or -1
 *
 * Return: 0; -ENOENT with nothing to end; -EBADF, -EINVAL for a bad @fd;
 * -ENOMEM
 */
int ivshmem_eventfd_bind(struct ivshmem_file *file, u32 vector, int fd)
{
	struct ivshmem_vector *vec = &file->idev->vectors[vector];
	struct ivshmem_eventfd_binding *old, *b = NULL;

	if (fd != -1) {
		b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
		if (!b)
			return -ENOMEM;
		b->ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(b->ctx)) {
			int ret = PTR_ERR(b->ctx);

			kfree(b);
			return ret;
		}
		b->file = file;
	}

	mutex_lock(&file->eventfd_lock);
	old = eventfd_detach(file, vec);
	if (b) {
		spin_lock_irq(&vec->lock);
		list_add_tail(&b->node, &vec->eventfds);
		spin_unlock_irq(&vec->lock);
	}
	mutex_unlock(&file->eventfd_lock);

	if (old)
		eventfd_binding_free(old);
	return b || old ? 0 : -ENOENT;
}

/* The file is being closed. */
void ivshmem_eventfd_unbind_all(struct ivshmem_file *file)
{
	struct ivshmem_device *idev = file->idev;
	struct ivshmem_eventfd_binding *b;
	unsigned int i;

	mutex_lock(&file->eventfd_lock);
	for (i = 0; i < idev->nr_vectors; i++) {
		b = eventfd_detach(file, &idev->vectors[i]);
		if (b)
			eventfd_binding_free(b);
	}
	mutex_unlock(&file->eventfd_lock);
}
