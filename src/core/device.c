// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a device, above whatever transport it came from
 *
 *   alloc -> map -> set_vectors -> register   a node appears
 *   pause <-> resume                          around a reset
 *   gone -> (free interrupts) -> unmap -> put_device
 *
 * gone() makes every operation fail and takes every mapping away, at any
 * moment; the structure itself lives until the last file is closed.
 */
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "compat.h"
#include "core.h"
#include "trace.h"

static void ivshmem_device_release(struct device *dev)
{
	struct ivshmem_device *idev = container_of(dev, struct ivshmem_device, dev);

	trace_ivshmem_free(idev->minor);
	ivshmem_peers_free(idev);
	iput(idev->inode);
	cleanup_srcu_struct(&idev->srcu);
	kfree(idev->name);
	kfree(idev);
}

/**
 * ivshmem_device_alloc() - a device that nobody sees yet
 * @parent: the transport's device, or NULL
 * @transport: the transport's operations
 * @priv: the transport's own
 *
 * Give it back with put_device(), after ivshmem_device_unregister() if it was
 * registered.
 *
 * Return: the device or an ERR_PTR()
 */
struct ivshmem_device *ivshmem_device_alloc(struct device *parent,
					    const struct ivshmem_transport *transport,
					    void *priv)
{
	struct ivshmem_device *idev;
	int ret;

	idev = kzalloc(sizeof(*idev), GFP_KERNEL);
	if (!idev)
		return ERR_PTR(-ENOMEM);

	idev->transport = transport;
	idev->priv = priv;
	idev->state = IVSHMEM_LIVE;
	idev->minor = -1;
	init_waitqueue_head(&idev->changed);
	xa_init_flags(&idev->peers, XA_FLAGS_ALLOC);
	mutex_init(&idev->users_lock);
	INIT_LIST_HEAD(&idev->users);

	ret = init_srcu_struct(&idev->srcu);
	if (ret)
		goto err_free;
	idev->inode = ivshmem_inode_new();
	if (IS_ERR(idev->inode)) {
		ret = PTR_ERR(idev->inode);
		goto err_srcu;
	}

	device_initialize(&idev->dev);
	idev->dev.class = &ivshmem_class;
	idev->dev.parent = parent;
	idev->dev.release = ivshmem_device_release;
	trace_ivshmem_alloc(idev);
	return idev;

err_srcu:
	cleanup_srcu_struct(&idev->srcu);
err_free:
	kfree(idev);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_alloc);

/**
 * ivshmem_device_set_name() - give a device the name that its owner knows it by
 * @idev: not registered yet
 * @name: for sysfs and udev; it is copied
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_device_set_name(struct ivshmem_device *idev, const char *name)
{
	idev->name = kstrdup(name, GFP_KERNEL);
	return idev->name ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_set_name);

/**
 * ivshmem_device_map() - give a device its region
 * @idev: not registered yet
 * @phys: where the region is
 * @size: its bytes
 *
 * The kernel's own mapping has the same cache attribute as those of programs.
 *
 * Return: 0; -EINVAL if a page would be shared with something else; -ENOMEM
 */
int ivshmem_device_map(struct ivshmem_device *idev, phys_addr_t phys,
		       resource_size_t size)
{
	if (!size || !PAGE_ALIGNED(phys) || !PAGE_ALIGNED(size) ||
	    size > IVSHMEM_REGISTERS_OFFSET || size > SIZE_MAX)
		return -EINVAL;

	idev->cache = ivshmem_cache;
	switch (idev->cache) {
	case IVSHMEM_CACHE_WB:
		/* Shared with the host, so never encrypted (SEV, TDX). */
		idev->mem = memremap(phys, size, MEMREMAP_WB | MEMREMAP_DEC);
		break;
	case IVSHMEM_CACHE_WC:
		idev->mem = (void __force *)ioremap_wc(phys, size);
		break;
	default:
		idev->mem = (void __force *)ioremap(phys, size);
		break;
	}
	if (!idev->mem)
		return -ENOMEM;
	idev->phys = phys;
	idev->size = size;
	trace_ivshmem_region_map(idev);
	return 0;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_map);

/**
 * ivshmem_device_map_pages() - give a device memory of the kernel's own
 * @idev: not registered yet
 * @pages: zeroed; they and the array stay the caller's, and must live until
 *	ivshmem_device_unmap()
 * @nr: how many
 *
 * They are mapped as all memory is, whatever the parameter cache= says: the
 * kernel has them mapped so already.
 *
 * Return: 0; -EINVAL if there are too few or too many; -ENOMEM
 */
int ivshmem_device_map_pages(struct ivshmem_device *idev, struct page **pages,
			     unsigned long nr)
{
	if (!nr || nr > IVSHMEM_REGISTERS_OFFSET >> PAGE_SHIFT || nr > UINT_MAX)
		return -EINVAL;
	idev->mem = vmap(pages, nr, VM_MAP, PAGE_KERNEL);
	if (!idev->mem)
		return -ENOMEM;
	idev->cache = IVSHMEM_CACHE_WB;
	idev->pages = pages;
	idev->size = (size_t)nr << PAGE_SHIFT;
	trace_ivshmem_region_map(idev);
	return 0;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_map_pages);

/**
 * ivshmem_device_unmap() - take the region away
 * @idev: never registered, or gone
 */
void ivshmem_device_unmap(struct ivshmem_device *idev)
{
	if (!idev->mem)
		return;
	trace_ivshmem_region_unmap(idev->minor);
	if (idev->pages)
		vunmap(idev->mem);
	else if (idev->cache == IVSHMEM_CACHE_WB)
		memunmap(idev->mem);
	else
		iounmap((void __iomem __force *)idev->mem);
	idev->mem = NULL;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_unmap);

/* Leave LIVE: nobody is inside when this returns, and no mapping is left. */
static void ivshmem_device_quiesce(struct ivshmem_device *idev,
				   enum ivshmem_state state)
{
	WRITE_ONCE(idev->state, state);
	/* A peer that is too late to be signalled sees the state: xa_alloc(), SRCU. */
	smp_mb();
	if (state == IVSHMEM_UNREGISTERED) {
		wake_up_all(&idev->changed);
		ivshmem_peers_signal_all(idev);
	}
	synchronize_srcu(&idev->srcu);
	unmap_mapping_range(idev->inode->i_mapping, 0, 0, 1);
}

/* Say what is there now, to the log and to whoever traces. */
static void report(struct ivshmem_device *idev)
{
	trace_ivshmem_probe(idev);
	if (idev->pages)
		dev_info(&idev->dev, "%zu bytes of memory, %u vectors\n",
			 idev->size, idev->nr_vectors);
	else
		dev_info(&idev->dev, "%zu bytes at %pap, %u vectors, %s\n",
			 idev->size, &idev->phys, idev->nr_vectors,
			 ivshmem_cache_names[idev->cache]);
}

/**
 * ivshmem_device_register() - make a device known to the world
 * @idev: mapped, with its vectors
 *
 * Return: 0; or a negative errno, after which it is gone for whoever has seen
 * it already
 */
int ivshmem_device_register(struct ivshmem_device *idev)
{
	int ret = ivshmem_minor_get();

	if (ret < 0)
		return ret;
	idev->minor = ret;
	idev->dev.devt = MKDEV(MAJOR(ivshmem_first_devt),
			       MINOR(ivshmem_first_devt) + idev->minor);
	ret = dev_set_name(&idev->dev, "ivshmem%d", idev->minor);
	if (ret)
		goto err_minor;
	ret = ivshmem_sysfs_prepare(idev);
	if (ret)
		goto err_minor;
	cdev_init(&idev->cdev, &ivshmem_fops);
	idev->cdev.owner = idev->transport->owner;
	trace_ivshmem_register(idev->minor);
	ret = cdev_device_add(&idev->cdev, &idev->dev);
	if (ret)
		goto err_gone;
	report(idev);
	return 0;

err_gone:
	/* A node made by mknod can be opened before this fails. */
	ivshmem_device_quiesce(idev, IVSHMEM_UNREGISTERED);
err_minor:
	ivshmem_minor_put(idev->minor);
	return ret;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_register);

/**
 * ivshmem_device_reset_prepare() - the memory is about to vanish for a while
 * @idev: registered; the caller holds the transport's lock
 *
 * Operations and page faults wait from now on.
 */
void ivshmem_device_reset_prepare(struct ivshmem_device *idev)
{
	ivshmem_device_quiesce(idev, IVSHMEM_RESETTING);
	trace_ivshmem_reset_prepare(idev->minor);
}

/**
 * ivshmem_device_reset_done() - the memory is back, doorbells may have been lost
 * @idev: registered; the caller holds the transport's lock
 *
 * Everybody who waits for a doorbell is woken to look at the memory again:
 * what came in between cannot be known.
 */
void ivshmem_device_reset_done(struct ivshmem_device *idev)
{
	WRITE_ONCE(idev->state, IVSHMEM_LIVE);
	trace_ivshmem_reset_done(idev->minor);
	wake_up_all(&idev->changed);
	ivshmem_peers_signal_all(idev);
}

/*
 * The machine has slept, and programs with it, and what is below has been brought
 * back. Doorbells that came in the meantime are lost: wake everybody to look.
 */
static int __maybe_unused ivshmem_device_resume(struct device *dev)
{
	struct ivshmem_device *idev = container_of(dev, struct ivshmem_device, dev);

	trace_ivshmem_resume(idev->minor);
	ivshmem_peers_signal_all(idev);
	return 0;
}

SIMPLE_DEV_PM_OPS(ivshmem_pm_ops, NULL, ivshmem_device_resume);

/**
 * ivshmem_device_unregister() - the device goes away, now
 * @idev: registered; the caller holds the transport's lock
 *
 * When this returns no operation touches the region or the registers any more,
 * and none will. Interrupts may still come in; the caller frees them next.
 */
void ivshmem_device_unregister(struct ivshmem_device *idev)
{
	trace_ivshmem_remove(idev->minor);
	ivshmem_device_quiesce(idev, IVSHMEM_UNREGISTERED);
	trace_ivshmem_unregister(idev->minor);
	cdev_device_del(&idev->cdev, &idev->dev);
	ivshmem_minor_put(idev->minor);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_unregister);

/**
 * ivshmem_access_try() - enter a device unless it is paused
 * @idev: the device
 * @idx: for ivshmem_access_end()
 *
 * Does not sleep.
 *
 * Return: 0, after which the region and the registers may be touched until
 * ivshmem_access_end(); -ENODEV; -EAGAIN while the device is being reset
 */
int ivshmem_access_try(struct ivshmem_device *idev, int *idx)
{
	int state;

	*idx = srcu_read_lock(&idev->srcu);
	state = READ_ONCE(idev->state);
	if (state == IVSHMEM_LIVE) {
		/* For sparse, which can't follow a lock taken on condition. */
		__release(&idev->srcu);
		return 0;
	}
	srcu_read_unlock(&idev->srcu, *idx);
	return state == IVSHMEM_UNREGISTERED ? -ENODEV : -EAGAIN;
}

/**
 * ivshmem_access_begin() - enter a device, after a reset if there is one
 * @idev: the device
 * @idx: for ivshmem_access_end()
 *
 * Return: 0 as ivshmem_access_try(); -ENODEV; -EINTR if killed in the meantime
 */
int ivshmem_access_begin(struct ivshmem_device *idev, int *idx)
{
	int ret;

	while ((ret = ivshmem_access_try(idev, idx)) == -EAGAIN)
		if (wait_event_killable(idev->changed,
					READ_ONCE(idev->state) != IVSHMEM_RESETTING))
			return -EINTR;
	return ret;
}

/**
 * ivshmem_access_end() - leave what ivshmem_access_begin() or ivshmem_access_try() entered
 * @idev: the device
 * @idx: as it was given
 */
void ivshmem_access_end(struct ivshmem_device *idev, int idx)
{
	__acquire(&idev->srcu);
	srcu_read_unlock(&idev->srcu, idx);
}
