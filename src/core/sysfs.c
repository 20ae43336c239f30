// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes in /sys/class/ivshmem/ivshmemN and ivshmemNpM; documented in
 * docs/ABI/sysfs-class-ivshmem
 *
 * Unregistering a device removes the files and waits for their readers, so only an
 * attribute that reads a register or the region has to enter the device.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
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

static struct ivshmem_node *dev_node(struct device *dev)
{
	return to_chardev(dev)->node;
}

static ssize_t size_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%llu\n", dev_node(dev)->part.size);
}
static DEVICE_ATTR_RO(size);

static ssize_t id_show(struct device *dev, struct device_attribute *attr,
		       char *buf)
{
	struct ivshmem_node *node = dev_node(dev);
	int idx, ret;
	u32 id;

	/* Then each open file has its own id. */
	if (!node->shared)
		return sysfs_emit(buf, "unknown\n");
	ret = ivshmem_chardev_begin(to_chardev(dev), &idx);
	if (ret)
		return ret;
	id = ivshmem_peer_id(node, node->shared);
	ivshmem_access_end(node->idev, idx);
	if (id == IVSHMEM_ID_UNKNOWN)
		return sysfs_emit(buf, "unknown\n");
	return sysfs_emit(buf, "%u\n", id);
}
static DEVICE_ATTR_RO(id);

static ssize_t vectors_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%u\n", ivshmem_node_vectors(dev_node(dev)));
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

static ssize_t looks_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld\n",
			  (long long)atomic64_read(&to_idev(dev)->bells.looks));
}
static DEVICE_ATTR_RO(looks);

static const char *node_name(const struct ivshmem_node *node)
{
	return ivshmem_node_is_partition(node) ? node->part.name : node->idev->name;
}

static ssize_t name_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%s\n", node_name(dev_node(dev)));
}
static DEVICE_ATTR_RO(name);

static ssize_t partition_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", dev_node(dev)->number);
}
static DEVICE_ATTR_RO(partition);

static ssize_t offset_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", dev_node(dev)->part.offset);
}
static DEVICE_ATTR_RO(offset);

static ssize_t label_uuid_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return ivshmem_label_show(to_idev(dev), buf);
}
static DEVICE_ATTR_RO(label_uuid);

static ssize_t label_generation_show(struct device *dev, struct device_attribute *attr,
				     char *buf)
{
	u64 generation = ivshmem_label_generation(to_idev(dev));

	return generation ? sysfs_emit(buf, "%llu\n", generation) : sysfs_emit(buf, "\n");
}
static DEVICE_ATTR_RO(label_generation);

static ssize_t first_vector_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", dev_node(dev)->part.first_vector);
}
static DEVICE_ATTR_RO(first_vector);

static ssize_t peers_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return ivshmem_presence_show(to_chardev(dev), buf);
}

/* It shows what is in the memory, as the file "region" does. */
static DEVICE_ATTR_ADMIN_RO(peers);

/*
 * PCI devices have no name, and only partitions are a part of something. Where each open file is
 * a peer, there are no polled doorbells.
 */
static umode_t device_attr_mode(struct kobject *kobj, struct attribute *attr, int n)
{
	const struct ivshmem_node *node = dev_node(kobj_to_dev(kobj));

	if (attr == &dev_attr_name.attr)
		return node_name(node) ? attr->mode : 0;
	if (attr == &dev_attr_looks.attr)
		return node->idev->peer ? attr->mode : 0;
	if (attr == &dev_attr_partition.attr || attr == &dev_attr_offset.attr ||
	    attr == &dev_attr_first_vector.attr)
		return ivshmem_node_is_partition(node) ? attr->mode : 0;
	return attr->mode;
}

static struct attribute *device_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_size.attr,
	&dev_attr_id.attr,
	&dev_attr_vectors.attr,
	&dev_attr_cache.attr,
	&dev_attr_pages.attr,
	&dev_attr_looks.attr,
	&dev_attr_label_uuid.attr,
	&dev_attr_label_generation.attr,
	&dev_attr_peers.attr,
	&dev_attr_partition.attr,
	&dev_attr_offset.attr,
	&dev_attr_first_vector.attr,
	NULL
};

static const struct attribute_group device_group = {
	.attrs = device_attrs,
	.is_visible = device_attr_mode,
};

/**
 * struct ivshmem_vector_file - a file in the directory "interrupts"
 * @attr: the attribute
 * @counter: what it shows
 * @name: number of the vector, counted from the node's first
 */
struct ivshmem_vector_file {
	struct device_attribute attr;
	struct ivshmem_counter *counter;
	char name[4];
};

static ssize_t interrupts_show(struct device *dev, struct device_attribute *attr,
			       char *buf)
{
	struct ivshmem_vector_file *file = container_of(attr, struct ivshmem_vector_file,
							attr);

	return sysfs_emit(buf, "%lld\n", (long long)atomic64_read(&file->counter->count));
}

/*
 * Wait for the end of a reset, for a moment only: kernfs holds the lock of the open file, which
 * mmap of the same file waits for with mmap_lock held. The system call then starts again, without
 * that lock. The workers of io_uring cannot do so, nor may their next request find a signal.
 */
static int region_wait(struct ivshmem_chardev *chardev)
{
	long left = wait_event_killable_timeout(chardev->idev->changed,
						!ivshmem_chardev_resetting(chardev),
						msecs_to_jiffies(IVSHMEM_LOCKED_WAIT_MS));

	if (left)
		return left < 0 ? -EINTR : 0;
	return current->flags & (PF_KTHREAD | PF_IO_WORKER) ? -EINTR : restart_syscall();
}

static ssize_t region_move(struct kobject *kobj, char *buf, loff_t pos, size_t n, bool write)
{
	struct ivshmem_chardev *chardev = to_chardev(kobj_to_dev(kobj));
	int idx, ret;

	while ((ret = ivshmem_chardev_try(chardev, &idx)) == -EAGAIN) {
		ret = region_wait(chardev);
		if (ret)
			return ret;
	}
	if (ret)
		return ret;
	ret = ivshmem_node_copy(chardev->node, pos, buf, n, write);
	ivshmem_access_end(chardev->idev, idx);
	return ret ? ret : n;
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
	attr->size = chardev->node->part.size;
	attr->read = region_read;
	attr->write = region_write;
	attr->mmap = region_mmap;
	ivshmem_bin_set_llseek(attr);
	chardev->region_attrs[0] = attr;
	chardev->region_group.bin_attrs = chardev->region_attrs;
}

/**
 * ivshmem_sysfs_free() - free the files with the numbers of interrupts
 * @chardev: not registered, or without these files
 */
void ivshmem_sysfs_free(struct ivshmem_chardev *chardev)
{
	kfree(chardev->vector_attrs);
	kfree(chardev->vector_files);
	chardev->vector_attrs = NULL;
	chardev->vector_files = NULL;
	chardev->groups[2] = NULL;
	chardev->nr_vector_files = 0;
}

/* A file with the number of interrupts for each vector. */
static int vectors_prepare(struct ivshmem_chardev *chardev)
{
	unsigned int i, nr = chardev->node->nr_vectors;
	struct ivshmem_vector_file *files;

	if (!nr)
		return 0;
	files = kcalloc(nr, sizeof(*files), GFP_KERNEL);
	chardev->vector_files = files;
	chardev->vector_attrs = kcalloc(nr + 1, sizeof(*chardev->vector_attrs), GFP_KERNEL);
	if (!files || !chardev->vector_attrs) {
		ivshmem_sysfs_free(chardev);
		return -ENOMEM;
	}
	for (i = 0; i < nr; i++) {
		struct device_attribute *attr = &files[i].attr;

		snprintf(files[i].name, sizeof(files[i].name), "%u", (u8)i);
		files[i].counter = &chardev->idev->counters[chardev->node->part.first_vector + i];
		sysfs_attr_init(&attr->attr);
		attr->attr.name = files[i].name;
		attr->attr.mode = 0444;
		attr->show = interrupts_show;
		chardev->vector_attrs[i] = &attr->attr;
	}
	chardev->vector_group.name = "interrupts";
	chardev->vector_group.attrs = chardev->vector_attrs;
	chardev->groups[2] = &chardev->vector_group;
	chardev->nr_vector_files = nr;
	return 0;
}

/**
 * ivshmem_sysfs_prepare() - set the sysfs attributes of a node
 * @chardev: not registered yet
 *
 * Return: 0 or -ENOMEM
 */
int ivshmem_sysfs_prepare(struct ivshmem_chardev *chardev)
{
	region_prepare(chardev);
	chardev->groups[0] = &device_group;
	chardev->groups[1] = &chardev->region_group;
	chardev->dev.groups = chardev->groups;
	return vectors_prepare(chardev);
}

/**
 * ivshmem_sysfs_update() - have a file for each vector, after their number has changed
 * @chardev: registered; the caller holds the device_lock of its node
 *
 * Without memory there are no such files until the next change.
 */
void ivshmem_sysfs_update(struct ivshmem_chardev *chardev)
{
	if (chardev->nr_vector_files == chardev->node->nr_vectors)
		return;
	if (chardev->nr_vector_files)
		sysfs_remove_group(&chardev->dev.kobj, &chardev->vector_group);
	ivshmem_sysfs_free(chardev);
	if (!vectors_prepare(chardev) && chardev->nr_vector_files &&
	    sysfs_create_group(&chardev->dev.kobj, &chardev->vector_group))
		ivshmem_sysfs_free(chardev);
}
