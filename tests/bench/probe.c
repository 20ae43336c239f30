// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure the time to bind a PCI device to the driver and to unbind it.
 *
 *	probe ADDRESS
 */
#include "bench.h"
#include "dev.h"

#define DRIVER "/sys/bus/pci/drivers/ivshmem/"

static double write_ms(const char *path, const char *address)
{
	int64_t start = now_ns();

	if (file_write(path, address))
		tap_bail("cannot write to %s", path);
	return (now_ns() - start) / 1e6;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		tap_bail("usage: probe ADDRESS");
	bench_value("unbind", write_ms(DRIVER "unbind", argv[1]));
	bench_value("bind", write_ms(DRIVER "bind", argv[1]));
	return 0;
}
