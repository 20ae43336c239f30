// SPDX-License-Identifier: GPL-2.0-only
/*
 * An open /dev/ivshmemN: open, release, read, write, llseek, poll, fasync
 *
 * Reading and writing see the shared memory, so dd, xxd and cmp work; doorbells
 * are seen by poll (POLLIN: one rang that was not reported to this file yet)
 * and taken by the WAIT ioctl.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include "compat.h"
#include "ivshmem.h"
#include "trace.h"

/* read and write move this much at a time. */
#define BUFFER_SIZE	SZ_64K

static int ivshmem_open(struct inode *inode, struct file *filp)
{
	struct ivshmem_device *idev = container_of(inode->i_cdev,
						   struct ivshmem_device, cdev);
	struct ivshmem_file *file;
	unsigned int i;
	int idx, ret;

	file = kvzalloc(struct_size(file, seen, idev->nr_vectors),
			GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	file->idev = idev;
	file->mode = filp->f_mode;
	ret = ivshmem_peer_join(file);
	if (ret)
		goto err_free;
	ret = ivshmem_enter(idev, &idx);
	if (ret)
		goto err_leave;
	get_device(&idev->dev);
	for (i = 0; i < idev->nr_vectors; i++)
		atomic64_set(&file->seen[i],
			     atomic64_read(&file->peer->vectors[i].count));
	filp->private_data = file;
	filp->f_mapping = idev->inode->i_mapping;
	ivshmem_exit(idev, idx);

	trace_ivshmem_open(idev->minor, file->mode & FMODE_WRITE);
	return 0;

err_leave:
	ivshmem_peer_leave(file);
err_free:
	kvfree(file);
	return ret;
}

static int ivshmem_release(struct inode *inode, struct file *filp)
{
	struct ivshmem_file *file = filp->private_data;
	struct ivshmem_device *idev = file->idev;

	trace_ivshmem_release(idev->minor);
	ivshmem_eventfd_unbind_all(file);
	ivshmem_peer_leave(file);
	kvfree(file);
	put_device(&idev->dev);
	return 0;
}

static loff_t ivshmem_llseek(struct file *filp, loff_t offset, int whence)
{
	struct ivshmem_file *file = filp->private_data;

	return fixed_size_llseek(filp, offset, whence, file->idev->size);
}

/*
 * Move @n bytes between the region and a buffer. Memory that is not write-back
 * wants the accessors for device memory: arm64 allows no unaligned access to it.
 */
static int move_chunk(struct ivshmem_device *idev, loff_t pos, void *buffer,
		      size_t n, bool write)
{
	void *mem = idev->mem + pos;
	void __iomem *io = (void __iomem __force *)mem;
	int idx, ret = ivshmem_enter(idev, &idx);

	if (ret)
		return ret;
	if (idev->cache == IVSHMEM_CACHE_WB)
		memcpy(write ? mem : buffer, write ? buffer : mem, n);
	else if (write)
		memcpy_toio(io, buffer, n);
	else
		memcpy_fromio(buffer, io, n);
	ivshmem_exit(idev, idx);
	return 0;
}

/*
 * Copy as much as there is, through a buffer: programs may give memory that is
 * itself a mapping of this device, and a page fault on that must not happen
 * inside the device (see ivshmem.h).
 */
static ssize_t copy_region(struct kiocb *iocb, struct iov_iter *iter, bool write)
{
	struct ivshmem_file *file = iocb->ki_filp->private_data;
	struct ivshmem_device *idev = file->idev;
	size_t left = min_t(u64, iov_iter_count(iter), idev->size - iocb->ki_pos);
	size_t done = 0, step = min_t(size_t, left, BUFFER_SIZE);
	void *buffer = kvmalloc(step, GFP_KERNEL);
	int ret = 0;

	if (!buffer)
		return -ENOMEM;
	while (left && !ret) {
		size_t n = min(left, step);

		if (write) {
			n = copy_from_iter(buffer, n, iter);
			ret = move_chunk(idev, iocb->ki_pos, buffer, n, true);
		} else {
			ret = move_chunk(idev, iocb->ki_pos, buffer, n, false);
			n = ret ? 0 : copy_to_iter(buffer, n, iter);
		}
		if (ret)
			break;
		if (n < min(left, step))
			ret = -EFAULT;
		done += n;
		left -= n;
		iocb->ki_pos += n;
		if (signal_pending(current))
			break;
		cond_resched();
	}
	kvfree(buffer);
	return done ? done : ret;
}

/* A device that is gone fails before anything else is looked at. */
static bool is_gone(const struct ivshmem_file *file)
{
	return READ_ONCE(file->idev->state) == IVSHMEM_GONE;
}

static ssize_t ivshmem_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct ivshmem_file *file = iocb->ki_filp->private_data;

	if (is_gone(file))
		return -ENODEV;
	if (iocb->ki_pos >= file->idev->size || !iov_iter_count(to))
		return 0;
	return copy_region(iocb, to, false);
}

static ssize_t ivshmem_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct ivshmem_file *file = iocb->ki_filp->private_data;

	if (is_gone(file))
		return -ENODEV;
	if (!iov_iter_count(from))
		return 0;
	if (iocb->ki_pos >= file->idev->size)
		return -ENOSPC;
	return copy_region(iocb, from, true);
}

static __poll_t ivshmem_poll(struct file *filp, poll_table *wait)
{
	struct ivshmem_file *file = filp->private_data;
	__poll_t mask = 0;

	poll_wait(filp, &file->peer->any, wait);
	smp_mb(); /* queue first, look then: pairs with wq_has_sleeper() */
	if (is_gone(file))
		return EPOLLHUP | EPOLLERR;
	if (ivshmem_events_pending(file))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (file->mode & FMODE_WRITE)
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

static int ivshmem_fasync(int fd, struct file *filp, int on)
{
	struct ivshmem_file *file = filp->private_data;
	int ret = fasync_helper(fd, filp, on, &file->peer->fasync);

	/* Too late for the signal that the device is gone? */
	smp_mb(); /* list first, look then: pairs with ivshmem_device_quiesce() */
	if (on && ret >= 0 && is_gone(file))
		kill_fasync(&file->peer->fasync, SIGIO, POLL_HUP);
	return ret;
}

const struct file_operations ivshmem_fops = {
	.owner = THIS_MODULE,
	.open = ivshmem_open,
	.release = ivshmem_release,
	.llseek = ivshmem_llseek,
	.read_iter = ivshmem_read_iter,
	.write_iter = ivshmem_write_iter,
	.poll = ivshmem_poll,
	.fasync = ivshmem_fasync,
	.fsync = noop_fsync,	/* for msync: there is nothing behind the memory */
	.mmap = ivshmem_mmap,
	.unlocked_ioctl = ivshmem_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};
