// SPDX-License-Identifier: GPL-2.0-only
/*
 * Life of a device, the same for all transports
 *
 *   alloc -> map -> set_vectors -> register   a node appears
 *   reset_prepare -> reset_done               around a reset
 *   unregister -> (free interrupts) -> unmap -> put_device
 *
 * unregister() may come at any time. It makes every operation fail and zaps all
 * mappings; the structure itself lives until the last file is closed.
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
 * ivshmem_device_alloc() - allocate a device
 * @parent: the transport's device, or NULL
 * @transport: operations of the transport
 * @priv: private data of the transport
 *
 * Drop it with put_device(), after ivshmem_device_unregister() if it was
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
 * ivshmem_device_set_name() - set the name of a device in sysfs and udev
 * @idev: not registered yet
 * @name: the name; copied
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
 * ivshmem_device_map() - map a region at a physical address
 * @idev: not registered yet
 * @phys: physical address, a multiple of the page size
 * @size: bytes, a multiple of the page size
 *
 * The kernel's mapping gets the same cache attribute as those of programs.
 *
 * Return: 0; -EINVAL if the region is empty, too large or not made of whole pages;
 * -ENOMEM
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
		/* The host shares it, so it is never encrypted (SEV, TDX). */
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
 * ivshmem_device_map_pages() - map a region of kernel-allocated memory
 * @idev: not registered yet
 * @pages: zeroed pages. The caller owns them and the array, and frees them after
 *	ivshmem_device_unmap()
 * @nr: number of pages
 *
 * The kernel's direct map has the pages as write-back already. Another cache
 * attribute would conflict with it, so this ignores the parameter cache=.
 *
 * Return: 0; -EINVAL if @nr is 0 or too large; -ENOMEM
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
 * ivshmem_device_unmap() - remove the kernel's mapping of the region
 * @idev: never registered, or unregistered
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

/* The state has changed. */
static void update_irqs(struct ivshmem_device *idev)
{
	mutex_lock(&idev->users_lock);
	ivshmem_irqs_update(idev);
	mutex_unlock(&idev->users_lock);
}

/*
 * Leave LIVE. On return no task accesses the device, all mappings are zapped, and the
 * interrupts are disabled for good or, in a reset, left alone.
 */
static void ivshmem_device_quiesce(struct ivshmem_device *idev,
				   enum ivshmem_state state)
{
	WRITE_ONCE(idev->state, state);
	/* A peer that joins too late for the signal sees the state: xa_alloc(), SRCU. */
	smp_mb();
	if (state == IVSHMEM_UNREGISTERED) {
		wake_up_all(&idev->changed);
		ivshmem_peers_signal_all(idev);
	}
	synchronize_srcu(&idev->srcu);
	update_irqs(idev);
	unmap_mapping_range(idev->inode->i_mapping, 0, 0, 1);
}

/* Report the new device to the log and to tracing. */
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
 * ivshmem_device_register() - create the node of a device
 * @idev: mapped, with its vectors set
 *
 * Return: 0 or a negative errno. On failure the device counts as unregistered, so
 * a file that was opened in the meantime gets -ENODEV
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
		goto err_unregister;
	report(idev);
	return 0;

err_unregister:
	/* A node from mknod may have been opened before the failure. */
	ivshmem_device_quiesce(idev, IVSHMEM_UNREGISTERED);
err_minor:
	ivshmem_minor_put(idev->minor);
	return ret;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_device_register);

/**
 * ivshmem_device_reset_prepare() - block all access before a reset
 * @idev: registered; the caller holds the transport's lock
 *
 * Operations and page faults wait until ivshmem_device_reset_done().
 */
void ivshmem_device_reset_prepare(struct ivshmem_device *idev)
{
	if (idev->state == IVSHMEM_UNREGISTERED)	/* by ivshmem_device_shutdown() */
		return;
	ivshmem_device_quiesce(idev, IVSHMEM_RESETTING);
	trace_ivshmem_reset_prepare(idev->minor);
}

/**
 * ivshmem_device_reset_done() - allow access again after a reset
 * @idev: registered; the caller holds the transport's lock
 *
 * The reset may have lost doorbells, so every vector is signalled once and programs look
 * at the memory again.
 */
void ivshmem_device_reset_done(struct ivshmem_device *idev)
{
	if (idev->state == IVSHMEM_UNREGISTERED)
		return;
	WRITE_ONCE(idev->state, IVSHMEM_LIVE);
	trace_ivshmem_reset_done(idev->minor);
	update_irqs(idev);
	wake_up_all(&idev->changed);
	ivshmem_peers_signal_all(idev);
}

/*
 * The machine resumes from sleep; the transport has resumed already. Doorbells were
 * lost meanwhile, so every vector is signalled once and programs look at the memory again.
 */
static int __maybe_unused ivshmem_device_resume(struct device *dev)
{
	struct ivshmem_device *idev = container_of(dev, struct ivshmem_device, dev);

	trace_ivshmem_resume(idev->minor);
	ivshmem_peers_signal_all(idev);
	return 0;
}

/*
 * The machine reboots or powers off; called with the locks of the device and its parent
 * held. Users get ENODEV, and no interrupt comes in any more: the next kernel, booted by
 * kexec, would not know what to do with it.
 */
int ivshmem_device_shutdown(struct device *dev)
{
	struct ivshmem_device *idev = container_of(dev, struct ivshmem_device, dev);

	ivshmem_device_quiesce(idev, IVSHMEM_UNREGISTERED);
	return 0;
}

SIMPLE_DEV_PM_OPS(ivshmem_pm_ops, NULL, ivshmem_device_resume);

/**
 * ivshmem_device_unregister() - remove the node and end all access to the device
 * @idev: registered; the caller holds the transport's lock
 *
 * On return no operation accesses the region or the registers, nor will any later.
 * An interrupt handler may still run; the caller frees the interrupts next.
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
 * ivshmem_access_try() - enter a device unless it is being reset
 * @idev: the device
 * @idx: for ivshmem_access_end()
 *
 * Does not sleep.
 *
 * Return: 0 if the caller may access the region and the registers until
 * ivshmem_access_end(); -ENODEV if unregistered; -EAGAIN during a reset
 */
int ivshmem_access_try(struct ivshmem_device *idev, int *idx)
{
	int state;

	*idx = srcu_read_lock(&idev->srcu);
	state = READ_ONCE(idev->state);
	if (state == IVSHMEM_LIVE) {
		/* Sparse cannot follow a lock that is taken conditionally. */
		__release(&idev->srcu);
		return 0;
	}
	srcu_read_unlock(&idev->srcu, *idx);
	return state == IVSHMEM_UNREGISTERED ? -ENODEV : -EAGAIN;
}

/**
 * ivshmem_access_begin() - enter a device, waiting for the end of a reset
 * @idev: the device
 * @idx: for ivshmem_access_end()
 *
 * Return: 0 as ivshmem_access_try(); -ENODEV if unregistered; -EINTR if killed while
 * waiting
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
 * ivshmem_access_file() - enter a device on behalf of an open file
 * @filp: the file
 * @idx: for ivshmem_access_end()
 *
 * Return: as ivshmem_access_try() with O_NONBLOCK, else as ivshmem_access_begin()
 */
int ivshmem_access_file(struct file *filp, int *idx)
{
	struct ivshmem_file *file = filp->private_data;

	return filp->f_flags & O_NONBLOCK ? ivshmem_access_try(file->idev, idx) :
					    ivshmem_access_begin(file->idev, idx);
}

/**
 * ivshmem_access_end() - exit a device
 * @idev: the device
 * @idx: from ivshmem_access_begin() or ivshmem_access_try()
 */
void ivshmem_access_end(struct ivshmem_device *idev, int idx)
{
	__acquire(&idev->srcu);
	srcu_read_unlock(&idev->srcu, idx);
}

/**
 * ivshmem_region_copy() - copy between the region and a buffer
 * @idev: the device; the caller is between ivshmem_access_begin() and
 *	ivshmem_access_end()
 * @pos: offset in the region
 * @buffer: memory of the kernel
 * @n: bytes; the region has all of them
 * @write: copy to the region, else from it
 *
 * Memory that is not write-back needs the accessors for device memory: arm64 faults on
 * unaligned access to it.
 */
void ivshmem_region_copy(struct ivshmem_device *idev, loff_t pos, void *buffer, size_t n,
			 bool write)
{
	void *mem = idev->mem + pos;
	void __iomem *io = (void __iomem __force *)mem;

	if (idev->cache == IVSHMEM_CACHE_WB)
		memcpy(write ? mem : buffer, write ? buffer : mem, n);
	else if (write)
		memcpy_toio(io, buffer, n);
	else
		memcpy_fromio(buffer, io, n);
}
