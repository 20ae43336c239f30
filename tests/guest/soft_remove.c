// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device in software is made and removed 200 times, under all kinds of users, and
 * gives its memory back.
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

/* Kilobytes that the kernel has free. */
static long free_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kb = -1;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "MemFree: %ld", &kb);
	if (file)
		fclose(file);
	return kb;
}

int main(void)
{
	const int cycles = rig_cycles(200);
	int failed = 0, missing = 0, left = 0, gone, fd;
	char *map;
	struct users users;
	long before;

	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	tap_eq(system("insmod /lib/ivshmem_soft.ko"), 0, "the module loads");
	before = free_kb();
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
	 * A file that stays open keeps no memory of the region. What the kernel keeps
	 * for the users is less than ten regions of theirs: 24 MB with KCSAN.
	 */
	tap_eq(make("64M"), 0, "a large one");
	fd = dev_open();
	map = dev_map(fd, 64 << 20);
	memset(map, 1, 64 << 20);
	rmdir(CONFIG);
	tap_ok(free_kb() > before - (32 << 10), "its memory is free again: %ld of %ld kB",
	       free_kb(), before);
	refused(ioctl(fd, IVSHMEM_IOC_INFO, NULL), ENODEV, "though a file is open");
	tap_ok(system("rmmod ivshmem_soft 2>/dev/null") != 0, "which keeps the module");
	close(fd);
	tap_ok(system("rmmod ivshmem_soft 2>/dev/null") != 0, "or a mapping");
	munmap(map, 64 << 20);
	tap_eq(system("rmmod ivshmem_soft"), 0, "and no longer");
	module_clean();
	return tap_done();
}
