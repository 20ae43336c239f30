// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure the time and page tables that it takes to map a region, touch all its pages in
 * order, twice, and then touch pages at random.
 *
 *	mapping SIZE PATH	a device of this driver, or a resource file in sysfs
 *	mapping SIZE ADDRESS	a device that is bound to vfio-pci
 */
#include "bench.h"
#include "vfio.h"

#define RANDOM_TOUCHES 500000

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static int64_t touch_all(volatile char *p, size_t size)
{
	int64_t start = now_ns();

	for (size_t i = 0; i < size; i += PAGE)
		(void)p[i];
	return now_ns() - start;
}

/* Touch pages in an order that defeats the TLB. */
static int64_t touch_random(volatile char *p, size_t size)
{
	uint64_t x = 88172645463325252ULL;
	int64_t start = now_ns();

	for (int i = 0; i < RANDOM_TOUCHES; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		(void)p[x % (size / PAGE) * PAGE];
	}
	return now_ns() - start;
}

int main(int argc, char **argv)
{
	size_t size;
	long tables, taken;
	int64_t start, mapped;
	int fd;
	void *p;

	if (argc != 3)
		tap_bail("usage: mapping SIZE WHAT");
	size = strtoull(argv[1], NULL, 0);
	fd = argv[2][0] == '/' ? dev_open_at(argv[2], O_RDWR) : vfio_open(argv[2]);
	tables = page_tables_kb();
	taken = faults();
	start = now_ns();
	p = argv[2][0] == '/' ? dev_map(fd, size) :
	    vfio_map(fd, VFIO_PCI_BAR2_REGION_INDEX, size);
	mapped = now_ns() - start;
	bench_value("mmap", mapped / 1e6);
	bench_value("first", touch_all(p, size) / 1e6);
	bench_value("second", touch_all(p, size) / 1e6);
	bench_value("tables", page_tables_kb() - tables);
	bench_value("faults", faults() - taken);
	bench_value("random", (double)touch_random(p, size) / RANDOM_TOUCHES);
	start = now_ns();
	munmap(p, size);
	bench_value("munmap", (now_ns() - start) / 1e6);
	return 0;
}
