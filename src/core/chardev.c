// SPDX-License-Identifier: GPL-2.0-only
/*
 * The driver of nodes that makes them character devices, /dev/ivshmemN and /dev/ivshmemNpM
 *
 * Its files and mappings outlive it: when the node is unbound or unplugged, all
 * operations fail and all mappings are zapped, but the structure lives until the last
 * file is closed.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "core.h"
#include "trace.h"

#define MINORS	(IVSHMEM_DEVICES * IVSHMEM_NODES)

static dev_t first_devt;

static struct class chardev_class = {
	.name = "ivshmem",
};

static void chardev_release(struct device *dev)
{
	struct ivshmem_chardev *chardev = container_of(dev, struct ivshmem_chardev, dev);

	ivshmem_sysfs_free(chardev);
	put_device(&chardev->node->dev);
	kfree(chardev);
}

/* The partitions of each device follow the devices. */
static unsigned int node_minor(const struct ivshmem_node *node)
{
	unsigned int device = node->idev->number;

	if (!ivshmem_node_is_partition(node))
		return device;
	return IVSHMEM_DEVICES + device * (IVSHMEM_NODES - 1) + node->number - 1;
}

static struct ivshmem_chardev *chardev_alloc(struct ivshmem_node *node)
{
	struct ivshmem_chardev *chardev = kzalloc(sizeof(*chardev), GFP_KERNEL);

	if (!chardev)
		return NULL;
	get_device(&node->dev);
	chardev->node = node;
	chardev->idev = node->idev;
	device_initialize(&chardev->dev);
	chardev->dev.class = &chardev_class;
	/* Not the node: programs find the transport's device behind the link "device". */
	chardev->dev.parent = node->dev.parent;
	chardev->dev.release = chardev_release;
	chardev->dev.devt = MKDEV(MAJOR(first_devt),
				  MINOR(first_devt) + node_minor(node));
	cdev_init(&chardev->cdev, &ivshmem_fops);
	chardev->cdev.owner = node->idev->transport->owner;
	return chardev;
}

/*
 * End all use. If the device itself is unregistered, that has happened already;
 * otherwise files see the end of the device although it is still there.
 */
static void chardev_quiesce(struct ivshmem_chardev *chardev)
{
	struct ivshmem_device *idev = chardev->idev;

	WRITE_ONCE(chardev->unbound, true);
	if (READ_ONCE(idev->state) == IVSHMEM_UNREGISTERED)
		return;
	smp_mb(); /* pairs with those that listen first and look then */
	wake_up_all(&idev->changed);
	ivshmem_peers_signal(chardev->node);
	/* From here on the files are of no account to the next owner of the node. */
	ivshmem_peers_retire(chardev->node);
	ivshmem_irqs_drop_files(chardev);
	synchronize_srcu(&idev->srcu);
	ivshmem_zap(chardev->node);
}

static int chardev_probe(struct ivshmem_node *node)
{
	struct ivshmem_chardev *chardev = chardev_alloc(node);
	int ret;

	if (!chardev)
		return -ENOMEM;
	ret = dev_set_name(&chardev->dev, "%s", dev_name(&node->dev));
	if (ret)
		goto err_put;
	ret = ivshmem_sysfs_prepare(chardev);
	if (ret)
		goto err_put;
	ret = cdev_device_add(&chardev->cdev, &chardev->dev);
	if (ret)
		goto err_quiesce;
	dev_set_drvdata(&node->dev, chardev);
	return 0;

err_quiesce:
	/* A node from mknod may have been opened before the failure. */
	chardev_quiesce(chardev);
err_put:
	put_device(&chardev->dev);
	return ret;
}

static void chardev_remove(struct ivshmem_node *node)
{
	struct ivshmem_chardev *chardev = dev_get_drvdata(&node->dev);

	chardev_quiesce(chardev);
	cdev_device_del(&chardev->cdev, &chardev->dev);
	put_device(&chardev->dev);
}

/* Rights and links of the node depend on the label, and so do vectors. */
static void chardev_notify(struct ivshmem_node *node, enum ivshmem_event event)
{
	struct ivshmem_chardev *chardev = dev_get_drvdata(&node->dev);

	if (event != IVSHMEM_EVENT_LABEL)
		return;
	ivshmem_sysfs_update(chardev);
	kobject_uevent(&chardev->dev.kobj, KOBJ_CHANGE);
}

static struct ivshmem_driver chardev_driver = {
	.driver.name = "ivshmem_chardev",
	.type = IVSHMEM_TYPE_RAW,
	.probe = chardev_probe,
	.remove = chardev_remove,
	.notify = chardev_notify,
};

/**
 * ivshmem_chardev_resetting() - must operations wait for the end of a reset?
 * @chardev: the character device
 *
 * Return: false if none is going on, or if waiting is in vain
 */
bool ivshmem_chardev_resetting(const struct ivshmem_chardev *chardev)
{
	return READ_ONCE(chardev->idev->state) == IVSHMEM_RESETTING &&
	       !READ_ONCE(chardev->unbound);
}

/**
 * ivshmem_chardev_try() - enter the device unless it is being reset
 * @chardev: the character device
 * @idx: for ivshmem_access_end()
 *
 * Does not sleep.
 *
 * Return: as ivshmem_access_try(); also -ENODEV if unbound
 */
int ivshmem_chardev_try(struct ivshmem_chardev *chardev, int *idx)
{
	int ret;

	if (READ_ONCE(chardev->unbound))
		return -ENODEV;
	ret = ivshmem_access_try(chardev->idev, idx);
	if (ret || !READ_ONCE(chardev->unbound))
		return ret;
	ivshmem_access_end(chardev->idev, *idx);
	return -ENODEV;
}

/**
 * ivshmem_chardev_begin() - enter the device, waiting for the end of a reset
 * @chardev: the character device
 * @idx: for ivshmem_access_end()
 *
 * Return: 0 or -ENODEV as ivshmem_chardev_try(); -EINTR if killed while waiting
 */
int ivshmem_chardev_begin(struct ivshmem_chardev *chardev, int *idx)
{
	struct ivshmem_device *idev = chardev->idev;
	int ret;

	while ((ret = ivshmem_chardev_try(chardev, idx)) == -EAGAIN)
		if (wait_event_killable(idev->changed, !ivshmem_chardev_resetting(chardev)))
			return -EINTR;
	return ret;
}

int __init ivshmem_chardev_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&first_devt, 0, MINORS, "ivshmem");
	if (ret)
		return ret;
	ret = class_register(&chardev_class);
	if (ret)
		goto err_chrdev;
	ret = ivshmem_driver_register(&chardev_driver, THIS_MODULE);
	if (ret)
		goto err_class;
	return 0;

err_class:
	class_unregister(&chardev_class);
err_chrdev:
	unregister_chrdev_region(first_devt, MINORS);
	return ret;
}

void ivshmem_chardev_exit(void)
{
	ivshmem_driver_unregister(&chardev_driver);
	class_unregister(&chardev_class);
	unregister_chrdev_region(first_devt, MINORS);
}
