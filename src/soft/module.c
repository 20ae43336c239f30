// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmem_soft: what happens when the module is loaded and unloaded, and what
 * all of its devices have in common
 *
 * It stands on the module ivshmem, whose symbols it imports: loading this one
 * loads that one first.
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include "compat.h"
#include "soft.h"

/**
 * soft_refuse() - say why a device cannot be
 * @spec: what was asked for; its reason is set
 * @error: a negative errno
 * @format: as for printk, without a newline
 *
 * Return: @error
 */
int soft_refuse(struct soft_spec *spec, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(spec->reason, sizeof(spec->reason), format, arguments);
	va_end(arguments);
	pr_err("ivshmem_soft: %s: %s\n", spec->name, spec->reason);
	return error;
}

/**
 * soft_number() - read a number as users write it
 * @text: such as 16M, 0x80000000 or 4096, perhaps with a newline
 * @value: the number
 *
 * memparse() would take one that is too large for another one.
 *
 * Return: 0, -EINVAL or -ERANGE
 */
int soft_number(const char *text, u64 *value)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	const char *unit;
	char copy[32], *digits;
	size_t length;
	int ret;

	if (strscpy(copy, text, sizeof(copy)) < 0)
		return -EINVAL;
	digits = strim(copy);
	length = strlen(digits);
	unit = length ? strchr(units, toupper(digits[length - 1])) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		digits[length - 1] = '\0';
	}
	ret = kstrtoull(digits, 0, value);
	if (ret)
		return ret;
	if (shift && *value >> (64 - shift))
		return -ERANGE;
	*value <<= shift;
	return 0;
}

/**
 * soft_prepare() - make a device, but for its node
 * @parent: what the firmware describes, or NULL
 * @spec: what it is to be
 *
 * Return: the device, to be registered or dropped; or an ERR_PTR(), and @spec has the
 * reason
 */
struct ivshmem_device *soft_prepare(struct device *parent, struct soft_spec *spec)
{
	struct ivshmem_device *idev;

	spec->reason[0] = '\0';
	if (!spec->size || !PAGE_ALIGNED(spec->size))
		return ERR_PTR(soft_refuse(spec, -EINVAL,
					   "size is %llu: give a multiple of %lu bytes",
					   spec->size, PAGE_SIZE));
	if (spec->has_address)
		idev = soft_window_prepare(parent, spec);
	else
		idev = soft_memory_prepare(parent, spec);
	if (IS_ERR(idev) && !spec->reason[0])
		soft_refuse(spec, PTR_ERR(idev), "error %ld", PTR_ERR(idev));
	return idev;
}

/**
 * soft_drop() - undo soft_prepare()
 * @idev: a device that was not registered, or is gone
 */
void soft_drop(struct ivshmem_device *idev)
{
	if (idev->pages)
		soft_memory_drop(idev);
	else
		soft_window_drop(idev);
}

/**
 * soft_create() - make a device, with its node
 * @parent: what the firmware describes, or NULL
 * @spec: what it is to be
 *
 * Return: the device; or an ERR_PTR(), and @spec has the reason
 */
struct ivshmem_device *soft_create(struct device *parent, struct soft_spec *spec)
{
	struct ivshmem_device *idev = soft_prepare(parent, spec);
	int ret;

	if (IS_ERR(idev))
		return idev;
	ret = ivshmem_device_register(idev);
	if (!ret)
		return idev;
	soft_drop(idev);
	return ERR_PTR(soft_refuse(spec, ret, "error %d", ret));
}

/**
 * soft_destroy() - end a device that is registered
 * @idev: the device; its memory is gone for everybody when this returns
 */
void soft_destroy(struct ivshmem_device *idev)
{
	ivshmem_device_unregister(idev);
	soft_drop(idev);
}

/*
 * A file that is open keeps a module, but not one whose init fails. So all that may
 * fail comes before the first thing that somebody could open, and what goes wrong
 * after that is a line in the log.
 */
static int __init ivshmem_soft_init(void)
{
	int ret;

	ret = soft_option_prepare();
	if (ret)
		return ret;
	ret = soft_config_init();
	if (ret) {
		soft_option_drop();
		return ret;
	}
	soft_platform_init();
	soft_option_register();
	return 0;
}
module_init(ivshmem_soft_init);

/* A directory in configfs or an open file keeps the kernel from coming here. */
static void __exit ivshmem_soft_exit(void)
{
	soft_config_exit();
	soft_platform_exit();
	soft_option_exit();
}
module_exit(ivshmem_soft_exit);

MODULE_DESCRIPTION("Shared memory (ivshmem) by its physical address, and in software");
MODULE_AUTHOR("The ivshmem authors");
MODULE_LICENSE("GPL");
MODULE_IMPORT_IVSHMEM();
#ifdef IVSHMEM_VERSION
MODULE_VERSION(IVSHMEM_VERSION);
#endif
