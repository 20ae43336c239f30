// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device is reset while pages are pinned. The reset waits for no pin: the mapping stays, and who
 * has the pages sees what is in the memory.
 */
/* rig: bridges=yes devices=plain size=4M mem=1024 timeout=120 */
#include <glob.h>

#include "pins.h"

static const char *file;	/* of sysfs */

static int reset(void)
{
	return file_write(file, "1");
}

int main(int argc, char **argv)
{
	glob_t found;
	int fd;

	pins_begin(argc, argv);
	fd = dev_open();
	if (!dev_pages(fd, "pinned pages"))
		return pins_done();
	if (glob("/sys/class/ivshmem/ivshmem0/device/reset", 0, NULL, &found)) {
		tap_skip("pinned pages", "this machine cannot reset the device");
		return pins_done();
	}
	file = found.gl_pathv[0];
	pins_survive(fd, rig_cycles(3), reset, "reset");
	close(fd);
	return pins_done();
}
