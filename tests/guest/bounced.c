// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware that cannot reach all memory imports a dma-buf: the kernel copies what it transfers
 * (swiotlb), a short segment at a time, though the hardware would take longer ones.
 */
/* rig: devices=plain size=4M modargs=pages=yes append=swiotlb=force */
#include <linux/dma-buf.h>

#include "dev.h"
#include "hardware.h"
#include "pattern.h"

#define SIZE (1UL << 20)

static void test_import(const char *kind, unsigned long command)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
	int fd = dev_open(), buffer = buffer_export(fd, 0, SIZE), importer;
	char *map = dev_map(fd, SIZE);

	tap_about(kind);
	pattern_write(map, SIZE, command);
	importer = hardware_map(buffer, command);
	tap_eq(importer < 0 ? importer : 0, 0, "hardware imports 1 MiB");
	tap_ok(hardware_reads(importer, map, SIZE), "it reads what programs wrote");
	tap_eq(pwrite(importer, "hello", 5, SIZE - 5), 5, "it writes");
	tap_eq(result(ioctl(buffer, DMA_BUF_IOCTL_SYNC, &sync)), 0, "SYNC");
	tap_ok(!memcmp(map + SIZE - 5, "hello", 5), "programs read that");
	close(importer);
	munmap(map, SIZE);
	close(buffer);
	close(fd);
}

int main(void)
{
	if (!hardware_exists()) {
		tap_skip("hardware imports", "this kernel has no dma-bufs");
		return tap_done();
	}
	tap_eq(hardware_load_with("segment=0xffffffff"), 0, "the importer loads");
	test_import("static", IMPORTER_STATIC);
	test_import("dynamic", IMPORTER_DYNAMIC);
	tap_about("");
	tap_eq(hardware_unload(), 0, "it can be unloaded");
	return tap_done();
}
