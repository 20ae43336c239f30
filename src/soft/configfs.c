// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that the administrator describes in configfs; documented in
 * docs/ABI/configfs-ivshmem
 *
 *	mkdir /sys/kernel/config/ivshmem/cam0
 *	echo 0x80000000 > address; echo 16M > size; echo 1 > enable
 *
 * A directory describes a device, which exists while "enable" is 1. rmdir removes
 * both, even while programs have the device open.
 */
#include <linux/capability.h>
#include <linux/configfs.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/numa.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "soft.h"

/**
 * struct config_device - a directory and its device
 * @item: the directory
 * @lock: protects all fields below; the transport's lock of @idev
 * @spec: description of the device
 * @irq: number of the interrupt, @spec.irqs points here; 0 if none
 * @idev: the device, or NULL while disabled
 */
struct config_device {
	struct config_item item;
	struct mutex lock;	/* see above */
	struct soft_spec spec;
	unsigned int irq;
	struct ivshmem_device *idev;
};

static struct config_device *to_config(struct config_item *item)
{
	return container_of(item, struct config_device, item);
}

/* Change a number of the description; -EBUSY while the device exists, -EPERM as for mkdir. */
static ssize_t change_number(struct config_item *item, u64 value, size_t count,
			     void (*set)(struct config_device *config, u64 value))
{
	struct config_device *config = to_config(item);
	ssize_t ret = count;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	mutex_lock(&config->lock);
	if (config->idev)
		ret = -EBUSY;
	else
		set(config, value);
	mutex_unlock(&config->lock);
	return ret;
}

static ssize_t store_number(struct config_item *item, const char *text,
			    size_t count, u64 max,
			    void (*set)(struct config_device *config, u64 value))
{
	u64 value;
	int ret = ivshmem_parse_number(text, &value);

	if (ret)
		return ret;
	if (value > max)
		return -ERANGE;
	return change_number(item, value, count, set);
}

static void set_address(struct config_device *config, u64 value)
{
	config->spec.address = value;
	config->spec.has_address = true;
}

static void set_size(struct config_device *config, u64 value)
{
	config->spec.size = value;
}

static void set_irq(struct config_device *config, u64 value)
{
	config->irq = value;
	config->spec.nr_irqs = value != 0;
}

static void set_doorbell(struct config_device *config, u64 value)
{
	config->spec.doorbell = value;
	config->spec.has_doorbell = value != 0;
}

static void set_vectors(struct config_device *config, u64 value)
{
	config->spec.vectors = value;
	config->spec.has_vectors = true;
}

static void set_node(struct config_device *config, u64 value)
{
	config->spec.node = value;
}

#define DEVICE_SHOW(name, format, value)					\
static ssize_t device_##name##_show(struct config_item *item, char *page)	\
{										\
	struct config_device *config = to_config(item);				\
	ssize_t length;								\
										\
	mutex_lock(&config->lock);						\
	length = sprintf(page, format "\n", value);				\
	mutex_unlock(&config->lock);						\
	return length;								\
}

#define DEVICE_STORE(name, max)						\
static ssize_t device_##name##_store(struct config_item *item,			\
				     const char *page, size_t count)		\
{										\
	return store_number(item, page, count, max, set_##name);		\
}

DEVICE_SHOW(address, "0x%llx", config->spec.address)
DEVICE_STORE(address, U64_MAX)
CONFIGFS_ATTR(device_, address);

DEVICE_SHOW(size, "%llu", config->spec.size)
DEVICE_STORE(size, U64_MAX)
CONFIGFS_ATTR(device_, size);

DEVICE_SHOW(irq, "%u", config->irq)
DEVICE_STORE(irq, UINT_MAX)
CONFIGFS_ATTR(device_, irq);

DEVICE_SHOW(doorbell, "0x%llx", config->spec.doorbell)
DEVICE_STORE(doorbell, U64_MAX)
CONFIGFS_ATTR(device_, doorbell);

DEVICE_SHOW(vectors, "%u", config->spec.vectors)
DEVICE_STORE(vectors, IVSHMEM_MAX_VECTORS)
CONFIGFS_ATTR(device_, vectors);

/* The only number that may be negative. */
static ssize_t device_node_store(struct config_item *item, const char *page, size_t count)
{
	int value, ret = kstrtoint(page, 0, &value);

	return ret ? ret : change_number(item, value, count, set_node);
}

DEVICE_SHOW(node, "%d", config->spec.node)
CONFIGFS_ATTR(device_, node);

static int config_enable(struct config_device *config)
{
	struct ivshmem_device *idev;

	lockdep_assert_held(&config->lock);
	if (!capable(CAP_SYS_ADMIN)) {
		/* Without a line in the log, which would be theirs to fill. */
		strscpy(config->spec.reason, "enable requires CAP_SYS_ADMIN",
			sizeof(config->spec.reason));
		return -EPERM;
	}
	if (config->idev)
		return 0;
	/* The same capability as for /dev/mem. */
	if (config->spec.has_address && !capable(CAP_SYS_RAWIO))
		return soft_refuse(&config->spec, -EPERM,
				   "memory at an address requires CAP_SYS_RAWIO");
	idev = soft_create(NULL, &config->spec);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	config->idev = idev;
	return 0;
}

static void config_disable(struct config_device *config)
{
	lockdep_assert_held(&config->lock);
	if (config->idev)
		soft_destroy(config->idev);
	config->idev = NULL;
}

static ssize_t device_enable_store(struct config_item *item, const char *page,
				   size_t count)
{
	struct config_device *config = to_config(item);
	bool wanted;
	int ret = kstrtobool(page, &wanted);

	if (ret)
		return ret;
	mutex_lock(&config->lock);
	if (wanted)
		ret = config_enable(config);
	else if (capable(CAP_SYS_ADMIN))
		config_disable(config);
	else
		ret = -EPERM;
	mutex_unlock(&config->lock);
	return ret ? ret : count;
}

DEVICE_SHOW(enable, "%d", !!config->idev)
CONFIGFS_ATTR(device_, enable);

DEVICE_SHOW(device, "%s", config->idev ? ivshmem_device_name(config->idev) : "")
CONFIGFS_ATTR_RO(device_, device);

DEVICE_SHOW(reason, "%s", config->spec.reason)
CONFIGFS_ATTR_RO(device_, reason);

static struct configfs_attribute *device_attrs[] = {
	&device_attr_address,
	&device_attr_size,
	&device_attr_irq,
	&device_attr_doorbell,
	&device_attr_vectors,
	&device_attr_node,
	&device_attr_enable,
	&device_attr_device,
	&device_attr_reason,
	NULL
};

/* The last reference was dropped; configfs has freed the name already. */
static void device_release(struct config_item *item)
{
	kfree(to_config(item));
}

static struct configfs_item_operations device_item_ops = {
	.release = device_release,
};

static const struct config_item_type device_type = {
	.ct_owner = THIS_MODULE,
	.ct_item_ops = &device_item_ops,
	.ct_attrs = device_attrs,
};

/* mkdir */
static struct config_item *make_directory(struct config_group *group, const char *name)
{
	struct config_device *config;

	if (!capable(CAP_SYS_ADMIN))
		return ERR_PTR(-EPERM);
	config = kzalloc(sizeof(*config), GFP_KERNEL);
	if (!config)
		return ERR_PTR(-ENOMEM);
	mutex_init(&config->lock);
	config_item_init_type_name(&config->item, name, &device_type);
	config->spec.name = config_item_name(&config->item);
	if (!config->spec.name) {	/* the allocation of a long name failed */
		kfree(config);
		return ERR_PTR(-ENOMEM);
	}
	config->spec.vectors = SOFT_DEFAULT_VECTORS;
	config->spec.node = NUMA_NO_NODE;
	config->spec.irqs = &config->irq;
	return &config->item;
}

/* rmdir. An open file in the directory keeps the description, but not the device. */
static void drop_directory(struct config_group *group, struct config_item *item)
{
	struct config_device *config = to_config(item);

	mutex_lock(&config->lock);
	config_disable(config);
	mutex_unlock(&config->lock);
	config_item_put(item);
}

static struct configfs_group_operations devices_group_ops = {
	.make_item = make_directory,
	.drop_item = drop_directory,
};

static const struct config_item_type devices_type = {
	.ct_owner = THIS_MODULE,
	.ct_group_ops = &devices_group_ops,
};

static struct configfs_subsystem soft_subsystem = {
	.su_group.cg_item = {
		.ci_namebuf = "ivshmem",
		.ci_type = &devices_type,
	},
};

int __init soft_config_init(void)
{
	config_group_init(&soft_subsystem.su_group);
	mutex_init(&soft_subsystem.su_mutex);
	return configfs_register_subsystem(&soft_subsystem);
}

void soft_config_exit(void)
{
	configfs_unregister_subsystem(&soft_subsystem);
	mutex_destroy(&soft_subsystem.su_mutex);
}
