// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of nodes that uses all of core/client.h: it rings itself without end
 *
 * Each doorbell is handled as NAPI does: the interrupt masks the vector and schedules
 * work, which counts in the shared memory and rings the next vector. The test
 * tests/guest/sample.c unplugs, resets and unloads it meanwhile.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "client.h"

/* Slots of a label, at most. */
#define MAX_PEERS	128

/*
 * Accesses just before the end of a device, and those that a reset refused: of all nodes, as
 * the test asks when they are gone.
 */
static atomic_t farewells = ATOMIC_INIT(0), refusals = ATOMIC_INIT(0);

module_param_named(farewells, farewells.counter, int, 0444);
module_param_named(refusals, refusals.counter, int, 0444);

/*
 * Free no vector in remove(), as the core does so then, and keep their handlers busy: they ring
 * each other in the interrupt, and mask and unmask their vectors meanwhile.
 */
static bool keep_handlers;
module_param(keep_handlers, bool, 0644);

#define BUSY_US		100
#define RAGE_US		2000	/* then it goes on by itself */

struct sample;

struct sample_vector {
	struct sample *sample;
	unsigned int number;
	struct work_struct work;
};

/**
 * struct sample - a node and its endless chain of doorbells
 * @node: bound to this driver
 * @stopped: doorbells are not passed on
 * @removed: handlers run all the same
 * @echoes: doorbells passed on
 * @resets: resets seen
 * @news: times that peers have come or gone
 * @intruder: tries to access the device while it is being reset
 * @known: slots of peers that were seen
 * @nr_vectors: number of @vectors
 * @vectors: the node's vectors, all with a handler
 */
struct sample {
	struct ivshmem_node *node;
	bool stopped;
	bool removed;
	atomic_t echoes;
	unsigned int resets;
	unsigned int news;
	struct delayed_work intruder;
	DECLARE_BITMAP(known, MAX_PEERS);
	unsigned int nr_vectors;
	struct sample_vector vectors[];
};

static void ring(struct sample *sample, unsigned int vector)
{
	struct ivshmem_node *node = sample->node;
	void *end = ivshmem_node_memory(node) + ivshmem_node_size(node);
	u32 __iomem *count = (u32 __iomem __force *)end - 1;	/* at the start is a label */
	int idx;

	if (ivshmem_node_begin(node, &idx))
		return;
	writel(readl(count) + 1, count);
	ivshmem_node_ring(node, ivshmem_node_id(node), vector % sample->nr_vectors);
	ivshmem_node_end(node, idx);
}

static void ring_self(struct sample *sample, unsigned int vector)
{
	if (!READ_ONCE(sample->stopped))
		ring(sample, vector);
}

/* The sample is being removed: no work, but a storm of doorbells. */
static void sample_storm(struct sample_vector *v)
{
	ring(v->sample, v->number + 1);
	udelay(BUSY_US);
	ivshmem_node_unmask(v->sample->node, v->number);
}

/* In the interrupt: leave the rest to work. */
static void sample_handle(void *data)
{
	struct sample_vector *v = data;

	ivshmem_node_mask(v->sample->node, v->number);
	if (READ_ONCE(v->sample->removed))
		sample_storm(v);
	else
		schedule_work(&v->work);
}

static void sample_work(struct work_struct *work)
{
	struct sample_vector *v = container_of(work, struct sample_vector, work);
	struct sample *sample = v->sample;

	atomic_inc(&sample->echoes);
	ring_self(sample, v->number + 1);
	/* A doorbell that came meanwhile called no handler. */
	if (ivshmem_node_unmask(sample->node, v->number))
		sample_handle(v);
}

/* From the start of a reset to its end no access succeeds. */
static void sample_intrude(struct work_struct *work)
{
	struct sample *sample = container_of(to_delayed_work(work), struct sample, intruder);
	int idx;

	if (!ivshmem_node_begin(sample->node, &idx))
		ivshmem_node_end(sample->node, idx);
	else
		atomic_inc(&refusals);
	schedule_delayed_work(&sample->intruder, msecs_to_jiffies(1));
}

/* The last access to a device that ends; one that was pulled out reads as ones. */
static void sample_bid_farewell(struct sample *sample)
{
	int idx;

	if (ivshmem_node_begin(sample->node, &idx))
		return;
	readl((u32 __iomem __force *)ivshmem_node_memory(sample->node));
	ivshmem_node_end(sample->node, idx);
	atomic_inc(&farewells);
}

static void sample_stop(struct sample *sample)
{
	unsigned int i;

	WRITE_ONCE(sample->stopped, true);
	for (i = 0; i < sample->nr_vectors; i++)
		cancel_work_sync(&sample->vectors[i].work);
}

static void sample_start(struct sample *sample)
{
	unsigned int i;

	WRITE_ONCE(sample->stopped, false);
	/* Work that was cancelled has left its vector masked. */
	for (i = 0; i < sample->nr_vectors; i++)
		ivshmem_node_unmask(sample->node, i);
	if (sample->nr_vectors)
		ring_self(sample, 0);
}

static int sample_request(struct sample *sample)
{
	unsigned int i;
	int ret;

	for (i = 0; i < sample->nr_vectors; i++) {
		struct sample_vector *v = &sample->vectors[i];

		v->sample = sample;
		v->number = i;
		INIT_WORK(&v->work, sample_work);
		ret = ivshmem_node_request_vector(sample->node, i, sample_handle, v);
		if (ret)
			goto err_free;
	}
	return 0;

err_free:
	while (i--) {
		ivshmem_node_free_vector(sample->node, i);
		cancel_work_sync(&sample->vectors[i].work);
	}
	return ret;
}

static int sample_probe(struct ivshmem_node *node)
{
	unsigned int nr = ivshmem_node_vectors(node);
	struct device *dev = ivshmem_node_dev(node);
	struct sample *sample;
	int ret;

	/* Freed after the handlers. */
	sample = devm_kzalloc(dev, struct_size(sample, vectors, nr), GFP_KERNEL);
	if (!sample)
		return -ENOMEM;
	sample->node = node;
	sample->nr_vectors = nr;
	sample->stopped = true;
	INIT_DELAYED_WORK(&sample->intruder, sample_intrude);
	ret = sample_request(sample);
	if (ret)
		return ret;
	dev_set_drvdata(dev, sample);
	dev_info(dev, "%zu bytes%s, %u vectors, features %llx\n", ivshmem_node_size(node),
		 ivshmem_node_is_cached(node) ? "" : " uncached", nr,
		 ivshmem_node_features(node));
	sample_start(sample);
	return 0;
}

/* Leave the handlers to the core, while they run. */
static void sample_rage(struct sample *sample)
{
	unsigned int i;

	for (i = 0; i < sample->nr_vectors; i++)
		ivshmem_node_unmask(sample->node, i);
	if (!sample->nr_vectors)
		return;
	ring(sample, 0);
	usleep_range(RAGE_US, 2 * RAGE_US);
}

static void sample_remove(struct ivshmem_node *node)
{
	struct sample *sample = dev_get_drvdata(ivshmem_node_dev(node));
	bool keep = READ_ONCE(keep_handlers);
	unsigned int i;

	WRITE_ONCE(sample->stopped, true);
	WRITE_ONCE(sample->removed, keep);
	for (i = 0; i < sample->nr_vectors && !keep; i++)
		ivshmem_node_free_vector(node, i);
	synchronize_rcu(); /* from here on no handler queues work */
	sample_stop(sample);
	cancel_delayed_work_sync(&sample->intruder);
	if (keep)
		sample_rage(sample);
}

/* A reset may be over only for those who know that it has begun. */
static int unprepared;
module_param(unprepared, int, 0444);

static void sample_notify(struct ivshmem_node *node, enum ivshmem_event event)
{
	struct sample *sample = dev_get_drvdata(ivshmem_node_dev(node));

	switch (event) {
	case IVSHMEM_EVENT_UNREGISTER:
		sample_stop(sample);
		sample_bid_farewell(sample);
		break;
	case IVSHMEM_EVENT_RESET_PREPARE:
		sample_stop(sample);
		schedule_delayed_work(&sample->intruder, 0);
		break;
	case IVSHMEM_EVENT_RESET_DONE:
		cancel_delayed_work_sync(&sample->intruder);
		sample->resets++;
		unprepared += !sample->stopped;
		sample_start(sample);
		break;
	case IVSHMEM_EVENT_PEERS:
		sample->news++;
		break;
	case IVSHMEM_EVENT_LABEL:
		break;
	}
}

static ssize_t echoes_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct sample *sample = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", atomic_read(&sample->echoes));
}
static DEVICE_ATTR_RO(echoes);

static ssize_t resets_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct sample *sample = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", sample->resets);
}
static DEVICE_ATTR_RO(resets);

static ssize_t news_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct sample *sample = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", sample->news);
}
static DEVICE_ATTR_RO(news);

/* How many peers there are, or a negative errno; and in *@own the slot of this machine, or -1. */
static int count_peers(struct sample *sample, int *own)
{
	struct ivshmem_node *node = sample->node;
	struct ivshmem_peer_info *peers;
	int i, nr, idx;

	*own = -1;
	peers = kvcalloc(MAX_PEERS, sizeof(*peers), GFP_KERNEL);
	if (!peers)
		return -ENOMEM;
	nr = ivshmem_node_begin(node, &idx);
	if (!nr) {
		nr = ivshmem_node_peers(node, peers, MAX_PEERS);
		ivshmem_node_end(node, idx);
	}
	for (i = 0; i < nr; i++) {
		set_bit(peers[i].slot, sample->known);
		if (peers[i].flags & IVSHMEM_PEER_SELF)
			*own = peers[i].slot;
	}
	kvfree(peers);
	return nr;
}

static ssize_t peers_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct sample *sample = dev_get_drvdata(dev);
	int own, nr = count_peers(sample, &own);

	return sysfs_emit(buf, "%d\n", nr);
}
static DEVICE_ATTR_RO(peers);

static ssize_t slot_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct sample *sample = dev_get_drvdata(dev);
	int own;

	count_peers(sample, &own);
	return sysfs_emit(buf, "%d\n", own);
}
static DEVICE_ATTR_RO(slot);

/* How many of those that were seen have fallen silent. */
static ssize_t silent_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct sample *sample = dev_get_drvdata(dev);
	unsigned int slot, nr = 0;
	int ret, idx;

	ret = ivshmem_node_begin(sample->node, &idx);
	if (ret)
		return ret;
	for_each_set_bit(slot, sample->known, MAX_PEERS)
		nr += ivshmem_node_peer_is_silent(sample->node, slot);
	ivshmem_node_end(sample->node, idx);
	return sysfs_emit(buf, "%u\n", nr);
}
static DEVICE_ATTR_RO(silent);

/* What identifies the node on all machines. */
static ssize_t identity_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct sample *sample = dev_get_drvdata(dev);
	u8 uuid[16];
	int ret = ivshmem_node_label(sample->node, uuid);

	return ret ? ret : sysfs_emit(buf, "%u of %pUb\n", ivshmem_node_number(sample->node),
				      uuid);
}
static DEVICE_ATTR_RO(identity);

/* Do to the node what the kernel does when the machine reboots. */
static ssize_t shutdown_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	device_lock(dev);
	dev->bus->shutdown(dev);
	device_unlock(dev);
	return count;
}
static DEVICE_ATTR_WO(shutdown);

static struct attribute *sample_attrs[] = {
	&dev_attr_identity.attr,
	&dev_attr_news.attr,
	&dev_attr_peers.attr,
	&dev_attr_silent.attr,
	&dev_attr_slot.attr,
	&dev_attr_echoes.attr,
	&dev_attr_resets.attr,
	&dev_attr_shutdown.attr,
	NULL
};
ATTRIBUTE_GROUPS(sample);

static struct ivshmem_driver sample_driver = {
	.driver.name = "ivshmem_sample",
	.driver.dev_groups = sample_groups,
	.type = "sample",
	.probe = sample_probe,
	.remove = sample_remove,
	.notify = sample_notify,
};

static int __init sample_init(void)
{
	return ivshmem_driver_register(&sample_driver, THIS_MODULE);
}
module_init(sample_init);

static void __exit sample_exit(void)
{
	ivshmem_driver_unregister(&sample_driver);
}
module_exit(sample_exit);

MODULE_DESCRIPTION("Sample driver of ivshmem nodes, for tests");
MODULE_AUTHOR("The ivshmem authors");
MODULE_LICENSE("GPL");
MODULE_ALIAS("ivshmem:sample");
MODULE_IMPORT_IVSHMEM();
