// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma-bufs: ranges of the region that drivers of other hardware import
 *
 * An export is a file of its own, which any program or driver may map. Removal and reset
 * revoke it, for good: its mappings end in SIGBUS, dynamic importers are told to let go,
 * and nothing maps it any more. A static importer cannot be told. Each import therefore
 * holds a reference to its pages, which live on until it ends, and removal waits for
 * none of them.
 *
 * There is no vmap: the kernel's own mapping of the region ends with the device.
 */
#include <linux/anon_inodes.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "compat.h"
#include "core.h"

/* Without the macro, whose argument is a string since 6.13 only. */
MODULE_INFO(import_ns, "DMA_BUF");

/**
 * struct ivshmem_buffer - an exported range
 * @node: in chardev->node->buffers; empty before it is added, and once revoked
 * @chardev: holds references to it and to the transport's module (constant)
 * @user: charged for it, as for an open file (constant)
 * @dmabuf: its file, which owns this structure (constant)
 * @first: the node's page that it begins with (constant)
 * @nr: number of pages (constant)
 * @revoked: nothing may be mapped; written under the reservation lock of @dmabuf
 * @imports: struct import; under the same lock
 */
struct ivshmem_buffer {
	struct list_head node;
	struct ivshmem_chardev *chardev;
	struct ivshmem_user *user;
	struct dma_buf *dmabuf;
	unsigned long first;
	unsigned long nr;
	bool revoked;
	struct list_head imports;
};

/**
 * struct import - pages that an importer has mapped
 * @node: in buffer->imports
 * @table: of the pages, with a reference to each
 * @dev: the importer's device
 * @dir: in which it transfers
 */
struct import {
	struct list_head node;
	struct sg_table table;
	struct device *dev;
	enum dma_data_direction dir;
};

/*
 * A huge page gets one reference, however many of its pages are imported; they follow each
 * other. @last is the page with the latest reference, or NULL.
 */
static void get_next(struct page *page, struct page **last)
{
	struct page *head = compound_head(page);

	if (head == *last)
		return;
	get_page(head);
	*last = head;
}

/*
 * Put these references, in the same order, then @page NULL. Each is put when the next one's
 * turn has come: without it a huge page may fall apart, and the rest of its pages would
 * look like others.
 */
static void put_next(struct page *page, struct page **last)
{
	struct page *head = page ? compound_head(page) : NULL;

	if (head == *last)
		return;
	if (*last)
		put_page(*last);
	*last = head;
}

/* Get the pages, with references, unless the buffer is revoked or about to be. */
static int get_pages(struct ivshmem_buffer *buffer, struct page **pages)
{
	const struct ivshmem_node *node = buffer->chardev->node;
	unsigned long i, first = (node->part.offset >> PAGE_SHIFT) + buffer->first;
	struct ivshmem_device *idev = node->idev;
	struct page *last = NULL;
	int idx;

	if (buffer->revoked || ivshmem_chardev_try(buffer->chardev, &idx))
		return -ENODEV;
	for (i = 0; i < buffer->nr; i++) {
		pages[i] = ivshmem_section_page(&idev->memory, first + i);
		get_next(pages[i], &last);
		if (!(i % 1024))
			cond_resched();
	}
	ivshmem_access_end(idev, idx);
	return 0;
}

static void put_pages(struct page **pages, unsigned long nr)
{
	struct page *last = NULL;
	unsigned long i;

	for (i = 0; i < nr; i++)
		put_next(pages[i], &last);
	put_next(NULL, &last);
}

static void put_table(struct sg_table *table)
{
	struct page *last = NULL;
	struct sg_page_iter i;

	for_each_sgtable_page(table, &i, 0)
		put_next(sg_page_iter_page(&i), &last);
	put_next(NULL, &last);
	sg_free_table(table);
}

/* The longest segment for a device: what is copied for one that cannot reach it must be short. */
static unsigned int longest_segment(struct device *dev)
{
	return min_t(size_t, dma_get_max_seg_size(dev), dma_max_mapping_size(dev));
}

/* Fill the table of an import; it has references to the pages then. */
static int import_pages(struct import *import, struct ivshmem_buffer *buffer)
{
	/* Not kvmalloc_array(), which warns of more than 2 GiB: a user chooses the size. */
	struct page **pages = __vmalloc(array_size(buffer->nr, sizeof(*pages)),
					GFP_KERNEL_ACCOUNT);
	int ret;

	if (!pages)
		return -ENOMEM;
	ret = get_pages(buffer, pages);
	if (ret)
		goto out;
	ret = ivshmem_sg_alloc_table(&import->table, pages, buffer->nr,
				     longest_segment(import->dev));
	if (ret)
		put_pages(pages, buffer->nr);
out:
	kvfree(pages);
	return ret;
}

/*
 * Several importers may have the same pages, which the kernel's DMA debugging accepts only
 * of mappings that do no syncing themselves.
 */
static int import_dma_map(struct import *import)
{
	int ret = dma_map_sgtable(import->dev, &import->table, import->dir,
				  DMA_ATTR_SKIP_CPU_SYNC);

	if (!ret)
		dma_sync_sgtable_for_device(import->dev, &import->table, import->dir);
	return ret;
}

static void import_dma_unmap(struct import *import)
{
	dma_sync_sgtable_for_cpu(import->dev, &import->table, import->dir);
	dma_unmap_sgtable(import->dev, &import->table, import->dir, DMA_ATTR_SKIP_CPU_SYNC);
}

static struct sg_table *buffer_map(struct dma_buf_attachment *attachment,
				   enum dma_data_direction dir)
{
	struct ivshmem_buffer *buffer = attachment->dmabuf->priv;
	struct import *import = kzalloc(sizeof(*import), GFP_KERNEL_ACCOUNT);
	int ret;

	if (!import)
		return ERR_PTR(-ENOMEM);
	import->dev = attachment->dev;
	import->dir = dir;
	ret = import_pages(import, buffer);
	if (ret)
		goto err_free;
	ret = import_dma_map(import);
	if (ret)
		goto err_table;
	list_add(&import->node, &buffer->imports);
	return &import->table;

err_table:
	put_table(&import->table);
err_free:
	kfree(import);
	return ERR_PTR(ret);
}

static void buffer_unmap(struct dma_buf_attachment *attachment, struct sg_table *table,
			 enum dma_data_direction dir)
{
	struct import *import = container_of(table, struct import, table);

	list_del(&import->node);
	import_dma_unmap(import);
	put_table(table);
	kfree(import);
}

/* Pages never move. With these the importers get to know of the end. */
static int buffer_pin(struct dma_buf_attachment *attachment)
{
	return 0;
}

static void buffer_unpin(struct dma_buf_attachment *attachment)
{
}

/* Give the pages to the processor or to the hardware that has imported them. */
static int buffer_sync(struct dma_buf *dmabuf,
		       void (*sync)(struct device *dev, struct sg_table *table,
				    enum dma_data_direction dir))
{
	struct ivshmem_buffer *buffer = dmabuf->priv;
	struct import *import;
	int ret = dma_resv_lock_interruptible(dmabuf->resv, NULL);

	if (ret)
		return ret;
	list_for_each_entry(import, &buffer->imports, node)
		sync(import->dev, &import->table, import->dir);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

static int buffer_begin_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return buffer_sync(dmabuf, dma_sync_sgtable_for_cpu);
}

static int buffer_end_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	return buffer_sync(dmabuf, dma_sync_sgtable_for_device);
}

static int mapping_release(struct inode *inode, struct file *filp)
{
	struct ivshmem_buffer *buffer = filp->private_data;

	dma_buf_put(buffer->dmabuf);
	return 0;
}

/* A file that nothing but mappings refers to. */
static const struct file_operations mapping_fops = {
	.owner = THIS_MODULE,
	.release = mapping_release,
	.fsync = noop_fsync,	/* for msync, as that of the node */
};

/**
 * ivshmem_buffer_revoked() - has a mapping ended for good?
 * @vma: the mapping; the caller is between ivshmem_chardev_try() and
 *	ivshmem_access_end()
 *
 * Return: true if it is that of a dma-buf that is revoked
 */
bool ivshmem_buffer_revoked(const struct vm_area_struct *vma)
{
	const struct ivshmem_buffer *buffer = vma->vm_file->private_data;

	return vma->vm_file->f_op == &mapping_fops && READ_ONCE(buffer->revoked);
}

static int buffer_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct ivshmem_buffer *buffer = dmabuf->priv;
	struct file *filp;

	if (READ_ONCE(buffer->revoked))
		return -ENODEV;
	filp = anon_inode_getfile("[ivshmem-dmabuf]", &mapping_fops, buffer, O_RDWR);
	if (IS_ERR(filp))
		return PTR_ERR(filp);
	get_dma_buf(dmabuf);
	/* The kernel has compared the mapping with the size of the buffer. */
	vma->vm_pgoff += buffer->first;
	return ivshmem_mmap_file(buffer->chardev, filp, vma);
}

static void buffer_free(struct ivshmem_buffer *buffer)
{
	struct ivshmem_chardev *chardev = buffer->chardev;
	struct module *owner = chardev->cdev.owner;

	ivshmem_user_put(chardev->idev, buffer->user);
	put_device(&chardev->dev);
	module_put(owner);
	kfree(buffer);
}

static void buffer_release(struct dma_buf *dmabuf)
{
	struct ivshmem_buffer *buffer = dmabuf->priv;
	struct ivshmem_node *node = buffer->chardev->node;

	mutex_lock(&node->buffers_lock);
	list_del(&buffer->node);
	mutex_unlock(&node->buffers_lock);
	buffer_free(buffer);
}

static const struct dma_buf_ops buffer_ops = {
	.pin = buffer_pin,
	.unpin = buffer_unpin,
	.map_dma_buf = buffer_map,
	.unmap_dma_buf = buffer_unmap,
	.begin_cpu_access = buffer_begin_access,
	.end_cpu_access = buffer_end_access,
	.mmap = buffer_mmap,
	.release = buffer_release,
};

/* The caller has the chardev open, so its module is there. */
static struct ivshmem_buffer *buffer_new(struct ivshmem_chardev *chardev, u64 offset, u64 size)
{
	struct ivshmem_buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	struct ivshmem_user *user;

	if (!buffer)
		return ERR_PTR(-ENOMEM);
	user = ivshmem_user_get(chardev);
	if (IS_ERR(user)) {
		kfree(buffer);
		return ERR_CAST(user);
	}
	INIT_LIST_HEAD(&buffer->node);
	INIT_LIST_HEAD(&buffer->imports);
	__module_get(chardev->cdev.owner);
	get_device(&chardev->dev);
	buffer->chardev = chardev;
	buffer->user = user;
	buffer->first = offset >> PAGE_SHIFT;
	buffer->nr = size >> PAGE_SHIFT;
	return buffer;
}

/* From now on a reset or removal finds the buffer. */
static int buffer_add(struct ivshmem_buffer *buffer, struct file *filp)
{
	struct ivshmem_node *node = buffer->chardev->node;
	int idx, ret = ivshmem_access_file(filp, &idx);

	if (ret)
		return ret;
	mutex_lock(&node->buffers_lock);
	list_add(&buffer->node, &node->buffers);
	mutex_unlock(&node->buffers_lock);
	ivshmem_access_end(node->idev, idx);
	return 0;
}

/**
 * ivshmem_buffer_export() - make a dma-buf of a range of the region
 * @filp: the open file
 * @offset: where the range begins, a multiple of the page size
 * @size: bytes, likewise; not 0, and the region has all of them
 * @fd_flags: O_CLOEXEC or 0
 *
 * Return: a file descriptor; -EUSERS if the user has too many; -EMFILE, -ENFILE, -ENOMEM,
 * or an error of ivshmem_access_file()
 */
int ivshmem_buffer_export(struct file *filp, u64 offset, u64 size, int fd_flags)
{
	struct ivshmem_file *file = filp->private_data;
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct ivshmem_buffer *buffer;
	struct dma_buf *dmabuf;
	int ret;

	buffer = buffer_new(file->chardev, offset, size);
	if (IS_ERR(buffer))
		return PTR_ERR(buffer);
	info.ops = &buffer_ops;
	info.size = size;
	info.flags = O_RDWR;
	info.priv = buffer;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		buffer_free(buffer);
		return PTR_ERR(dmabuf);
	}
	buffer->dmabuf = dmabuf;
	ret = buffer_add(buffer, filp);
	if (!ret)
		ret = dma_buf_fd(dmabuf, fd_flags);
	if (ret < 0)
		dma_buf_put(dmabuf);
	return ret;
}

/**
 * ivshmem_buffers_revoke() - revoke all dma-bufs of a node
 * @node: as for ivshmem_zap(), which zaps their mappings
 */
void ivshmem_buffers_revoke(struct ivshmem_node *node)
{
	struct ivshmem_buffer *buffer, *next;

	mutex_lock(&node->buffers_lock);
	list_for_each_entry_safe(buffer, next, &node->buffers, node) {
		dma_resv_lock(buffer->dmabuf->resv, NULL);
		WRITE_ONCE(buffer->revoked, true);
		ivshmem_dma_buf_invalidate(buffer->dmabuf);
		dma_resv_unlock(buffer->dmabuf->resv);
		list_del_init(&buffer->node);
	}
	mutex_unlock(&node->buffers_lock);
}
