// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes in /sys/class/ivshmem/ivshmemN; documented in
 * docs/ABI/sysfs-class-ivshmem
 *
 * Unregistering a device removes the files and waits for their readers, so only an
 * attribute that reads a register or the region has to enter the device.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "core.h"

static struct ivshmem_chardev *to_chardev(struct device *dev)
{
	return container_of(dev, struct ivshmem_chardev, dev);
}

static struct ivshmem_device *to_idev(struct device *dev)
{
	return to_chardev(dev)->idev;
}

static ssize_t size_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%zu\n", to_idev(dev)->memory.size);
}
static DEVICE_ATTR_RO(size);

static ssize_t id_show(struct device *dev, struct device_attribute *attr,
		       char *buf)
{
	struct ivshmem_device *idev = to_idev(dev);
	int idx, ret;
	u32 id;

	/* Then each open file has its own id. */
	if (!idev->peer)
		return sysfs_emit(buf, "unknown\n");
	ret = ivshmem_chardev_begin(to_chardev(dev), &idx);
	if (ret)
		return ret;
	id = ivshmem_peer_id(idev->peer);
	ivshmem_access_end(idev, idx);
	if (id == IVSHMEM_ID_UNKNOWN)
		return sysfs_emit(buf, "unknown\n");
	return sysfs_emit(buf, "%u\n", id);
}
static DEVICE_ATTR_RO(id);

static ssize_t vectors_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", to_idev(dev)->nr_vectors);
}
static DEVICE_ATTR_RO(vectors);

static ssize_t cache_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n", ivshmem_cache_names[to_idev(dev)->memory.cache]);
}
static DEVICE_ATTR_RO(cache);

static ssize_t pages_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  ivshmem_section_has_pages(&to_idev(dev)->memory) ? "yes" : "no");
}
static DEVICE_ATTR_RO(pages);

static ssize_t name_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%s\n", to_idev(dev)->name);
}
static DEVICE_ATTR_RO(name);

/* PCI devices have no name. */
static umode_t device_attr_mode(struct kobject *kobj, struct attribute *attr, int n)
{
	if (attr == &dev_attr_name.attr && !to_idev(kobj_to_dev(kobj))->name)
		return 0;
	return attr->mode;
}

static struct attribute *device_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_size.attr,
	&dev_attr_id.attr,
	&dev_attr_vectors.attr,
	&dev_attr_cache.attr,
	&dev_attr_pages.attr,
	NULL
};

static const struct attribute_group device_group = {
	.attrs = device_attrs,
	.is_visible = device_attr_mode,
};

static ssize_t interrupts_show(struct device *dev, struct device_attribute *attr,
			       char *buf)
{
	struct ivshmem_counter *counter = container_of(attr, struct ivshmem_counter,
						       attr);

	return sysfs_emit(buf, "%lld\n", (long long)atomic64_read(&counter->count));
}

static ssize_t region_move(struct kobject *kobj, char *buf, loff_t pos, size_t n, bool write)
{
	struct ivshmem_chardev *chardev = to_chardev(kobj_to_dev(kobj));
	int idx, ret;

	ret = ivshmem_chardev_begin(chardev, &idx);
	if (ret)
		return ret;
	ivshmem_region_copy(chardev->idev, pos, buf, n, write);
	ivshmem_access_end(chardev->idev, idx);
	return n;
}

/* kernfs cuts reads and writes at the size of the file, and at a page. */
static ssize_t region_read(struct file *filp, struct kobject *kobj,
			   BIN_READ_CONST struct bin_attribute *attr, char *buf,
			   loff_t pos, size_t n)
{
	return region_move(kobj, buf, pos, n, false);
}

static ssize_t region_write(struct file *filp, struct kobject *kobj,
			    BIN_READ_CONST struct bin_attribute *attr, char *buf,
			    loff_t pos, size_t n)
{
	return region_move(kobj, buf, pos, n, true);
}

static int region_mmap(struct file *filp, struct kobject *kobj,
		       BIN_MMAP_CONST struct bin_attribute *attr,
		       struct vm_area_struct *vma)
{
	return ivshmem_mmap_region(to_chardev(kobj_to_dev(kobj)), vma);
}

/* The region as a file, for programs that map a path as far as stat() says. */
static void region_prepare(struct ivshmem_chardev *chardev)
{
	struct bin_attribute *attr = &chardev->region_attr;

	sysfs_bin_attr_init(attr);
	attr->attr.name = "region";
	attr->attr.mode = 0600;
	attr->size = chardev->node->size;
	attr->read = region_read;
	attr->write = region_write;
	attr->mmap = region_mmap;
	ivshmem_bin_set_llseek(attr);
	chardev->region_attrs[0] = attr;
	chardev->region_group.bin_attrs = chardev->region_attrs;
}

/**
 * ivshmem_sysfs_prepare() - set the sysfs attributes of a device
 * @chardev: not registered yet
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_sysfs_prepare(struct ivshmem_chardev *chardev)
{
	struct ivshmem_device *idev = chardev->idev;
	unsigned int i;

	region_prepare(chardev);
	chardev->groups[0] = &device_group;
	chardev->groups[1] = &chardev->region_group;
	chardev->dev.groups = chardev->groups;
	if (!idev->nr_vectors)
		return 0;

	chardev->vector_attrs = kcalloc(idev->nr_vectors + 1,
					sizeof(*chardev->vector_attrs), GFP_KERNEL);
	if (!chardev->vector_attrs)
		return -ENOMEM;
	for (i = 0; i < idev->nr_vectors; i++) {
		struct device_attribute *attr = &idev->counters[i].attr;

		sysfs_attr_init(&attr->attr);
		attr->attr.name = idev->counters[i].name;
		attr->attr.mode = 0444;
		attr->show = interrupts_show;
		chardev->vector_attrs[i] = &attr->attr;
	}
	chardev->vector_group.name = "interrupts";
	chardev->vector_group.attrs = chardev->vector_attrs;
	chardev->groups[2] = &chardev->vector_group;
	return 0;
}
