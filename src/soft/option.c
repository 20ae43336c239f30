// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices that the module option describes; they exist while the module is loaded
 *
 *	devices=cam0:16M@0x80000000:irq=9:doorbell=0xfebf000c,scratch:1M:vectors=8:node=0
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/numa.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "soft.h"

#define MAX_DEVICES	16
#define SYNTAX		"NAME:SIZE[@ADDRESS][:irq=N][:doorbell=ADDRESS][:vectors=N][:node=N]"

static char *devices[MAX_DEVICES];
static unsigned int nr_devices;
module_param_array(devices, charp, &nr_devices, 0444);
MODULE_PARM_DESC(devices,
		 "Devices to create, separated by commas: " SYNTAX
		 "; without ADDRESS in kernel-allocated memory");

static struct ivshmem_device *made[MAX_DEVICES];
static unsigned int nr_made;

static int parse_range(char *word, struct soft_spec *spec)
{
	const char *size = strsep(&word, "@");
	int ret = ivshmem_parse_number(size, &spec->size);

	if (ret || !word)
		return ret;
	spec->has_address = true;
	return ivshmem_parse_number(word, &spec->address);
}

static int parse_word(char *word, struct soft_spec *spec, unsigned int *irq)
{
	char *value = strchr(word, '=');

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (!strcmp(word, "irq")) {
		spec->irqs = irq;
		spec->nr_irqs = 1;
		return kstrtouint(value, 0, irq);
	}
	if (!strcmp(word, "vectors")) {
		spec->has_vectors = true;
		return kstrtouint(value, 0, &spec->vectors);
	}
	if (!strcmp(word, "node"))
		return kstrtoint(value, 0, &spec->node);
	if (strcmp(word, "doorbell"))
		return -EINVAL;
	spec->has_doorbell = true;
	return ivshmem_parse_number(value, &spec->doorbell);
}

static int parse_device(char *text, struct soft_spec *spec, unsigned int *irq)
{
	char *word;
	int ret;

	spec->name = strsep(&text, ":");
	word = strsep(&text, ":");
	if (!*spec->name || !word)
		return -EINVAL;
	ret = parse_range(word, spec);
	while (!ret && (word = strsep(&text, ":")))
		ret = parse_word(word, spec, irq);
	return ret;
}

static int prepare_option(const char *text)
{
	struct soft_spec spec = { .vectors = SOFT_DEFAULT_VECTORS, .node = NUMA_NO_NODE };
	char *copy = kstrdup(text, GFP_KERNEL);
	struct ivshmem_device *idev;
	unsigned int irq;
	int ret;

	if (!copy)
		return -ENOMEM;
	ret = parse_device(copy, &spec, &irq);
	if (ret) {
		pr_err("invalid device \"%s\" (expected " SYNTAX ")\n", text);
	} else {
		idev = soft_prepare(NULL, &spec);
		ret = PTR_ERR_OR_ZERO(idev);
		if (!ret)
			made[nr_made++] = idev;
	}
	kfree(copy);
	return ret;
}

/* Prepare all devices, or none: loading the module then fails. */
int __init soft_option_prepare(void)
{
	unsigned int i;
	int ret;

	for (i = 0; i < nr_devices; i++) {
		ret = prepare_option(devices[i]);
		if (ret) {
			soft_option_drop();
			return ret;
		}
	}
	return 0;
}

/* No device has been registered yet. */
void __init soft_option_drop(void)
{
	while (nr_made)
		soft_drop(made[--nr_made]);
}

/* Called once module init can no longer fail, so drop a device that fails. */
void __init soft_option_register(void)
{
	unsigned int i, kept = 0;
	int ret;

	for (i = 0; i < nr_made; i++) {
		ret = ivshmem_device_register(made[i]);
		if (!ret) {
			made[kept++] = made[i];
			continue;
		}
		pr_err("%s: cannot register device: %d\n", devices[i], ret);
		soft_drop(made[i]);
	}
	nr_made = kept;
}

void soft_option_exit(void)
{
	while (nr_made)
		soft_destroy(made[--nr_made]);
}
