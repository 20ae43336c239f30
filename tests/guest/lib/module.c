// SPDX-License-Identifier: GPL-2.0-only
/* Loading and unloading the module: see module.h. */
#include <sys/syscall.h>

#include "../module.h"

int module_unload(void)
{
	return result(syscall(SYS_delete_module, "ivshmem", O_NONBLOCK));
}

int module_load(void)
{
	int fd = dev_open_at("/lib/ivshmem.ko", O_RDONLY);
	int ret = result(syscall(SYS_finit_module, fd, "", 0));

	close(fd);
	return ret;
}

int module_references(void)
{
	FILE *file = fopen("/sys/module/ivshmem/refcnt", "r");
	int count = -1;

	if (file && fscanf(file, "%d", &count) != 1)
		count = -1;
	if (file)
		fclose(file);
	return count;
}

bool module_references_become(int count)
{
	int64_t end = now_ns() + 10 * SECOND;

	while (module_references() != count && now_ns() < end)
		sleep_ms(20);
	return module_references() == count;
}

void module_clean(void)
{
	tap_eq(module_references(), 0, "the module has no references");
	tap_eq(module_unload(), 0, "the module can be unloaded");
	tap_eq(file_mentions("/proc/iomem", "ivshmem"), 0, "the unloaded module claims no memory");
	tap_eq(file_mentions("/proc/interrupts", "ivshmem"), 0,
	       "the unloaded module has no interrupt");
	tap_eq(module_load(), 0, "the module can be loaded again");
}
