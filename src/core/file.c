// SPDX-License-Identifier: GPL-2.0-only
/*
 * An open character device: open, release, read, write, splice, llseek, poll, fasync
 *
 * Reading and writing see the shared memory, so dd, xxd and cmp work. They never
 * wait for a doorbell. Doorbells are seen by poll (POLLIN: one rang that was not
 * reported to this file yet) and taken by the WAIT ioctl.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include "compat.h"
#include "core.h"
#include "trace.h"

/* Bytes that read and write copy at a time. */
#define BUFFER_SIZE	SZ_64K

/* Pollers that are woken before their queue is unlocked for a moment. */
#define WAKE_CHUNK	8

/* On an unregistered device all calls fail first of all with ENODEV. */
static bool is_unregistered(const struct ivshmem_file *file)
{
	return ivshmem_chardev_gone(file->chardev);
}

/* What a bookmark does when it is woken as if it polled: nothing. */
static int pass(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key)
{
	return 0;
}

/*
 * Wake all tasks and epolls that poll. There may be thousands, and interrupts are off
 * meanwhile, so the lock is dropped now and then. The bookmark keeps the place in the
 * queue. The walk ends where the queue ended at its start: later pollers have seen the
 * new counts. Others may walk at the same time, a doorbell beside close(): each one's
 * bookmarks are woken by the others.
 */
static void wake_pollers(struct wait_queue_head *queue, __poll_t events)
{
	struct wait_queue_entry bookmark = { .func = pass }, end = { .func = pass }, *entry;
	unsigned int passed = 0;

	spin_lock_irq(&queue->lock);
	list_add(&bookmark.entry, &queue->head);
	list_add_tail(&end.entry, &queue->head);
	while ((entry = list_next_entry(&bookmark, entry)) != &end) {
		list_move(&bookmark.entry, &entry->entry);
		entry->func(entry, TASK_NORMAL, 0, poll_to_key(events));
		if (!(++passed % WAKE_CHUNK)) {
			spin_unlock_irq(&queue->lock);
			cond_resched();
			spin_lock_irq(&queue->lock);
		}
	}
	list_del(&bookmark.entry);
	list_del(&end.entry);
	spin_unlock_irq(&queue->lock);
}

/*
 * What those who poll a file are woken for: the end of a reset concerns writers as well, a
 * doorbell does not.
 */
static __poll_t happened(struct ivshmem_file *file)
{
	unsigned int resets = READ_ONCE(file->idev->resets);

	if (is_unregistered(file))
		return EPOLLHUP | EPOLLERR;
	if (likely(READ_ONCE(file->resets) == resets))
		return EPOLLIN | EPOLLRDNORM;
	WRITE_ONCE(file->resets, resets);
	return EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM;
}

/* Notify a file: wake its pollers, and send SIGIO. */
static bool file_notify(struct ivshmem_listener *l, bool direct)
{
	struct ivshmem_file *file = container_of(l, struct ivshmem_file, listener);
	__poll_t events = happened(file);

	trace_ivshmem_wake_any(file->idev->number);
	wake_pollers(&file->pollers, events);
	kill_fasync(&file->fasync, SIGIO, events & EPOLLHUP ? POLL_HUP : POLL_IN);
	return true;
}

static void file_put(struct ivshmem_listener *l)
{
	if (refcount_dec_and_test(&l->refs))
		kvfree(container_of(l, struct ivshmem_file, listener));
}

/* Somebody comes or goes. An end of the device wakes those that wait for it here. */
static bool news_notify(struct ivshmem_listener *l, bool direct)
{
	struct ivshmem_file *file = container_of(l, struct ivshmem_file, news);

	wake_pollers(&file->pollers, EPOLLPRI);
	wake_pollers(&file->sleepers, EPOLLPRI);
	if (ivshmem_news_pending(file))
		kill_fasync(&file->fasync, SIGIO, POLL_PRI);
	return true;
}

static void news_put(struct ivshmem_listener *l)
{
	struct ivshmem_file *file = container_of(l, struct ivshmem_file, news);

	if (refcount_dec_and_test(&l->refs))
		file_put(&file->listener);
}

static const struct ivshmem_listener_ops file_news_ops = {
	.notify = news_notify,
	.put = news_put,
	.always_deferred = true,	/* as below */
};

static const struct ivshmem_listener_ops file_listener_ops = {
	.notify = file_notify,
	.put = file_put,
	.always_deferred = true,	/* nobody knows what an epoll wakes */
};

static struct ivshmem_file *file_alloc(struct ivshmem_chardev *chardev, fmode_t mode)
{
	struct ivshmem_node *node = chardev->node;
	unsigned int nr = READ_ONCE(node->nr_vectors);
	struct ivshmem_file *file = kvzalloc(struct_size(file, seen, nr), GFP_KERNEL_ACCOUNT);

	if (!file)
		return NULL;
	file->nr_vectors = nr;
	file->chardev = chardev;
	file->node = node;
	file->idev = node->idev;
	file->mode = mode;
	file->resets = READ_ONCE(file->idev->resets);
	file->listener.ops = &file_listener_ops;
	refcount_set(&file->listener.refs, 2);	/* one is of the news */
	file->news.ops = &file_news_ops;
	refcount_set(&file->news.refs, 1);
	init_waitqueue_head(&file->pollers);
	init_waitqueue_head(&file->sleepers);
	INIT_LIST_HEAD(&file->polling);
	mutex_init(&file->lock);
	xa_init(&file->bindings);
	spin_lock_init(&file->seen_lock);
	return file;
}

static void file_free(struct ivshmem_file *file)
{
	news_put(&file->news);
	file_put(&file->listener);
}

static int ivshmem_open(struct inode *inode, struct file *filp)
{
	struct ivshmem_chardev *chardev = container_of(inode->i_cdev,
						       struct ivshmem_chardev, cdev);
	struct ivshmem_file *file = file_alloc(chardev, filp->f_mode);
	struct ivshmem_device *idev = chardev->idev;
	unsigned int i;
	int idx, ret;

	if (!file)
		return -ENOMEM;
	file->user = ivshmem_user_get(chardev);
	if (IS_ERR(file->user)) {
		ret = PTR_ERR(file->user);
		goto err_free;
	}
	ret = ivshmem_peer_join(file->node, &file->peer);
	if (ret)
		goto err_user;
	file->queue = file->node->shared ? &file->user->queue : &file->peer->queue;
	file->listener.queue = file->queue;
	file->news.queue = file->queue;
	ivshmem_irqs_count_file(chardev, 1);
	filp->private_data = file;
	ret = ivshmem_access_file(filp, &idx);
	if (ret)
		goto err_irqs;
	get_device(&chardev->dev);
	for (i = 0; i < file->nr_vectors; i++)
		atomic64_set(&file->seen[i],
			     atomic64_read(&file->peer->vectors[i].count));
	filp->f_mode |= FMODE_NOWAIT;
	/* open() cannot turn O_ASYNC on, and fcntl() would take it for on. */
	filp->f_flags &= ~FASYNC;
	filp->f_mapping = chardev->node->inode->i_mapping;
	ivshmem_access_end(idev, idx);

	trace_ivshmem_open(idev->number, file->mode & FMODE_WRITE);
	return 0;

err_irqs:
	ivshmem_irqs_count_file(chardev, -1);
	ivshmem_peer_leave(file->peer);
err_user:
	ivshmem_user_put(idev, file->user);
err_free:
	file_free(file);
	return ret;
}

static int ivshmem_release(struct inode *inode, struct file *filp)
{
	struct ivshmem_file *file = filp->private_data;
	struct ivshmem_chardev *chardev = file->chardev;

	trace_ivshmem_release(file->idev->number);
	ivshmem_bells_forget(file);
	ivshmem_eventfd_unbind_all(file);
	ivshmem_listen(&file->peer->any, &file->listener, NULL);
	ivshmem_listen(&file->peer->news, &file->news, NULL);
	ivshmem_irqs_count_file(chardev, -1);
	ivshmem_peer_leave(file->peer);
	ivshmem_user_put(file->idev, file->user);
	file_free(file);
	put_device(&chardev->dev);
	return 0;
}

static loff_t ivshmem_llseek(struct file *filp, loff_t offset, int whence)
{
	struct ivshmem_file *file = filp->private_data;
	size_t size = file->node->part.size;

	if (is_unregistered(file))
		return -ENODEV;
	return generic_file_llseek_size(filp, offset, whence, size, size);
}

/**
 * ivshmem_access_file() - enter a device on behalf of an open file
 * @filp: the file
 * @idx: for ivshmem_access_end()
 *
 * Return: as ivshmem_chardev_try() with O_NONBLOCK, else as ivshmem_chardev_begin()
 */
int ivshmem_access_file(struct file *filp, int *idx)
{
	struct ivshmem_file *file = filp->private_data;

	return filp->f_flags & O_NONBLOCK ? ivshmem_chardev_try(file->chardev, idx) :
					    ivshmem_chardev_begin(file->chardev, idx);
}

/**
 * ivshmem_access_until() - the same for a call that has a timeout
 * @filp: the file
 * @deadline: CLOCK_MONOTONIC; KTIME_MAX: never
 * @idx: for ivshmem_access_end()
 *
 * Return: 0; -ENODEV; or if the device is being reset -EAGAIN with O_NONBLOCK, -ETIMEDOUT at the
 * deadline, -ERESTARTSYS for a signal
 */
int ivshmem_access_until(struct file *filp, ktime_t deadline, int *idx)
{
	struct ivshmem_file *file = filp->private_data;
	ktime_t left = KTIME_MAX;
	int ret;

	while ((ret = ivshmem_chardev_try(file->chardev, idx)) == -EAGAIN) {
		if (filp->f_flags & O_NONBLOCK)
			return ret;
		if (deadline != KTIME_MAX)
			left = max_t(ktime_t, ktime_sub(deadline, ktime_get()), 0);
		ret = wait_event_interruptible_hrtimeout(file->idev->changed,
							 !ivshmem_chardev_resetting(file->chardev),
							 left);
		if (ret)
			return ret == -ETIME ? -ETIMEDOUT : ret;
	}
	return ret;
}

/* Copy @n bytes between the region and a buffer. */
static int move_chunk(const struct kiocb *iocb, void *buffer, size_t n, bool write)
{
	struct ivshmem_file *file = iocb->ki_filp->private_data;
	struct ivshmem_device *idev = file->idev;
	int idx, ret;

	ret = iocb->ki_flags & IOCB_NOWAIT ? ivshmem_chardev_try(file->chardev, &idx) :
					     ivshmem_access_file(iocb->ki_filp, &idx);
	if (ret)
		return ret;
	ret = ivshmem_node_copy(file->node, iocb->ki_pos, buffer, n, write);
	ivshmem_access_end(idev, idx);
	return ret;
}

/*
 * Copy through a buffer: the program's memory may be a mapping of this very device,
 * and its page fault must not happen inside the device (see core.h).
 */
static ssize_t copy_region(struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	struct ivshmem_file *file = iocb->ki_filp->private_data;
	size_t left = min_t(u64, iov_iter_count(iter), file->node->part.size - iocb->ki_pos);
	size_t done = 0, step = min_t(size_t, left, BUFFER_SIZE);
	void *buffer = kvmalloc(step, GFP_KERNEL);
	int ret = 0;

	if (!buffer)
		return -ENOMEM;
	while (left && !ret) {
		size_t n = min(left, step);

		if (write) {
			n = copy_from_iter(buffer, n, iter);
			ret = move_chunk(iocb, buffer, n, true);
		} else {
			ret = move_chunk(iocb, buffer, n, false);
			n = ret ? 0 : copy_to_iter(buffer, n, iter);
		}
		if (ret)
			break;
		if (n < min(left, step))
			ret = -EFAULT;
		done += n;
		left -= n;
		iocb->ki_pos += n;
		/* As on a regular file, no other signal cuts it short. */
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	kvfree(buffer);
	return done ? done : ret;
}

static ssize_t ivshmem_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct ivshmem_file *file = iocb->ki_filp->private_data;

	if (is_unregistered(file))
		return -ENODEV;
	if (iocb->ki_pos >= file->node->part.size || !iov_iter_count(to))
		return 0;
	return copy_region(iocb, to, false);
}

static ssize_t ivshmem_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct ivshmem_file *file = iocb->ki_filp->private_data;

	if (is_unregistered(file))
		return -ENODEV;
	if (!iov_iter_count(from))
		return 0;
	/* To append is to write at the end, which has no room, as on a block device. */
	if (iocb->ki_pos >= file->node->part.size || iocb->ki_flags & IOCB_APPEND)
		return -ENOSPC;
	return copy_region(iocb, from, true);
}

/**
 * ivshmem_file_listen() - make an open file a listener, until it is closed or unbound
 * @file: the file
 * @vec: of its peer
 * @l: its listener to that
 */
void ivshmem_file_listen(struct ivshmem_file *file, struct ivshmem_vector *vec,
			 struct ivshmem_listener *l)
{
	/* Acquire: it is in the list for others as well, before the caller looks at counts. */
	if (smp_load_acquire(&l->lasting) || is_unregistered(file))
		return;
	ivshmem_listen(vec, NULL, l);
	if (!is_unregistered(file)) {
		smp_store_release(&l->lasting, true);	/* after the barrier of ivshmem_listen() */
		return;
	}
	/* ivshmem_vector_retire() may have come before, and others count on this listener. */
	ivshmem_listen(vec, l, NULL);
	l->ops->notify(l, false);
}

/* The first poll() or O_ASYNC does so. */
static void file_listen(struct ivshmem_file *file)
{
	ivshmem_file_listen(file, &file->peer->any, &file->listener);
}

/*
 * Without vectors no doorbell can come in, so the file is ready like any file
 * whose read does not wait. During a reset nothing can be done without waiting, and the end
 * of that wakes all.
 */
static __poll_t ivshmem_poll(struct file *filp, poll_table *wait)
{
	__poll_t mask = 0, wanted = poll_requested_events(wait);
	struct ivshmem_file *file = filp->private_data;

	poll_wait(filp, &file->pollers, wait);
	file_listen(file);
	smp_mb(); /* queue first, look then: pairs with ivshmem_vector_signal() */
	/* An epoll that changes what it wants to know comes here again. */
	if (wanted & (EPOLLIN | EPOLLRDNORM))
		ivshmem_bells_poll(file);
	if (is_unregistered(file))
		return EPOLLHUP | EPOLLERR;
	if (ivshmem_chardev_resetting(file->chardev))
		return 0;
	if (!file->nr_vectors || ivshmem_events_pending(file))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (ivshmem_news_pending(file))
		mask |= EPOLLPRI;
	if (file->mode & FMODE_WRITE)
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

static int fasync_on(int fd, struct file *filp)
{
	struct ivshmem_file *file = filp->private_data;
	int ret = ivshmem_user_charge(&file->user->sigio, IVSHMEM_USER_SIGIO);

	if (ret)
		return ret;
	ret = fasync_helper(fd, filp, true, &file->fasync);
	if (ret <= 0)	/* an error, or it was on already */
		atomic_dec(&file->user->sigio);
	if (ret < 0)
		return ret;
	file_listen(file);
	/* Set after the notification that the device is unregistered? */
	smp_mb(); /* listen first, look then: pairs with ivshmem_device_quiesce() */
	ivshmem_bells_poll(file);
	if (is_unregistered(file))
		kill_fasync(&file->fasync, SIGIO, POLL_HUP);
	return 0;
}

static int ivshmem_fasync(int fd, struct file *filp, int on)
{
	struct ivshmem_file *file = filp->private_data;

	if (on)
		return fasync_on(fd, filp);
	if (fasync_helper(fd, filp, false, &file->fasync) > 0)
		atomic_dec(&file->user->sigio);
	return 0;
}

const struct file_operations ivshmem_fops = {
	.owner = THIS_MODULE,
	.open = ivshmem_open,
	.release = ivshmem_release,
	.llseek = ivshmem_llseek,
	.read_iter = ivshmem_read_iter,
	.write_iter = ivshmem_write_iter,
	/* Both copy by read_iter and write_iter; sendfile uses them, too. */
	.splice_read = ivshmem_splice_read,
	.splice_write = iter_file_splice_write,
	.poll = ivshmem_poll,
	.fasync = ivshmem_fasync,
	.fsync = noop_fsync,	/* for msync: nothing backs the memory */
	.mmap = ivshmem_mmap,
	.get_unmapped_area = IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) ? ivshmem_mmap_place : NULL,
	.unlocked_ioctl = ivshmem_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
