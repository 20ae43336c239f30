// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bus "ivshmem": nodes on one side, their drivers on the other
 *
 * A driver is bound to nodes of its type, or to those whose attribute driver_override
 * names it. No two drivers are bound to a node at once, so a module that owns a node
 * shares it with no program.
 */
#include <linux/device.h>
#include <linux/pm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include "core.h"
#include "trace.h"

/* Protects driver_override of all nodes: drivers are matched without the device_lock. */
static DEFINE_SPINLOCK(override_lock);

static struct ivshmem_driver *to_driver(const struct device_driver *drv)
{
	return container_of(drv, struct ivshmem_driver, driver);
}

static int bus_match(struct device *dev, BUS_MATCH_CONST struct device_driver *drv)
{
	const struct ivshmem_node *node = to_ivshmem_node(dev);
	const char *type = to_driver(drv)->type;
	bool match;

	spin_lock(&override_lock);
	if (node->driver_override)
		match = !strcmp(node->driver_override, drv->name);
	else
		match = type && !strcmp(type, node->part.type);
	spin_unlock(&override_lock);
	return match;
}

/* For udev, which loads the module with this alias. */
static int bus_uevent(BUS_UEVENT_CONST struct device *dev, struct kobj_uevent_env *env)
{
	return add_uevent_var(env, "MODALIAS=ivshmem:%s",
			      to_ivshmem_node(dev)->part.type);
}

static int driver_probe(struct device *dev)
{
	struct ivshmem_node *node = to_ivshmem_node(dev);
	struct ivshmem_driver *drv = to_driver(dev->driver);

	node->error = drv->probe(node);
	if (node->error)
		ivshmem_handlers_free(node);
	else if (node->stage != IVSHMEM_EVENT_RESET_DONE && drv->notify)
		drv->notify(node, node->stage);
	return node->error;
}

static int driver_remove(struct device *dev)
{
	struct ivshmem_node *node = to_ivshmem_node(dev);

	to_driver(dev->driver)->remove(node);
	ivshmem_handlers_free(node);
	return 0;
}

/**
 * ivshmem_node_notify() - notify the driver of a node
 * @node: registered
 * @event: what happens
 *
 * A driver that is bound between this and what follows is told by driver_probe().
 */
void ivshmem_node_notify(struct ivshmem_node *node, enum ivshmem_event event)
{
	struct ivshmem_driver *drv;

	device_lock(&node->dev);
	if (event <= IVSHMEM_EVENT_RESET_DONE)
		node->stage = event;
	if (node->dev.driver) {
		drv = to_driver(node->dev.driver);
		if (drv->notify)
			drv->notify(node, event);
	}
	device_unlock(&node->dev);
}

/**
 * ivshmem_driver_register() - register a driver of nodes
 * @drv: the driver
 * @owner: THIS_MODULE
 *
 * Nodes that the driver matches are bound to it
 * before this returns.
 *
 * Return: 0 or a negative errno
 */
int ivshmem_driver_register(struct ivshmem_driver *drv, struct module *owner)
{
	drv->driver.bus = &ivshmem_bus;
	drv->driver.owner = owner;
	drv->driver.probe = driver_probe;
	drv->driver.remove = driver_remove;
	drv->driver.probe_type = PROBE_FORCE_SYNCHRONOUS;
	return driver_register(&drv->driver);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_driver_register);

/**
 * ivshmem_driver_unregister() - unbind all nodes from a driver and unregister it
 * @drv: registered
 */
void ivshmem_driver_unregister(struct ivshmem_driver *drv)
{
	driver_unregister(&drv->driver);
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_driver_unregister);

static ssize_t type_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", to_ivshmem_node(dev)->part.type);
}
static DEVICE_ATTR_RO(type);

static ssize_t modalias_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "ivshmem:%s\n", to_ivshmem_node(dev)->part.type);
}
static DEVICE_ATTR_RO(modalias);

/**
 * ivshmem_node_is_overridden() - does driver_override choose the driver?
 * @node: on the bus
 *
 * Return: true if it names one, which need not exist
 */
bool ivshmem_node_is_overridden(struct ivshmem_node *node)
{
	bool overridden;

	spin_lock(&override_lock);
	overridden = node->driver_override;
	spin_unlock(&override_lock);
	return overridden;
}

static ssize_t driver_override_show(struct device *dev, struct device_attribute *attr,
				    char *buf)
{
	ssize_t n;

	spin_lock(&override_lock);
	n = sysfs_emit(buf, "%s\n", to_ivshmem_node(dev)->driver_override ?: "");
	spin_unlock(&override_lock);
	return n;
}

/* A name without a driver keeps all drivers away; an empty one ends the override. */
static ssize_t driver_override_store(struct device *dev, struct device_attribute *attr,
				     const char *buf, size_t count)
{
	size_t length = strcspn(buf, "\n");
	char *name = NULL;

	if (count >= PAGE_SIZE - 1)	/* as much as show() can give */
		return -EINVAL;
	if (length) {
		name = kstrndup(buf, length, GFP_KERNEL);
		if (!name)
			return -ENOMEM;
	}
	spin_lock(&override_lock);
	swap(name, to_ivshmem_node(dev)->driver_override);
	spin_unlock(&override_lock);
	kfree(name);
	return count;
}
static DEVICE_ATTR_RW(driver_override);

static struct attribute *node_attrs[] = {
	&dev_attr_type.attr,
	&dev_attr_modalias.attr,
	&dev_attr_driver_override.attr,
	NULL
};

static const struct attribute_group node_group = {
	.attrs = node_attrs,
};

static const struct attribute_group *node_groups[] = {
	&node_group,
	&ivshmem_partitions_group,
	NULL
};

/*
 * The machine resumes from sleep; the transport has resumed already. Doorbells were
 * lost meanwhile, so every vector is signalled once and programs look at the memory again.
 */
static int __maybe_unused bus_resume(struct device *dev)
{
	struct ivshmem_node *node = to_ivshmem_node(dev);

	trace_ivshmem_resume(node->idev->number);
	ivshmem_peers_signal(node);
	return 0;
}

static SIMPLE_DEV_PM_OPS(bus_pm_ops, NULL, bus_resume);

/*
 * The machine reboots or powers off; called with the locks of the node and its parent
 * held. Users get ENODEV, and no interrupt comes in any more: the next kernel, booted by
 * kexec, would not know what to do with it.
 */
static void bus_shutdown(struct device *dev)
{
	ivshmem_device_shutdown(to_ivshmem_node(dev));
}

struct bus_type ivshmem_bus = {
	.name = "ivshmem",
	.dev_groups = node_groups,
	.match = bus_match,
	.uevent = bus_uevent,
	.shutdown = bus_shutdown,
	.pm = &bus_pm_ops,
};

int __init ivshmem_bus_init(void)
{
	return bus_register(&ivshmem_bus);
}

void ivshmem_bus_exit(void)
{
	bus_unregister(&ivshmem_bus);
}
