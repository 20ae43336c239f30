// SPDX-License-Identifier: GPL-2.0-only
/*
 * A software device is created and removed 100 times under all kinds of users, and frees
 * its memory.
 */
/* rig: devices=none modules=configfs mem=384 timeout=400 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "module.h"
#include "users.h"

#define CONFIG "/sys/kernel/config/ivshmem/dev"

static int make(const char *size)
{
	return mkdir(CONFIG, 0755) || file_write(CONFIG "/size", size) ||
	       file_write(CONFIG "/enable", "1");
}

int main(void)
{
	const int cycles = rig_cycles(100);
	int failed = 0, missing = 0, left = 0, gone, fd;
	char *map;
	struct users users;
	long before;

	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	tap_eq(system("insmod /lib/ivshmem_soft.ko"), 0, "the module loads");
	before = meminfo_kb("MemFree");
	for (int i = 0; i < cycles; i++) {
		missing += make("4M") || !file_comes(RIG_DEVICE, true);
		users_start(&users, RIG_DEVICE);
		if (rmdir(CONFIG))
			tap_bail("rmdir: %s", strerror(errno));
		gone = users_end(&users);
		if (gone)
			tap_note("round %d: %d users fail", i, gone);
		failed += gone;
		left += !file_comes(RIG_DEVICE, false);
	}
	tap_eq(failed, 0, "all users see the end of the device");
	tap_eq(missing, 0, "the node appears each of %d times", cycles);
	tap_eq(left, 0, "the node disappears each time");

	/*
	 * An open file must not keep the region's memory. The kernel's own memory has grown
	 * since @before, as many users have run: by 24 MB with KCSAN, so allow 32 MB.
	 */
	tap_eq(make("64M"), 0, "create a device of 64 MiB");
	fd = dev_open();
	map = dev_map(fd, 64 << 20);
	memset(map, 1, 64 << 20);
	rmdir(CONFIG);
	tap_ok(meminfo_kb("MemFree") > before - (32 << 10),
	       "removal frees its memory though a file is open: %ld of %ld kB are free",
	       meminfo_kb("MemFree"), before);
	refused(ioctl(fd, IVSHMEM_IOC_INFO, NULL), ENODEV, "INFO on the open file gives ENODEV");
	tap_ok(system("rmmod ivshmem_soft 2>/dev/null") != 0,
	       "the module cannot be unloaded while the file is open");
	close(fd);
	tap_ok(system("rmmod ivshmem_soft 2>/dev/null") != 0,
	       "the module cannot be unloaded while there is a mapping");
	munmap(map, 64 << 20);
	tap_eq(system("rmmod ivshmem_soft"), 0, "the module can be unloaded afterwards");
	module_clean();
	return tap_done();
}
