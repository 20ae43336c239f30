// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware that imports dma-bufs, for tests/guest/dmabuf.c: see importer.h
 *
 * It transfers through the addresses of the mapping, as hardware does. Without an IOMMU
 * they are those of the memory.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "importer.h"

MODULE_INFO(import_ns, "DMA_BUF");

/**
 * struct importer - an import
 * @dmabuf: what is imported, or NULL
 * @attachment: to it
 * @table: its mapping, or NULL
 * @asked: times that the exporter asked to let go
 * @obliging: it does so at once (constant)
 *
 * @table and @asked are under the reservation lock of @dmabuf.
 */
struct importer {
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	int asked;
	bool obliging;
};

static unsigned int segment;
module_param(segment, uint, 0444);
MODULE_PARM_DESC(segment, "Bytes of a segment that the hardware takes, instead of the default");

static struct platform_device *hardware;

static int importer_unmap(struct importer *importer)
{
	if (!importer->table)
		return -ENXIO;
	dma_buf_unmap_attachment(importer->attachment, importer->table, DMA_BIDIRECTIONAL);
	importer->table = NULL;
	return 0;
}

/* Otherwise the mapping stays until the test ends it, as it is with hardware that is slow. */
static void asked_to_let_go(struct dma_buf_attachment *attachment)
{
	struct importer *importer = attachment->importer_priv;

	importer->asked++;
	if (importer->obliging)
		importer_unmap(importer);
}

static const struct dma_buf_attach_ops dynamic_ops = {
#ifdef HAVE_DMA_BUF_INVALIDATE
	.invalidate_mappings = asked_to_let_go,
#else
	.move_notify = asked_to_let_go,
#endif
};

static int importer_attach(struct importer *importer, int fd, unsigned int kind)
{
	struct dma_buf *dmabuf;

	if (importer->dmabuf)
		return -EBUSY;
	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	importer->obliging = kind == IMPORTER_OBLIGING;
	importer->attachment = kind == IMPORTER_STATIC ?
		dma_buf_attach(dmabuf, &hardware->dev) :
		dma_buf_dynamic_attach(dmabuf, &hardware->dev, &dynamic_ops, importer);
	if (IS_ERR(importer->attachment)) {
		dma_buf_put(dmabuf);
		return PTR_ERR(importer->attachment);
	}
	importer->dmabuf = dmabuf;
	return 0;
}

/* Is no segment longer than the hardware takes? */
static bool segments_fit(struct sg_table *table)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(table, sg, i)
		if (sg->length > dma_get_max_seg_size(&hardware->dev))
			return false;
	return true;
}

static int importer_map(struct importer *importer)
{
	struct sg_table *table;

	if (importer->table)
		return -EBUSY;
	table = dma_buf_map_attachment(importer->attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table))
		return PTR_ERR(table);
	if (!segments_fit(table)) {
		dma_buf_unmap_attachment(importer->attachment, table, DMA_BIDIRECTIONAL);
		return -EFBIG;
	}
	importer->table = table;
	return 0;
}

static long importer_command(struct importer *importer, unsigned int cmd)
{
	switch (cmd) {
	case IMPORTER_MAP:
		return importer_map(importer);
	case IMPORTER_UNMAP:
		return importer_unmap(importer);
	case IMPORTER_ASKED:
		return importer->asked;
	default:
		return -ENOTTY;
	}
}

static long importer_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct importer *importer = filp->private_data;
	long ret;

	if (cmd == IMPORTER_STATIC || cmd == IMPORTER_DYNAMIC || cmd == IMPORTER_OBLIGING)
		return importer_attach(importer, arg, cmd);
	if (!importer->dmabuf)
		return -ENXIO;
	dma_resv_lock(importer->dmabuf->resv, NULL);
	ret = importer_command(importer, cmd);
	dma_resv_unlock(importer->dmabuf->resv);
	return ret;
}

/* Where the hardware finds a byte, and how many follow; NULL if nothing is mapped there. */
static void *find(struct importer *importer, loff_t pos, size_t *n)
{
	struct scatterlist *sg;
	int i;

	if (!importer->table)
		return NULL;
	for_each_sgtable_dma_sg(importer->table, sg, i) {
		if (pos < sg_dma_len(sg)) {
			*n = min_t(u64, *n, sg_dma_len(sg) - pos);
			return phys_to_virt(sg_dma_address(sg) + pos);
		}
		pos -= sg_dma_len(sg);
	}
	return NULL;
}

/* Up to a page: its copy is made before the lock is taken, as user memory may fault. */
static ssize_t importer_read(struct file *filp, char __user *to, size_t n, loff_t *pos)
{
	struct importer *importer = filp->private_data;
	void *page, *memory;

	if (!importer->dmabuf)
		return -ENXIO;
	page = (void *)__get_free_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	n = min_t(size_t, n, PAGE_SIZE);
	dma_resv_lock(importer->dmabuf->resv, NULL);
	memory = find(importer, *pos, &n);
	if (memory)
		memcpy(page, memory, n);
	dma_resv_unlock(importer->dmabuf->resv);
	if (memory && copy_to_user(to, page, n))
		n = -EFAULT;
	free_page((unsigned long)page);
	return memory ? n : -ENXIO;
}

static ssize_t importer_write(struct file *filp, const char __user *from, size_t n, loff_t *pos)
{
	struct importer *importer = filp->private_data;
	void *page, *memory;

	if (!importer->dmabuf)
		return -ENXIO;
	n = min_t(size_t, n, PAGE_SIZE);
	page = memdup_user(from, n);
	if (IS_ERR(page))
		return PTR_ERR(page);
	dma_resv_lock(importer->dmabuf->resv, NULL);
	memory = find(importer, *pos, &n);
	if (memory)
		memcpy(memory, page, n);
	dma_resv_unlock(importer->dmabuf->resv);
	kfree(page);
	return memory ? n : -ENXIO;
}

static int importer_open(struct inode *inode, struct file *filp)
{
	struct importer *importer = kzalloc(sizeof(*importer), GFP_KERNEL);

	filp->private_data = importer;
	return importer ? 0 : -ENOMEM;
}

static int importer_release(struct inode *inode, struct file *filp)
{
	struct importer *importer = filp->private_data;

	if (importer->dmabuf) {
		dma_resv_lock(importer->dmabuf->resv, NULL);
		importer_unmap(importer);
		dma_resv_unlock(importer->dmabuf->resv);
		dma_buf_detach(importer->dmabuf, importer->attachment);
		dma_buf_put(importer->dmabuf);
	}
	kfree(importer);
	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.release = importer_release,
	.read = importer_read,
	.write = importer_write,
	.llseek = default_llseek,
	.unlocked_ioctl = importer_ioctl,
};

static struct miscdevice importer_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ivshmem_importer",
	.fops = &importer_fops,
};

static int __init importer_init(void)
{
	int ret;

	hardware = platform_device_register_simple("ivshmem_importer", -1, NULL, 0);
	if (IS_ERR(hardware))
		return PTR_ERR(hardware);
	if (segment)
		dma_set_max_seg_size(&hardware->dev, segment);
	ret = dma_coerce_mask_and_coherent(&hardware->dev, DMA_BIT_MASK(64));
	if (!ret)
		ret = misc_register(&importer_misc);
	if (ret)
		platform_device_unregister(hardware);
	return ret;
}
module_init(importer_init);

static void __exit importer_exit(void)
{
	misc_deregister(&importer_misc);
	platform_device_unregister(hardware);
}
module_exit(importer_exit);

MODULE_DESCRIPTION("Importer of dma-bufs, for the tests of ivshmem");
MODULE_AUTHOR("The ivshmem authors");
MODULE_LICENSE("GPL");
