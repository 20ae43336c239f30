// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of nodes that uses all of core/client.h: it rings itself without end
 *
 * Each doorbell is handled as NAPI does: the interrupt masks the vector and schedules
 * work, which counts in the shared memory and rings the next vector. The test
 * tests/guest/sample.c unplugs, resets and unloads it meanwhile.
 */
#include <linux/io.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include "client.h"

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
 * @echoes: doorbells passed on
 * @resets: resets seen
 * @nr_vectors: number of @vectors
 * @vectors: the node's vectors, all with a handler
 */
struct sample {
	struct ivshmem_node *node;
	bool stopped;
	atomic_t echoes;
	unsigned int resets;
	unsigned int nr_vectors;
	struct sample_vector vectors[];
};

static void ring_self(struct sample *sample, unsigned int vector)
{
	struct ivshmem_node *node = sample->node;
	u32 __iomem *count;
	int idx;

	if (READ_ONCE(sample->stopped) || ivshmem_node_begin(node, &idx))
		return;
	count = (u32 __iomem __force *)ivshmem_node_memory(node);
	writel(readl(count) + 1, count);
	ivshmem_node_ring(node, ivshmem_node_id(node), vector % sample->nr_vectors);
	ivshmem_node_end(node, idx);
}

/* In the interrupt: leave the rest to work. */
static void sample_handle(void *data)
{
	struct sample_vector *v = data;

	ivshmem_node_mask(v->sample->node, v->number);
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

	sample = kzalloc(struct_size(sample, vectors, nr), GFP_KERNEL);
	if (!sample)
		return -ENOMEM;
	sample->node = node;
	sample->nr_vectors = nr;
	sample->stopped = true;
	ret = sample_request(sample);
	if (ret) {
		kfree(sample);
		return ret;
	}
	dev_set_drvdata(dev, sample);
	dev_info(dev, "%zu bytes, %u vectors, features %llx\n", ivshmem_node_size(node), nr,
		 ivshmem_node_features(node));
	sample_start(sample);
	return 0;
}

static void sample_remove(struct ivshmem_node *node)
{
	struct sample *sample = dev_get_drvdata(ivshmem_node_dev(node));
	unsigned int i;

	WRITE_ONCE(sample->stopped, true);
	for (i = 0; i < sample->nr_vectors; i++)
		ivshmem_node_free_vector(node, i);
	sample_stop(sample);
	kfree(sample);
}

static void sample_notify(struct ivshmem_node *node, enum ivshmem_event event)
{
	struct sample *sample = dev_get_drvdata(ivshmem_node_dev(node));

	switch (event) {
	case IVSHMEM_EVENT_UNREGISTER:
	case IVSHMEM_EVENT_RESET_PREPARE:
		sample_stop(sample);
		break;
	case IVSHMEM_EVENT_RESET_DONE:
		sample->resets++;
		sample_start(sample);
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

static struct attribute *sample_attrs[] = {
	&dev_attr_echoes.attr,
	&dev_attr_resets.attr,
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
