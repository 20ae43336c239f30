// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the label of a device, and makes the partitions that it names
 *
 * That happens when the device is registered, and when the administrator asks for it. In
 * between whatever peers write there changes nothing, but that slot.c stops to write where the
 * label is another one. The fixed part is copied once, and the copy parsed (label.c).
 */
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include "core.h"

/* A writer may be at work: how often a bad label is read again, a millisecond apart. */
#define RETRIES		4

/* Protects what is known of the labels of all devices: files of sysfs show it. */
static DEFINE_SPINLOCK(label_lock);

/**
 * struct ivshmem_scan - one look at a label
 * @reason: why it is refused, or IVSHMEM_LABEL_VALID
 * @other: the device had another label, or none, or another number of vectors
 * @ends: it had one, and has none now
 * @no_peers: why the device does not use the peer area of the label, or NULL
 * @label: what it says
 * @copy: of the fixed part
 */
struct ivshmem_scan {
	enum ivshmem_label_reason reason;
	bool other;
	bool ends;
	const char *no_peers;
	struct ivshmem_label label;
	u8 copy[IVSHMEM_LABEL_MAX_SIZE];
};

static bool is_bad(const struct ivshmem_scan *scan)
{
	return scan->reason != IVSHMEM_LABEL_VALID && scan->reason != IVSHMEM_LABEL_NONE;
}

static int read_label(struct ivshmem_device *idev, struct ivshmem_scan *scan)
{
	size_t length = min_t(size_t, sizeof(scan->copy), idev->memory.size);
	int idx, ret = ivshmem_access_try(idev, &idx);

	if (ret)
		return ret;
	ret = ivshmem_region_copy(idev, 0, scan->copy, length, false);
	ivshmem_access_end(idev, idx);
	if (ret)
		return ret;
	scan->reason = ivshmem_label_parse(scan->copy, length, idev->memory.size, &scan->label);
	return 0;
}

/**
 * ivshmem_scan_begin() - read the label of a device
 * @idev: mapped, and LIVE; the caller holds its nodes_lock
 *
 * Return: for ivshmem_scan_end(), or an ERR_PTR(). A bad label is no error
 */
struct ivshmem_scan *ivshmem_scan_begin(struct ivshmem_device *idev)
{
	struct ivshmem_scan *scan = kvzalloc(sizeof(*scan), GFP_KERNEL);
	int i, ret;

	if (!scan)
		return ERR_PTR(-ENOMEM);
	ret = read_label(idev, scan);
	for (i = 0; i < RETRIES && !ret && is_bad(scan); i++) {
		usleep_range(1000, 2000);
		ret = read_label(idev, scan);
	}
	if (!ret)
		return scan;
	kvfree(scan);
	return ERR_PTR(ret);
}

/* Leave out what this kernel cannot use. Gives the number of the others. */
static unsigned int usable_entries(struct device *dev, struct ivshmem_label *label)
{
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(label->entries); i++) {
		struct ivshmem_label_entry *entry = &label->entries[i];
		const char *obstacle = NULL;

		if (ivshmem_label_free(entry))
			continue;
		n++;
		if (!ivshmem_label_usable(entry))
			obstacle = "it needs a newer driver";
		else if (!PAGE_ALIGNED(entry->offset) || !PAGE_ALIGNED(entry->size))
			obstacle = "it is not whole pages of this machine";
		if (!obstacle)
			continue;
		dev_warn_ratelimited(dev, "partition %u is left out: %s\n", i + 1, obstacle);
		memset(entry, 0, sizeof(*entry));
		n--;
	}
	return n;
}

static void log_bad(struct device *dev, const struct ivshmem_scan *scan)
{
	const char *text = ivshmem_label_reason_text(scan->reason);

	if (scan->label.refused)
		dev_warn_ratelimited(dev, "the label is refused because of partition %u: %s\n",
				     scan->label.refused, text);
	else
		dev_warn_ratelimited(dev, "the label is refused: %s\n", text);
}

/**
 * ivshmem_scan_identify() - let files of sysfs tell which label a device has, and use its
 *	slots for peers
 * @idev: the device, LIVE; the caller holds its nodes_lock
 * @scan: of ivshmem_scan_begin()
 *
 * A label that is refused changes nothing for a device that had a good one.
 */
void ivshmem_scan_identify(struct ivshmem_device *idev, struct ivshmem_scan *scan)
{
	unsigned int vectors = ivshmem_device_vectors(idev);
	const struct ivshmem_label *label = &scan->label;
	bool labelled = idev->label_generation;

	scan->other = !labelled || memcmp(idev->label_uuid, label->uuid, sizeof(label->uuid));
	scan->ends = labelled && scan->reason == IVSHMEM_LABEL_NONE;
	spin_lock(&label_lock);
	idev->label_refused = is_bad(scan);
	if (scan->reason == IVSHMEM_LABEL_VALID) {
		memcpy(idev->label_uuid, label->uuid, sizeof(label->uuid));
		idev->label_generation = label->generation;
	} else if (scan->ends) {
		idev->label_generation = 0;
	}
	spin_unlock(&label_lock);
	if (!is_bad(scan))
		scan->no_peers = ivshmem_slots_apply(idev, label, scan->copy);
	scan->other |= vectors != ivshmem_device_vectors(idev);
}

/**
 * ivshmem_scan_end() - make the partitions of a label
 * @idev: with its node 0; the caller holds its nodes_lock
 * @scan: of ivshmem_scan_begin(), and identified; freed
 *
 * Return: 0; -EBADMSG if the label is refused, which changes nothing; or an error of
 * ivshmem_node_add()
 */
int ivshmem_scan_end(struct ivshmem_device *idev, struct ivshmem_scan *scan)
{
	struct device *dev = &idev->nodes[0]->dev;
	unsigned int nr;
	int ret = 0;

	if (is_bad(scan)) {
		log_bad(dev, scan);
		ret = -EBADMSG;
	} else if (scan->reason == IVSHMEM_LABEL_VALID) {
		nr = usable_entries(dev, &scan->label);
		dev_info_ratelimited(dev, "label %pUb, generation %llu, %u partitions\n",
				     scan->label.uuid, scan->label.generation, nr);
		ret = ivshmem_partitions_apply(idev, &scan->label, scan->other);
	} else if (scan->ends) {
		dev_info_ratelimited(dev, "the label is gone\n");
		ret = ivshmem_partitions_apply(idev, &scan->label, true);
	}
	if (scan->no_peers)
		dev_info_ratelimited(dev, "peers are not announced: %s\n", scan->no_peers);
	ivshmem_slots_begin(idev);
	ivshmem_presence_notify(idev);
	kvfree(scan);
	return ret;
}

static int rescan(struct ivshmem_device *idev)
{
	struct ivshmem_scan *scan = ivshmem_scan_begin(idev);
	int ret;

	if (IS_ERR(scan))
		return PTR_ERR(scan);
	ivshmem_scan_identify(idev, scan);
	ivshmem_node_update_vectors(idev->nodes[0]);
	ret = ivshmem_scan_end(idev, scan);
	ivshmem_node_notify(idev->nodes[0], IVSHMEM_EVENT_LABEL);
	return ret;
}

static ssize_t rescan_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	struct ivshmem_device *idev = to_ivshmem_node(dev)->idev;
	int ret = ivshmem_partitions_lock(idev);

	if (ret)
		return ret;
	ret = rescan(idev);
	mutex_unlock(&idev->nodes_lock);
	return ret ? ret : count;
}
DEVICE_ATTR_WO(rescan);

/**
 * ivshmem_label_generation() - get the generation of a device's label
 * @idev: the device
 *
 * Return: the generation; 0 without a label
 */
u64 ivshmem_label_generation(const struct ivshmem_device *idev)
{
	u64 generation;

	spin_lock(&label_lock);
	generation = idev->label_generation;
	spin_unlock(&label_lock);
	return generation;
}

/**
 * ivshmem_node_label() - get what identifies the label of a node's device
 * @node: the node
 * @uuid: out, in the byte order of RFC 4122
 *
 * Return: 0; -ENODATA without a label
 */
int ivshmem_node_label(struct ivshmem_node *node, u8 uuid[16])
{
	const struct ivshmem_device *idev = node->idev;
	int ret = -ENODATA;

	spin_lock(&label_lock);
	if (idev->label_generation) {
		memcpy(uuid, idev->label_uuid, sizeof(idev->label_uuid));
		ret = 0;
	}
	spin_unlock(&label_lock);
	return ret;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_node_label);

/**
 * ivshmem_label_show() - show which label a device has
 * @idev: the device
 * @buf: of a file in sysfs
 *
 * Return: bytes written
 */
ssize_t ivshmem_label_show(const struct ivshmem_device *idev, char *buf)
{
	ssize_t n;

	spin_lock(&label_lock);
	if (idev->label_generation)
		n = sysfs_emit(buf, "%pUb\n", idev->label_uuid);
	else
		n = sysfs_emit(buf, "%s\n", idev->label_refused ? "refused" : "");
	spin_unlock(&label_lock);
	return n;
}
