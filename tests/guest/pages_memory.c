// SPDX-License-Identifier: GPL-2.0-only
/*
 * The struct pages of 8 GiB in a small machine: it has 32 MiB for them, which is enough where
 * the kernel keeps one copy of those that are the same; but not 128 MiB.
 */
/* rig: arches=amd64 devices=plain size=8G mem=256 modargs=pages=yes */
#include "dev.h"

int main(void)
{
	int fd = dev_open();
	char *end;

	if (kernel_since(6, 1)) {
		tap_ok(dev_has_pages(fd), "the device has struct pages");
	} else {
		tap_ok(!dev_has_pages(fd), "the device has no struct pages");
		tap_ok(kernel_said("there is not enough free memory for them"),
		       "the log tells why");
	}
	must(pwrite(fd, "x", 1, dev_size(fd) - PAGE));
	end = dev_map_at(fd, dev_size(fd) - PAGE, PAGE);
	tap_eq(*end, 'x', "its last page can be mapped");
	close(fd);
	return tap_done();
}
