// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that firmware describes in a device tree or ACPI (PRP0001); the binding
 * is docs/devicetree/ivshmem,shared-memory.yaml
 *
 * The kernel creates no platform devices for nodes in /reserved-memory, except for
 * a few compatibles of its own, so the module creates those for its nodes.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/io.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/of.h>
#include <linux/of_address.h>
#include <linux/of_platform.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/slab.h>
#include "soft.h"

#define COMPATIBLE	"ivshmem,shared-memory"

static const struct of_device_id platform_ids[] = {
	{ .compatible = COMPATIBLE },
	{ }
};
MODULE_DEVICE_TABLE(of, platform_ids);

static void set_region(struct soft_spec *spec, const struct resource *resource)
{
	spec->has_address = true;
	spec->address = resource->start;
	spec->size = resource_size(resource);
}

/* memory-region may describe the region; then the first reg is the doorbell. */
static int find_memory(struct platform_device *pdev, struct soft_spec *spec)
{
	struct device_node *node = of_parse_phandle(pdev->dev.of_node, "memory-region", 0);
	struct resource region, *resource;
	unsigned int index = 0;
	int ret;

	if (node) {
		ret = of_address_to_resource(node, 0, &region);
		of_node_put(node);
		if (ret)
			return ret;
		set_region(spec, &region);
	} else {
		resource = platform_get_resource(pdev, IORESOURCE_MEM, index++);
		if (!resource)
			return -ENODEV;
		set_region(spec, resource);
	}
	resource = platform_get_resource(pdev, IORESOURCE_MEM, index);
	if (resource) {
		spec->has_doorbell = true;
		spec->doorbell = resource->start;
	}
	return 0;
}

static int find_irqs(struct platform_device *pdev, struct soft_spec *spec)
{
	int i, irq, count = platform_irq_count(pdev);
	unsigned int *irqs;

	if (count <= 0)
		return count;
	irqs = devm_kcalloc(&pdev->dev, count, sizeof(*irqs), GFP_KERNEL);
	if (!irqs)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		irq = platform_get_irq(pdev, i);
		if (irq < 0)
			return irq;
		irqs[i] = irq;
	}
	spec->irqs = irqs;
	spec->nr_irqs = count;
	return 0;
}

/* Called by the driver core at unbind, under the device_lock. */
static void platform_end(void *idev)
{
	soft_destroy(idev);
}

static int platform_probe(struct platform_device *pdev)
{
	struct soft_spec spec = { .name = dev_name(&pdev->dev), .node = NUMA_NO_NODE };
	struct ivshmem_device *idev;
	int ret;

	/* Even in a locked-down kernel, driver_override brings any device here. */
	ret = device_property_match_string(&pdev->dev, "compatible", COMPATIBLE);
	if (ret < 0) {
		dev_err(&pdev->dev, "not compatible with " COMPATIBLE "\n");
		return -ENODEV;
	}
	ret = find_memory(pdev, &spec);
	if (ret) {
		dev_err(&pdev->dev, "no valid reg or memory-region property: %d\n", ret);
		return ret;
	}
	ret = find_irqs(pdev, &spec);
	if (ret)
		return ret;
	idev = soft_create(&pdev->dev, &spec);
	if (IS_ERR(idev))
		return PTR_ERR(idev);
	return devm_add_action_or_reset(&pdev->dev, platform_end, idev);
}

static struct platform_driver platform_driver = {
	.probe = platform_probe,
	.driver = {
		.name = "ivshmem_soft",
		.of_match_table = platform_ids,
	},
};

/* Parent of the devices created here; NULL if the driver is not registered. */
static struct device *reserved_root;

/* Create a device for each of our nodes in /reserved-memory that has none yet. */
static void make_reserved(void)
{
	struct device_node *parent, *node;

	/* 5.10 has no of_platform_device_create() without this option, not even a stub. */
	if (!IS_ENABLED(CONFIG_OF_ADDRESS))
		return;
	parent = of_find_node_by_path("/reserved-memory");
	if (!parent)
		return;
	for_each_available_child_of_node(parent, node)
		if (of_match_node(platform_ids, node))
			of_platform_device_create(node, NULL, reserved_root);
	of_node_put(parent);
}

static int drop_reserved(struct device *dev, void *data)
{
	of_node_clear_flag(dev->of_node, OF_POPULATED);
	platform_device_unregister(to_platform_device(dev));
	return 0;
}

/* Called once module init can no longer fail, so errors are only logged. */
void __init soft_platform_init(void)
{
	int ret;

	reserved_root = root_device_register("ivshmem_soft");
	ret = PTR_ERR_OR_ZERO(reserved_root);
	if (ret)
		goto err_root;
	ret = platform_driver_register(&platform_driver);
	if (ret)
		goto err_driver;
	make_reserved();
	return;

err_driver:
	root_device_unregister(reserved_root);
err_root:
	reserved_root = NULL;
	pr_err("cannot create devices described by firmware: %d\n", ret);
}

void soft_platform_exit(void)
{
	if (!reserved_root)
		return;
	device_for_each_child(reserved_root, NULL, drop_reserved);
	platform_driver_unregister(&platform_driver);
	root_device_unregister(reserved_root);
}
