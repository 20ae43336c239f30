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
	/* All of them: exclusive ones (EPOLLEXCLUSIVE) may be on other files. */
	if (wq_has_sleeper(&idev->any))
		__wake_up(&idev->any, TASK_NORMAL, 0,
			  poll_to_key(EPOLLIN | EPOLLRDNORM));

	spin_lock_irqsave(&vec->lock, flags);
	list_for_each_entry(b, &vec->eventfds, node)
		ivshmem_eventfd_signal(b->ctx);
	spin_unlock_irqrestore(&vec->lock, flags);

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
	/* Also who polls for nothing but errors, or waits for the state. */
	wake_up_all(&idev->any);
}

/**
 * ivshmem_unseen() - what has happened that was not reported to a file
 * @file: the file
 * @vector: below nr_vectors
 *
 * What was seen is read before the count, which only grows: the other way
 * round another thread could report in between, and the difference be negative.
 *
 * Return: the number of interrupts
 */
u64 ivshmem_unseen(struct ivshmem_file *file, unsigned int vector)
{
	s64 seen = atomic64_read_acquire(&file->seen[vector]);

	return atomic64_read(&file->idev->vectors[vector].count) - seen;
}

/* Has anything happened that was not reported to this file yet? */
bool ivshmem_events_pending(struct ivshmem_file *file)
{
	unsigned int i;

	for (i = 0; i < file->idev->nr_vectors; i++)
		if (ivshmem_unseen(file, i))
			return true;
	return false;
}

/* This file's binding on a vector's list, if there is one. Under vec->lock. */
static struct ivshmem_eventfd_binding *
eventfd_find(struct ivshmem_file *file, struct ivshmem_vector *vec)
{
	struct ivshmem_eventfd_binding *b;

	lockdep_assert_held(&vec->lock);
	list_for_each_entry(b, &vec->eventfds, node)
		if (b->file == file)
			return b;
	return NULL;
}

/*
 * Put a binding (or NULL) where the old one is (or nothing), in one step, so
 * that no interrupt falls between the two. Gives the old one.
 */
static struct ivshmem_eventfd_binding *
eventfd_exchange(struct ivshmem_file *file, struct ivshmem_vector *vec,
		 struct ivshmem_eventfd_binding *b)
{
	struct ivshmem_eventfd_binding *old;

	spin_lock_irq(&vec->lock);
	old = eventfd_find(file, vec);
	if (b && old)
		list_replace(&old->node, &b->node);
	else if (b)
		list_add_tail(&b->node, &vec->eventfds);
	else if (old)
		list_del(&old->node);
	/* Too late for the signal that the device is gone? */
	if (b && READ_ONCE(file->idev->state) == IVSHMEM_GONE)
		ivshmem_eventfd_signal(b->ctx);
	spin_unlock_irq(&vec->lock);
	return old;
}

static void eventfd_binding_free(struct ivshmem_eventfd_binding *b)
{
	if (!b)
		return;
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
	old = eventfd_exchange(file, vec, b);
	eventfd_binding_free(old);
	return b || old ? 0 : -ENOENT;
}

/* The file is being closed. */
void ivshmem_eventfd_unbind_all(struct ivshmem_file *file)
{
	struct ivshmem_device *idev = file->idev;
	unsigned int i;

	for (i = 0; i < idev->nr_vectors; i++)
		eventfd_binding_free(eventfd_exchange(file, &idev->vectors[i],
						      NULL));
}
