// SPDX-License-Identifier: GPL-2.0-only
/*
 * Partitions: parts of a device's memory and vectors, each a node of its own
 *
 * A device has a table of them: its label's (rescan.c), or without one what the administrator
 * says; documented in docs/ABI/sysfs-bus-ivshmem
 *
 *	echo video:0:8M:0:2,audio:8M:1M > /sys/bus/ivshmem/devices/ivshmem0/partitions
 *
 * A new table leaves those partitions alone that are the same in it. Others end like an
 * unplugged device, though the device stays.
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "core.h"

static void part_remove(struct ivshmem_device *idev, unsigned int number)
{
	struct ivshmem_node *node = idev->nodes[number];

	idev->nodes[number] = NULL;
	ivshmem_node_remove(node);
}

/**
 * ivshmem_partitions_remove() - remove all partitions of a device
 * @idev: unregistered, but for its nodes; the caller holds its nodes_lock
 */
void ivshmem_partitions_remove(struct ivshmem_device *idev)
{
	unsigned int i;

	for (i = IVSHMEM_NODES - 1; i; i--)
		if (idev->nodes[i])
			part_remove(idev, i);
}

/**
 * ivshmem_partitions_apply() - give a device a table of partitions
 * @idev: the device; the caller holds its nodes_lock
 * @table: the entries are valid
 * @all: partitions that are the same in it end, too
 *
 * All that go are gone before the first one comes, which may have their bytes.
 *
 * Return: 0 or an error of ivshmem_node_add()
 */
int ivshmem_partitions_apply(struct ivshmem_device *idev, const struct ivshmem_label *table,
			     bool all)
{
	const struct ivshmem_label_entry *entry;
	struct ivshmem_node *node;
	unsigned int i;
	int ret = 0;

	for (i = 1; i < IVSHMEM_NODES; i++) {
		node = idev->nodes[i];
		entry = &table->entries[i - 1];
		if (!node || (!all && !memcmp(&node->part, entry, sizeof(*entry))))
			continue;
		ivshmem_node_notify(node, IVSHMEM_EVENT_UNREGISTER);
		part_remove(idev, i);
	}
	for (i = 1; i < IVSHMEM_NODES && !ret; i++) {
		entry = &table->entries[i - 1];
		if (!ivshmem_label_free(entry) && !idev->nodes[i])
			ret = ivshmem_node_add(idev, i, entry);
	}
	return ret;
}

/* NAME:OFFSET:SIZE[:FIRST_VECTOR:VECTORS], with numbers such as 8M and 0x1000. */
static int parse_entry(char *text, struct ivshmem_label_entry *entry)
{
	u64 numbers[4] = { };
	unsigned int n = 0;
	char *word;

	if (strscpy(entry->name, strsep(&text, ":"), sizeof(entry->name)) < 0)
		return -EINVAL;
	while ((word = strsep(&text, ":"))) {
		if (n == ARRAY_SIZE(numbers) || !isdigit(*word))
			return -EINVAL;
		if (ivshmem_parse_number(word, &numbers[n++]))
			return -EINVAL;
	}
	if ((n != 2 && n != 4) || numbers[2] > U16_MAX || numbers[3] > U16_MAX)
		return -EINVAL;
	strscpy(entry->type, IVSHMEM_TYPE_RAW, sizeof(entry->type));
	entry->offset = numbers[0];
	entry->size = numbers[1];
	entry->first_vector = numbers[2];
	entry->vectors = numbers[3];
	return 0;
}

/* What is wrong with an entry, or NULL. */
static const char *entry_fault(const struct ivshmem_label *table, unsigned int i)
{
	const struct ivshmem_label_entry *entry = &table->entries[i];
	enum ivshmem_label_reason reason = ivshmem_label_check_entry(table, i);

	if (reason)
		return ivshmem_label_reason_text(reason);
	if (!PAGE_ALIGNED(entry->offset) || !PAGE_ALIGNED(entry->size))
		return "it is not whole pages of this machine";
	return NULL;
}

/* Fill a table from a list, in which an empty place leaves out a number. */
static int parse_table(struct ivshmem_node *node, char *list, struct ivshmem_label *table)
{
	unsigned int i = 0;
	const char *fault;
	char *word;

	table->region_size = node->part.size;
	for (; (word = strsep(&list, ",")); i++) {
		if (i == ARRAY_SIZE(table->entries))
			return -E2BIG;
		if (!*word)
			continue;
		fault = parse_entry(word, &table->entries[i]) ?
			"expected NAME:OFFSET:SIZE[:FIRST_VECTOR:VECTORS]" : entry_fault(table, i);
		if (fault) {
			dev_err(&node->dev, "partition %u: %s\n", i + 1, fault);
			return -EINVAL;
		}
	}
	return 0;
}

/**
 * ivshmem_partitions_lock() - get the lock of a device's nodes while no reset is going on
 * @idev: the device
 *
 * Return: 0, and the caller unlocks idev->nodes_lock; -ENODEV; -EINTR if killed
 */
int ivshmem_partitions_lock(struct ivshmem_device *idev)
{
	int state;

	for (;;) {
		mutex_lock(&idev->nodes_lock);
		state = READ_ONCE(idev->state);
		if (state == IVSHMEM_LIVE)
			return 0;
		mutex_unlock(&idev->nodes_lock);
		if (state == IVSHMEM_UNREGISTERED)
			return -ENODEV;
		if (wait_event_killable(idev->changed,
					READ_ONCE(idev->state) != IVSHMEM_RESETTING))
			return -EINTR;
	}
}

static ssize_t partitions_store(struct device *dev, struct device_attribute *attr,
				const char *buf, size_t count)
{
	struct ivshmem_node *node = to_ivshmem_node(dev);
	struct ivshmem_label *table;
	int ret = -ENOMEM;
	char *list;

	/* sysfs cuts off what is longer, which must not be taken for all of it. */
	if (count >= PAGE_SIZE)
		return -E2BIG;
	table = kzalloc(sizeof(*table), GFP_KERNEL);
	list = kstrndup(buf, count, GFP_KERNEL);
	if (table && list)
		ret = parse_table(node, strim(list), table);
	if (!ret)
		ret = ivshmem_partitions_lock(node->idev);
	if (!ret) {
		ret = node->idev->label_generation ?
			-EBUSY : ivshmem_partitions_apply(node->idev, table, false);
		mutex_unlock(&node->idev->nodes_lock);
	}
	kfree(list);
	kfree(table);
	return ret ? ret : count;
}
static DEVICE_ATTR_WO(partitions);

static struct attribute *partitions_attrs[] = {
	&dev_attr_partitions.attr,
	&dev_attr_rescan.attr,
	NULL
};

/* A partition has no partitions. */
static umode_t partitions_mode(struct kobject *kobj, struct attribute *attr, int n)
{
	return ivshmem_node_is_partition(to_ivshmem_node(kobj_to_dev(kobj))) ? 0 : attr->mode;
}

const struct attribute_group ivshmem_partitions_group = {
	.attrs = partitions_attrs,
	.is_visible = partitions_mode,
};
