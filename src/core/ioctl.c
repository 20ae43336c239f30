// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls: everything but the memory itself
 *
 * Each handler copies its structure in once, checks all of it, then acts. The
 * number of an ioctl contains the size of the program's structure, which may be
 * shorter or longer than the one known here. The fields are documented in
 * uapi/linux/ivshmem.h.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>
#include "core.h"

static_assert(sizeof(struct ivshmem_info) == 32);
static_assert(sizeof(struct ivshmem_region) == 40);
static_assert(sizeof(struct ivshmem_ring) == 16);
static_assert(sizeof(struct ivshmem_wait) == 88);
static_assert(sizeof(struct ivshmem_eventfd) == 16);
static_assert(sizeof(struct ivshmem_dmabuf) == 24);
static_assert(sizeof(struct ivshmem_peers) == 40);

/* The ioctl without the size of its structure. */
#define COMMAND(ioctl)	((ioctl) & ~IOCSIZE_MASK)

/*
 * Copy in a structure of @usize bytes, of which @least are required. Most programs have it as
 * it is known here: inline, so that the compiler checks the size of that copy.
 */
static __always_inline int copy_in(void *to, size_t size, const void __user *arg,
				   size_t usize, size_t least)
{
	if (usize == size)
		return copy_from_user(to, arg, size) ? -EFAULT : 0;
	return usize < least ? -EINVAL : copy_struct_from_user(to, size, arg, usize);
}

/* The program's bytes beyond what is known here are zero already. */
static int copy_out(void __user *arg, const void *from, size_t size, size_t usize)
{
	return copy_to_user(arg, from, min(size, usize)) ? -EFAULT : 0;
}

static bool may_map_registers(const struct ivshmem_file *file)
{
	/* A file that is open for writing only cannot be mapped. */
	return ivshmem_node_registers(file->node) && file->mode & FMODE_READ &&
	       file->mode & FMODE_WRITE;
}

static u64 file_features(const struct ivshmem_file *file)
{
	u64 features = ivshmem_node_features(file->node) & ~IVSHMEM_FEATURE_INTERRUPTS;

	if (file->nr_vectors)
		features |= IVSHMEM_FEATURE_INTERRUPTS;
	if (may_map_registers(file))
		features |= IVSHMEM_FEATURE_REGISTERS;
	return features;
}

static long ioctl_info(struct file *filp, void __user *arg, size_t size)
{
	struct ivshmem_file *file = filp->private_data;
	struct ivshmem_info info;
	int idx, ret;

	ret = copy_in(&info, sizeof(info), arg, size,
		      offsetofend(struct ivshmem_info, vectors));
	if (ret)
		return ret;
	info = (struct ivshmem_info) {
		.features = file_features(file),
		.vectors = file->nr_vectors,
		.regions = IVSHMEM_REGION_REGISTERS + 1,
		.max_peer = IVSHMEM_MAX_PEER,
		/* Without vectors RING accepts none, which features tell. */
		.max_vector = max(ivshmem_node_max_vectors(file->node), 1U) - 1,
	};
	ret = ivshmem_access_file(filp, &idx);
	if (ret)
		return ret;
	info.id = ivshmem_peer_id(file->node, file->peer);
	ivshmem_access_end(file->idev, idx);
	return copy_out(arg, &info, sizeof(info), size);
}

static long ioctl_region(struct file *filp, void __user *arg, size_t size)
{
	struct ivshmem_file *file = filp->private_data;
	struct ivshmem_region region;
	int ret;

	ret = copy_in(&region, sizeof(region), arg, size,
		      offsetofend(struct ivshmem_region, size));
	if (ret)
		return ret;
	region = (struct ivshmem_region) {
		.index = region.index,
		.page_sizes = PAGE_SIZE,
	};
	switch (region.index) {
	case IVSHMEM_REGION_MEMORY:
		if (file->mode & FMODE_READ)
			region.flags = IVSHMEM_REGION_READ;
		if (region.flags && file->mode & FMODE_WRITE)
			region.flags |= IVSHMEM_REGION_WRITE;
		region.size = file->node->part.size;
		if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) &&
		    (file->idev->memory.pages || file->idev->memory.huge))
			region.page_sizes |= PMD_SIZE;
		region.cache = file->idev->memory.cache;
		break;
	case IVSHMEM_REGION_REGISTERS:
		if (may_map_registers(file))
			region.flags = IVSHMEM_REGION_READ | IVSHMEM_REGION_WRITE;
		region.offset = IVSHMEM_REGISTERS_OFFSET;
		region.size = ivshmem_node_registers(file->node);
		region.cache = file->idev->registers.cache;
		break;
	default:
		return -EINVAL;
	}
	return copy_out(arg, &region, sizeof(region), size);
}

/**
 * ivshmem_ring_check() - check the arguments of RING
 * @file: the open file
 * @peer: whom to ring
 * @vector: which vector
 *
 * Return: 0, -EACCES, -EINVAL or -EOPNOTSUPP
 */
int ivshmem_ring_check(const struct ivshmem_file *file, u32 peer, u32 vector)
{
	if (!(file->mode & FMODE_WRITE))
		return -EACCES;
	return ivshmem_node_ring_check(file->node, peer, vector);
}

/* Ring a peer; ivshmem_ring_check() accepts the arguments. */
static int ring(struct file *filp, u32 peer, u32 vector)
{
	struct ivshmem_file *file = filp->private_data;
	struct ivshmem_device *idev = file->idev;
	int idx, ret = ivshmem_access_file(filp, &idx);

	if (ret)
		return ret;
	ret = ivshmem_node_ring(file->node, peer, vector);
	ivshmem_access_end(idev, idx);
	return ret;
}

static long ioctl_ring(struct file *filp, void __user *arg, size_t size)
{
	struct ivshmem_ring r;
	int ret;

	ret = copy_in(&r, sizeof(r), arg, size,
		      offsetofend(struct ivshmem_ring, vector));
	if (ret)
		return ret;
	if (r.flags || r.reserved)
		return -EINVAL;
	ret = ivshmem_ring_check(filp->private_data, r.peer, r.vector);
	return ret ? ret : ring(filp, r.peer, r.vector);
}

static long ioctl_wait(struct file *filp, void __user *arg, size_t size)
{
	struct ivshmem_wait w;
	int ret;

	ret = copy_in(&w, sizeof(w), arg, size,
		      offsetofend(struct ivshmem_wait, result));
	return ret ? ret : ivshmem_wait(filp, &w, arg);
}

static long ioctl_eventfd(struct file *filp, void __user *arg, size_t size)
{
	struct ivshmem_file *file = filp->private_data;
	struct ivshmem_eventfd e;
	int ret;

	ret = copy_in(&e, sizeof(e), arg, size,
		      offsetofend(struct ivshmem_eventfd, fd));
	if (ret)
		return ret;
	if (!file->nr_vectors)
		return -EOPNOTSUPP;
	if (e.flags || e.reserved || e.vector >= file->nr_vectors)
		return -EINVAL;
	e.vector = array_index_nospec(e.vector, file->nr_vectors);
	return ivshmem_eventfd_bind(file, e.vector, e.fd);
}

/**
 * ivshmem_dmabuf() - make a dma-buf
 * @filp: the open file
 * @d: arguments, not checked yet
 *
 * Return: a file descriptor, or an error of DMABUF
 */
int ivshmem_dmabuf(struct file *filp, const struct ivshmem_dmabuf *d)
{
	struct ivshmem_file *file = filp->private_data;
	u64 size = file->node->part.size;

	/* Hardware that imports it may write to it. */
	if (~file->mode & (FMODE_READ | FMODE_WRITE))
		return -EACCES;
	if (!(ivshmem_node_features(file->node) & IVSHMEM_FEATURE_DMABUF))
		return -EOPNOTSUPP;
	if (d->flags & ~IVSHMEM_DMABUF_CLOEXEC || d->reserved || !d->size ||
	    !PAGE_ALIGNED(d->offset) || !PAGE_ALIGNED(d->size) ||
	    d->offset > size || d->size > size - d->offset)
		return -EINVAL;
	return ivshmem_buffer_export(filp, array_index_nospec(d->offset, size), d->size,
				     d->flags & IVSHMEM_DMABUF_CLOEXEC ? O_CLOEXEC : 0);
}

static long ioctl_dmabuf(struct file *filp, void __user *arg, size_t size)
{
	struct ivshmem_dmabuf d;
	int ret;

	ret = copy_in(&d, sizeof(d), arg, size, offsetofend(struct ivshmem_dmabuf, size));
	return ret ? ret : ivshmem_dmabuf(filp, &d);
}

static long ioctl_peers(struct file *filp, void __user *arg, size_t size)
{
	struct ivshmem_peers p;
	int ret;

	ret = copy_in(&p, sizeof(p), arg, size, offsetofend(struct ivshmem_peers, info_size));
	if (!ret)
		ret = ivshmem_news_check(&p);
	if (!ret)
		ret = ivshmem_news(filp, &p);
	if (ret)
		return ret;
	ret = copy_out(arg, &p, sizeof(p), size);
	if (!ret)
		ivshmem_news_told(filp->private_data, p.generation);
	return ret;
}

long ivshmem_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct ivshmem_file *file = filp->private_data;
	void __user *uarg = (void __user *)arg;
	size_t size = _IOC_SIZE(cmd);

	if (ivshmem_chardev_gone(file->chardev))
		return -ENODEV;

	switch (COMMAND(cmd)) {
	case COMMAND(IVSHMEM_IOC_INFO):
		return ioctl_info(filp, uarg, size);
	case COMMAND(IVSHMEM_IOC_REGION):
		return ioctl_region(filp, uarg, size);
	case COMMAND(IVSHMEM_IOC_RING):
		return ioctl_ring(filp, uarg, size);
	case COMMAND(IVSHMEM_IOC_WAIT):
		return ioctl_wait(filp, uarg, size);
	case COMMAND(IVSHMEM_IOC_EVENTFD):
		return ioctl_eventfd(filp, uarg, size);
	case COMMAND(IVSHMEM_IOC_DMABUF):
		return ioctl_dmabuf(filp, uarg, size);
	case COMMAND(IVSHMEM_IOC_PEERS):
		return ioctl_peers(filp, uarg, size);
	default:
		return ivshmem_kvmfr(filp, cmd, uarg);
	}
}
