// SPDX-License-Identifier: GPL-2.0-only
/* REGION tells the cache attribute that the module parameter cache= asks for. */
/* rig: devices=doorbell insmod=no */
#include <sys/syscall.h>

#include "module.h"

static const struct {
	const char *parameter;
	uint32_t cache;
} modes[] = {
	{ "cache=wb", IVSHMEM_CACHE_WB },
	{ "cache=wc", IVSHMEM_CACHE_WC },
	{ "cache=uc", IVSHMEM_CACHE_UC },
};

static void test_mode(const char *parameter, uint32_t cache)
{
	int fd = dev_open_at("/lib/ivshmem.ko", O_RDONLY);
	struct ivshmem_region memory;

	tap_about(parameter);
	tap_eq(result(syscall(SYS_finit_module, fd, parameter, 0)), 0, "load the module");
	close(fd);
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("no device");
	fd = dev_open();
	memory = dev_region(fd, IVSHMEM_REGION_MEMORY);
	tap_eq(memory.cache, cache, "REGION says so of the memory");
	if (cache != IVSHMEM_CACHE_WB)
		tap_eq(memory.page_sizes, PAGE, "which has no huge pages then");
	tap_eq(dev_region(fd, IVSHMEM_REGION_REGISTERS).cache, IVSHMEM_CACHE_UC,
	       "the register page is uncached");
	close(fd);
	tap_eq(module_unload(), 0, "unload the module");
}

int main(void)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		test_mode(modes[i].parameter, modes[i].cache);
	return tap_done();
}
