// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two ioctls of kvmfr, the module of Looking Glass, for programs that know no other
 *
 * The parameter kvmfr= turns them on. By default a node has no ioctls with the numbers of
 * another driver.
 */
#include <linux/err.h>
#include <linux/ioctl.h>
#include <linux/limits.h>
#include <linux/uaccess.h>
#include "core.h"

/* On 32-bit x86 it is shorter, and with it the number another: ENOTTY, as from kvmfr. */
struct kvmfr_create {
	__u8 flags;
	__u64 offset;
	__u64 size;
};

#define KVMFR_CREATE	_IOW('u', 0x42, struct kvmfr_create)
#define KVMFR_SIZE	_IO('u', 0x44)
#define KVMFR_CLOEXEC	0x1

static long kvmfr_create(struct file *filp, const struct kvmfr_create __user *arg)
{
	struct kvmfr_create create;
	struct ivshmem_dmabuf d;

	if (copy_from_user(&create, arg, sizeof(create)))
		return -EFAULT;
	d = (struct ivshmem_dmabuf) {
		.offset = create.offset,
		.size = create.size,
		.flags = create.flags & KVMFR_CLOEXEC ? IVSHMEM_DMABUF_CLOEXEC : 0,
	};
	return ivshmem_dmabuf(filp, &d);
}

/**
 * ivshmem_kvmfr() - answer an ioctl of kvmfr
 * @filp: the open file
 * @cmd: an ioctl that is none of this driver's
 * @arg: its argument
 *
 * Return: the size, a file descriptor, or a negative errno; -ENOTTY if it is off, or no
 * ioctl of kvmfr either
 */
long ivshmem_kvmfr(struct file *filp, unsigned int cmd, void __user *arg)
{
	const struct ivshmem_file *file = filp->private_data;
	size_t size = file->node->part.size;

	if (!ivshmem_kvmfr_ioctls)
		return -ENOTTY;
	switch (cmd) {
	case KVMFR_SIZE:
		/* Clients read it as unsigned. The C library takes the largest for errors. */
		return size > U32_MAX - MAX_ERRNO ? -EOVERFLOW : size;
	case KVMFR_CREATE:
		return kvmfr_create(filp, arg);
	default:
		return -ENOTTY;
	}
}
