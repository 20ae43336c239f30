// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls: everything but the memory itself
 *
 * Each handler copies its structure in once, checks all of it, then acts. The
 * fields are documented in uapi/linux/ivshmem.h.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>
#include "core.h"
#include "trace.h"

static_assert(sizeof(struct ivshmem_info) == 64);
static_assert(sizeof(struct ivshmem_ring) == 16);
static_assert(sizeof(struct ivshmem_wait) == 144);
static_assert(sizeof(struct ivshmem_ring_wait) == 160);
static_assert(sizeof(struct ivshmem_eventfd) == 16);

static long ioctl_info(struct ivshmem_file *file, void __user *arg)
{
	struct ivshmem_device *idev = file->idev;
	struct ivshmem_info info = {
		.abi = IVSHMEM_ABI_VERSION,
		.flags = idev->can_ring ? IVSHMEM_INFO_DOORBELL : 0,
		.size = idev->size,
		.vectors = idev->nr_vectors,
		.cache = idev->cache,
	};
	int idx, ret;

	ret = ivshmem_access_begin(idev, &idx);
	if (ret)
		return ret;
	info.id = ivshmem_peer_id(file->peer);
	ivshmem_access_end(idev, idx);

	if (idev->registers_phys && file->mode & FMODE_WRITE) {
		info.flags |= IVSHMEM_INFO_REGISTERS;
		info.registers_offset = IVSHMEM_REGISTERS_OFFSET;
		info.registers_size = PAGE_SIZE;
	}
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

static int ring_check(struct ivshmem_file *file, const struct ivshmem_ring *r,
		      u32 known_flags)
{
	if (!(file->mode & FMODE_WRITE))
		return -EACCES;
	if (r->flags & ~known_flags || r->reserved ||
	    r->peer > IVSHMEM_MAX_PEER || r->vector >= IVSHMEM_MAX_VECTORS)
		return -EINVAL;
	return file->idev->can_ring ? 0 : -EOPNOTSUPP;
}

static int ioctl_do_ring(struct ivshmem_file *file, const struct ivshmem_ring *r)
{
	struct ivshmem_device *idev = file->idev;
	int idx, ret = ivshmem_access_begin(idev, &idx);

	if (ret)
		return ret;
	trace_ivshmem_ring(idev->minor, r->peer, r->vector);
	idev->transport->ring(idev, r->peer, r->vector);
	ivshmem_access_end(idev, idx);
	return 0;
}

static long ioctl_ring(struct ivshmem_file *file, void __user *arg)
{
	struct ivshmem_ring r;
	int ret;

	if (copy_from_user(&r, arg, sizeof(r)))
		return -EFAULT;
	ret = ring_check(file, &r, 0);
	return ret ? ret : ioctl_do_ring(file, &r);
}

static long ioctl_wait(struct ivshmem_file *file, void __user *arg)
{
	struct ivshmem_wait w;
	int ret;

	if (copy_from_user(&w, arg, sizeof(w)))
		return -EFAULT;
	ret = ivshmem_wait_check(file, &w);
	if (ret)
		return ret;
	ret = ivshmem_wait(file, &w, arg);
	/* Interrupted: store the remaining timeout for the restart. */
	if (ret == -ERESTARTSYS && copy_to_user(arg, &w, sizeof(w)))
		return -EFAULT;
	return ret;
}

/*
 * Clear IVSHMEM_RING_DONE, which an interrupted wait has set, so that the next call
 * with this structure rings.
 */
static int ring_wait_forget(struct ivshmem_ring_wait __user *urw)
{
	return put_user(0, &urw->ring.flags);
}

static long ioctl_ring_wait(struct ivshmem_file *file, void __user *arg)
{
	struct ivshmem_ring_wait __user *urw = arg;
	struct ivshmem_ring_wait rw;
	int ret;

	if (copy_from_user(&rw, arg, sizeof(rw)))
		return -EFAULT;
	ret = ring_check(file, &rw.ring, IVSHMEM_RING_DONE);
	if (ret)
		return ret;
	ret = ivshmem_wait_check(file, &rw.wait);
	if (ret)
		return ret;

	if (!(rw.ring.flags & IVSHMEM_RING_DONE))
		ret = ioctl_do_ring(file, &rw.ring);
	else if (ring_wait_forget(urw))
		ret = -EFAULT;
	if (ret)
		return ret;
	ret = ivshmem_wait(file, &rw.wait, &urw->wait);
	if (ret == -ERESTARTSYS) {
		rw.ring.flags = IVSHMEM_RING_DONE;
		if (copy_to_user(urw, &rw, sizeof(rw)))
			return -EFAULT;
	}
	return ret;
}

static long ioctl_eventfd(struct ivshmem_file *file, void __user *arg)
{
	struct ivshmem_eventfd e;

	if (copy_from_user(&e, arg, sizeof(e)))
		return -EFAULT;
	if (!file->idev->nr_vectors)
		return -EOPNOTSUPP;
	if (e.flags || e.reserved || e.vector >= file->idev->nr_vectors)
		return -EINVAL;
	e.vector = array_index_nospec(e.vector, file->idev->nr_vectors);
	return ivshmem_eventfd_bind(file, e.vector, e.fd);
}

long ivshmem_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct ivshmem_file *file = filp->private_data;
	void __user *uarg = (void __user *)arg;

	if (READ_ONCE(file->idev->state) == IVSHMEM_UNREGISTERED) {
		/* Else the same structure would not ring the next device. */
		if (cmd == IVSHMEM_IOC_RING_WAIT)
			ring_wait_forget(uarg);
		return -ENODEV;
	}

	switch (cmd) {
	case IVSHMEM_IOC_INFO:
		return ioctl_info(file, uarg);
	case IVSHMEM_IOC_RING:
		return ioctl_ring(file, uarg);
	case IVSHMEM_IOC_WAIT:
		return ioctl_wait(file, uarg);
	case IVSHMEM_IOC_RING_WAIT:
		return ioctl_ring_wait(file, uarg);
	case IVSHMEM_IOC_EVENTFD:
		return ioctl_eventfd(file, uarg);
	default:
		return -ENOTTY;
	}
}
