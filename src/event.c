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

static unsigned int vector_number(const struct ivshmem_vector *vec)
{
	return vec - vec->peer->vectors;
}

/* Under vec->lock. */
static void eventfd_signal_one(struct ivshmem_vector *vec,
			       struct ivshmem_eventfd_binding *b)
{
	trace_ivshmem_eventfd(vec->peer->idev->minor, vector_number(vec));
	ivshmem_eventfd_signal(b->ctx);
}

/**
 * ivshmem_vector_fire() - a doorbell rang
 * @vec: which
 *
 * Called in the interrupt handler, by peers on the same machine, and where a
 * doorbell may have been missed.
 * The count goes up before anybody is woken, and wq_has_sleeper() orders it
 * before the look at the queue: a waiter that queued itself too late to be
 * woken sees the new count.
 */
void ivshmem_vector_fire(struct ivshmem_vector *vec)
{
	struct ivshmem_peer *peer = vec->peer;
	struct ivshmem_eventfd_binding *b;
	int minor = peer->idev->minor;
	unsigned long flags;

	atomic64_inc(&vec->count);
	atomic64_inc(&peer->idev->counters[vector_number(vec)].count);

	if (wq_has_sleeper(&vec->queue)) {
		trace_ivshmem_wake(minor, vector_number(vec));
		wake_up_all(&vec->queue);
	}
	/* All of them: exclusive ones (EPOLLEXCLUSIVE) may be on other files. */
	if (wq_has_sleeper(&peer->any)) {
		trace_ivshmem_wake_any(minor, vector_number(vec));
		__wake_up(&peer->any, TASK_NORMAL, 0,
			  poll_to_key(EPOLLIN | EPOLLRDNORM));
	}

	spin_lock_irqsave(&vec->lock, flags);
	list_for_each_entry(b, &vec->eventfds, node)
		eventfd_signal_one(vec, b);
	spin_unlock_irqrestore(&vec->lock, flags);

	kill_fasync(&peer->fasync, SIGIO, POLL_IN);
}

/**
 * ivshmem_interrupt() - interrupt handler of a vector
 * @irq: not used
 * @vector: as ivshmem_device_vector() gave it
 *
 * With MSI-X each vector is ours alone and edge-like: nothing to acknowledge,
 * and the status register must not be looked at (it stays 0).
 *
 * Return: IRQ_HANDLED
 */
irqreturn_t ivshmem_interrupt(int irq, void *vector)
{
	struct ivshmem_vector *vec = vector;

	trace_ivshmem_interrupt(vec->peer->idev->minor, vector_number(vec));
	ivshmem_vector_fire(vec);
	return IRQ_HANDLED;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_interrupt);

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

	return atomic64_read(&file->peer->vectors[vector].count) - seen;
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
		eventfd_signal_one(vec, b);
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
	struct ivshmem_vector *vec = &file->peer->vectors[vector];
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
	struct ivshmem_vector *vectors = file->peer->vectors;
	unsigned int i;

	for (i = 0; i < file->idev->nr_vectors; i++)
		eventfd_binding_free(eventfd_exchange(file, &vectors[i], NULL));
}
