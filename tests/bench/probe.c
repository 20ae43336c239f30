// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure the time to bind a PCI device to a driver and to unbind it, and the memory that
 * its struct pages take. The kernel counts those from 6.11 on; before, nothing tells, since
 * memory that is given back does not count as free while it waits for its processor.
 *
 *	probe DRIVER ADDRESS
 */
#include "bench.h"
#include "dev.h"

static double write_ms(const char *driver, const char *file, const char *address)
{
	char path[80];
	int64_t start;

	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s/%s", driver, file);
	start = now_ns();
	if (file_write(path, address))
		tap_bail("cannot write to %s", path);
	return (now_ns() - start) / 1e6;
}

/* -1: this kernel does not count */
static long memmap_pages(void)
{
	FILE *file = fopen("/proc/vmstat", "r");
	long pages = -1;
	char line[80];

	while (file && fgets(line, sizeof(line), file) && pages < 0)
		sscanf(line, "nr_memmap_pages %ld", &pages);
	if (file)
		fclose(file);
	return pages;
}

int main(int argc, char **argv)
{
	long without;

	if (argc != 3)
		tap_bail("usage: probe DRIVER ADDRESS");
	bench_value("unbind", write_ms(argv[1], "unbind", argv[2]));
	without = memmap_pages();
	bench_value("bind", write_ms(argv[1], "bind", argv[2]));
	if (without >= 0)
		bench_value("memory", (memmap_pages() - without) * (getpagesize() / 1024.0));
	return 0;
}
