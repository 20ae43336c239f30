// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several devices with pages=auto: a quarter of the RAM limits the sum of their memory. The first
 * ones have struct pages, and the rest do without.
 */
/*
 * rig: devices=plain,plain,plain,plain,plain,plain,plain,plain size=16M mem=256
 * rig: modargs=pages=auto
 */
#include "dev.h"

#define DEVICES 8
#define KB (16L << 10)	/* of each */

int main(void)
{
	const long quarter = meminfo_kb("MemTotal") / 4;
	long with = 0;

	for (int i = 0; i < DEVICES; i++) {
		char path[32];
		int fd;

		snprintf(path, sizeof(path), "/dev/ivshmem%d", i);
		fd = dev_open_at(path, O_RDWR);
		if (!i && !dev_pages(fd, "struct pages for several devices"))
			return tap_done();
		with += dev_has_pages(fd);
		close(fd);
	}
	tap_eq(with, quarter / KB < DEVICES ? quarter / KB : DEVICES,
	       "so many of %d devices have struct pages as fit into %ld kB", DEVICES, quarter);
	if (with < DEVICES)
		tap_ok(kernel_said("no struct pages for this region: it is too large"),
		       "the log tells why the others have none");
	return tap_done();
}
