// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmem_soft: init and exit of the module, and code common to all its devices
 *
 * The module imports symbols of the module ivshmem, so modprobe loads that first.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/module.h>
#include "compat.h"
#include "soft.h"

/**
 * soft_refuse() - report why a device cannot be created
 * @spec: description of the device; stores the reason
 * @error: a negative errno
 * @format: the reason as for printk(), without a newline
 *
 * Return: @error
 */
int soft_refuse(struct soft_spec *spec, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(spec->reason, sizeof(spec->reason), format, arguments);
	va_end(arguments);
	pr_err("%s: %s\n", spec->name, spec->reason);
	return error;
}

/**
 * soft_prepare() - create a device without registering it
 * @parent: platform device from firmware, or NULL
 * @spec: description of the device
 *
 * Return: the device, for ivshmem_device_register() or soft_drop(); or an ERR_PTR(),
 * with the reason in @spec
 */
struct ivshmem_device *soft_prepare(struct device *parent, struct soft_spec *spec)
{
	struct ivshmem_device *idev;

	spec->reason[0] = '\0';
	if (!spec->size || !PAGE_ALIGNED(spec->size))
		return ERR_PTR(soft_refuse(spec, -EINVAL,
					   "invalid size %llu (expected a nonzero multiple of %lu)",
					   spec->size, PAGE_SIZE));
	if (spec->has_address)
		idev = soft_window_prepare(parent, spec);
	else
		idev = soft_memory_prepare(parent, spec);
	if (IS_ERR(idev) && !spec->reason[0])
		soft_refuse(spec, PTR_ERR(idev), "cannot create device: %ld", PTR_ERR(idev));
	return idev;
}

/**
 * soft_drop() - undo soft_prepare()
 * @idev: never registered, or unregistered
 */
void soft_drop(struct ivshmem_device *idev)
{
	if (ivshmem_device_transport(idev) == &soft_memory_transport)
		soft_memory_drop(idev);
	else
		soft_window_drop(idev);
}

/**
 * soft_create() - create and register a device
 * @parent: platform device from firmware, or NULL
 * @spec: description of the device
 *
 * Return: the device; or an ERR_PTR(), with the reason in @spec
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
	return ERR_PTR(soft_refuse(spec, ret, "cannot register device: %d", ret));
}

/**
 * soft_destroy() - unregister and free a device
 * @idev: registered; all mappings of it are zapped on return
 */
void soft_destroy(struct ivshmem_device *idev)
{
	ivshmem_device_unregister(idev);
	soft_drop(idev);
}

/*
 * An open file pins a module, but not while its init fails. So every step that may
 * fail comes before the first node appears; later errors are only logged.
 */
static int __init ivshmem_soft_init(void)
{
	int ret;

	ret = soft_option_prepare();
	if (ret)
		goto err_memory;
	ret = soft_config_init();
	if (ret)
		goto err_option;
	if (!IS_ENABLED(CONFIG_CONFIGFS_FS))
		pr_info("no configfs in this kernel: only firmware and the devices= option create devices\n");
	soft_platform_init();
	soft_option_register();
	return 0;

err_option:
	soft_option_drop();
err_memory:
	soft_memory_exit();
	return ret;
}
module_init(ivshmem_soft_init);

/* No configfs directory is left and no file is open: both pin the module. */
static void __exit ivshmem_soft_exit(void)
{
	soft_config_exit();
	soft_platform_exit();
	soft_option_exit();
	soft_memory_exit();
}
module_exit(ivshmem_soft_exit);

MODULE_DESCRIPTION("Shared memory and doorbells (ivshmem) at a physical address or in software");
MODULE_AUTHOR("The ivshmem authors");
MODULE_LICENSE("GPL");
MODULE_IMPORT_IVSHMEM();
#ifdef IVSHMEM_VERSION
MODULE_VERSION(IVSHMEM_VERSION);
#endif
