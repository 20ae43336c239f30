// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmem: init and exit of the module, and its parameters
 *
 * insmod and modprobe call ivshmem_init(): it creates the bus and the character
 * device driver, and registers the PCI driver. The PCI core then calls probe in
 * pci.c for each device, now or at hotplug. rmmod calls
 * ivshmem_exit(), but only while no node is open or mapped.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pseudo_fs.h>
#include "core.h"
#include "../pci/pci.h"

#define IVSHMEM_FS_MAGIC	0x6976736d	/* "ivsm" */

const char * const ivshmem_cache_names[] = { "wb", "wc", "uc" };
unsigned int ivshmem_cache = IVSHMEM_CACHE_WB;
bool ivshmem_map_registers = true;
bool ivshmem_kvmfr_ioctls;

static int cache_set(const char *val, const struct kernel_param *kp)
{
	int cache = sysfs_match_string(ivshmem_cache_names, val);

	if (cache < 0) {
		pr_err("invalid cache mode \"%s\" (expected wb, wc or uc)\n", val);
		return -EINVAL;
	}
	ivshmem_cache = cache;
	return 0;
}

static int cache_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", ivshmem_cache_names[ivshmem_cache]);
}

static const struct kernel_param_ops cache_ops = {
	.set = cache_set,
	.get = cache_get,
};

module_param_cb(cache, &cache_ops, NULL, 0444);
MODULE_PARM_DESC(cache, "Cache attribute of regions: wb (write-back, default), wc (write-combining) or uc (uncached)");

module_param_cb(pages, &ivshmem_pages_ops, NULL, 0644);
MODULE_PARM_DESC(pages, "Struct pages for PCI devices and windows, as they are bound: "
		 IVSHMEM_PAGES_SYNTAX " (default: auto)");

/*
 * A mapping rings without a system call. It is on by default because it grants
 * nothing new: with MSI-X the page has only the IVPosition and Doorbell registers,
 * and a program that opens the node for writing may ring any peer by ioctl.
 */
module_param_named(map_registers, ivshmem_map_registers, bool, 0444);
MODULE_PARM_DESC(map_registers, "Let programs that open a device for reading and writing map the register page, to ring without a system call (default: Y)");

module_param_cb(poll_us, &ivshmem_poll_us_ops, &ivshmem_poll_us, 0644);
MODULE_PARM_DESC(poll_us, "Microseconds between two looks at polled doorbells while they are wanted, 200 to 10000 (default: 1000)");

module_param_named(kvmfr, ivshmem_kvmfr_ioctls, bool, 0444);
MODULE_PARM_DESC(kvmfr, "Answer the ioctls of kvmfr as well, for Looking Glass (default: N)");

/*
 * A node can exist in several places (containers, mknod), each with its own inode.
 * To find all mappings of a device, they are kept in one inode per device, from an
 * internal file system.
 */
static struct vfsmount *ivshmem_mnt;

static int ivshmem_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, IVSHMEM_FS_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: the mount lives as long as the module and must not pin it. */
static struct file_system_type ivshmem_fs = {
	.name = "ivshmem",
	.init_fs_context = ivshmem_fs_init_context,
	.kill_sb = kill_anon_super,
};

struct inode *ivshmem_inode_new(void)
{
	return alloc_anon_inode(ivshmem_mnt->mnt_sb);
}

static int __init ivshmem_init(void)
{
	int ret;

	ret = ivshmem_event_init();
	if (ret)
		return ret;
	ret = ivshmem_slots_init();
	if (ret)
		goto err_event;
	ivshmem_mnt = kern_mount(&ivshmem_fs);
	if (IS_ERR(ivshmem_mnt)) {
		ret = PTR_ERR(ivshmem_mnt);
		goto err_slots;
	}
	ret = ivshmem_pages_init();
	if (ret)
		goto err_mount;
	ret = ivshmem_bus_init();
	if (ret)
		goto err_pages;
	ret = ivshmem_chardev_init();
	if (ret)
		goto err_bus;
	ret = ivshmem_pci_init();
	if (ret)
		goto err_chardev;
	return 0;

err_chardev:
	ivshmem_chardev_exit();
err_bus:
	ivshmem_bus_exit();
err_pages:
	ivshmem_pages_exit();
err_mount:
	kern_unmount(ivshmem_mnt);
err_slots:
	ivshmem_slots_exit();
err_event:
	ivshmem_event_exit();
	return ret;
}
module_init(ivshmem_init);

static void __exit ivshmem_exit(void)
{
	ivshmem_pci_exit();
	ivshmem_chardev_exit();
	ivshmem_bus_exit();
	ivshmem_pages_exit();
	kern_unmount(ivshmem_mnt);
	ivshmem_slots_exit();
	ivshmem_event_exit();
}
module_exit(ivshmem_exit);

MODULE_DESCRIPTION("Shared memory and doorbells between virtual machines (ivshmem)");
MODULE_AUTHOR("The ivshmem authors");
MODULE_LICENSE("GPL");
#ifdef IVSHMEM_VERSION
MODULE_VERSION(IVSHMEM_VERSION);
#endif
