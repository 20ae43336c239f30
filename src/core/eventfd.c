// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eventfds that open files have bound to vectors
 *
 * A binding is a listener that signals an eventfd, which wakes all that wait for
 * it. The interrupt handler does that itself if this is one task in read(), or none.
 * Behind a poll() or an epoll there may be any number: tasks that poll the epoll,
 * requests of aio that signal further eventfds.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "compat.h"
#include "core.h"
#include "trace.h"

#define LOCK_TRIES	100	/* of an eventfd, by an interrupt handler */

/**
 * struct binding - an eventfd bound to a vector
 * @listener: on the vector; holds the reference of file->bindings
 * @minor: of the device, for the tracepoint
 * @vector: its number, for the tracepoint
 * @ctx: the eventfd; a reference is held
 * @queue: the tasks and epolls that wait for it, in @ctx
 */
struct binding {
	struct ivshmem_listener listener;
	int minor;
	unsigned int vector;
	struct eventfd_ctx *ctx;
	wait_queue_head_t *queue;
};

/*
 * Does nothing wait in this queue but one task, which sleeps there itself? Who writes to an
 * eventfd holds this lock until all that wait are told, and there may be very many: an
 * interrupt handler does not wait for that.
 */
static bool wakes_one_task(struct wait_queue_head *queue)
{
	struct wait_queue_entry *entry;
	unsigned int tries = 0;
	unsigned long flags;
	bool one = true;

	while (!spin_trylock_irqsave(&queue->lock, flags)) {
		if (++tries == LOCK_TRIES)
			return false;
		cpu_relax();
	}
	if (!list_empty(&queue->head)) {
		entry = list_first_entry(&queue->head, struct wait_queue_entry, entry);
		one = list_is_singular(&queue->head) &&
		      (entry->func == default_wake_function ||
		       entry->func == autoremove_wake_function);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
	return one;
}

/*
 * The lock of the queue is free between the look at it and the signal. A program that adds an
 * epoll just then makes this interrupt as long as its own write to the eventfd would be.
 */
static bool binding_notify(struct ivshmem_listener *l, bool direct)
{
	struct binding *b = container_of(l, struct binding, listener);

	if (direct && !wakes_one_task(b->queue))
		return false;
	trace_ivshmem_eventfd(b->minor, b->vector);
	ivshmem_eventfd_signal(b->ctx);
	return true;
}

static void binding_put(struct ivshmem_listener *l)
{
	struct binding *b = container_of(l, struct binding, listener);

	if (!refcount_dec_and_test(&l->refs))
		return;
	eventfd_ctx_put(b->ctx);
	kfree(b);
}

static const struct ivshmem_listener_ops binding_ops = {
	.notify = binding_notify,
	.put = binding_put,
	.wants = true,
};

/* Gets the wait queue of an eventfd from its poll(). */
struct queue_finder {
	poll_table table;
	wait_queue_head_t *queue;
};

static void found_queue(struct file *filp, wait_queue_head_t *queue, poll_table *table)
{
	container_of(table, struct queue_finder, table)->queue = queue;
}

static int binding_set_eventfd(struct binding *b, int fd)
{
	struct queue_finder finder = { };
	struct file *filp = eventfd_fget(fd);

	if (IS_ERR(filp))
		return PTR_ERR(filp);
	b->ctx = eventfd_ctx_fileget(filp);
	init_poll_funcptr(&finder.table, found_queue);
	vfs_poll(filp, &finder.table);
	b->queue = finder.queue;
	fput(filp);
	return 0;
}

static struct binding *binding_new(struct ivshmem_file *file, u32 vector, int fd)
{
	struct binding *b = kzalloc(sizeof(*b), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!b)
		return ERR_PTR(-ENOMEM);
	ret = binding_set_eventfd(b, fd);
	if (ret) {
		kfree(b);
		return ERR_PTR(ret);
	}
	b->listener.ops = &binding_ops;
	b->listener.queue = file->queue;
	refcount_set(&b->listener.refs, 1);
	b->minor = file->idev->number;
	b->vector = vector;
	return b;
}

/* Replace the binding of a vector by another one, or by none (NULL). */
static int binding_replace(struct ivshmem_file *file, u32 vector, struct binding *b)
{
	struct binding *old = xa_store(&file->bindings, vector, b, GFP_KERNEL_ACCOUNT);

	lockdep_assert_held(&file->lock);
	if (xa_is_err(old))
		return xa_err(old);
	ivshmem_listen(&file->peer->vectors[vector], old ? &old->listener : NULL,
		       b ? &b->listener : NULL);
	if (old)
		binding_put(&old->listener);
	/* Bound after the notification that the device is unregistered? That was the last. */
	if (b && ivshmem_chardev_gone(file->chardev)) {
		ivshmem_listen(&file->peer->vectors[vector], &b->listener, NULL);
		binding_notify(&b->listener, false);
	}
	return b || old ? 0 : -ENOENT;
}

/**
 * ivshmem_eventfd_bind() - bind an eventfd to a vector, or unbind it
 * @file: the open file
 * @vector: below nr_vectors
 * @fd: the eventfd, or -1 to unbind
 *
 * Return: 0; -ENOENT if there is nothing to unbind; -EBADF, -EINVAL for a bad
 * @fd; -ENOMEM
 */
int ivshmem_eventfd_bind(struct ivshmem_file *file, u32 vector, int fd)
{
	struct binding *b = NULL;
	int ret;

	if (fd != -1) {
		b = binding_new(file, vector, fd);
		if (IS_ERR(b))
			return PTR_ERR(b);
	}
	mutex_lock(&file->lock);
	ret = binding_replace(file, vector, b);
	mutex_unlock(&file->lock);
	if (ret && b)
		binding_put(&b->listener);
	return ret;
}

/* The file is being closed. */
void ivshmem_eventfd_unbind_all(struct ivshmem_file *file)
{
	unsigned long vector;
	struct binding *b;

	xa_for_each(&file->bindings, vector, b) {
		ivshmem_listen(&file->peer->vectors[vector], &b->listener, NULL);
		binding_put(&b->listener);
		cond_resched();
	}
	xa_destroy(&file->bindings);
}
