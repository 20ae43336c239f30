// SPDX-License-Identifier: GPL-2.0-only
/* The machine sleeps (S3) while pages are pinned: afterwards all is as it was. */
/* rig: alone=yes turns=yes devices=plain size=4M mem=1024 timeout=120 */
#include "pins.h"

int main(int argc, char **argv)
{
	int fd;

	pins_begin(argc, argv);
	fd = dev_open();
	if (!dev_pages(fd, "pinned pages"))
		return pins_done();
	if (rig_can_sleep())
		pins_survive(fd, rig_cycles(1), rig_sleep, "sleep");
	else
		tap_skip("sleep", "this machine or kernel has no S3");
	close(fd);
	return pins_done();
}
