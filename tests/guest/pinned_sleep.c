// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine sleeps (S3) while pages are pinned: afterwards the mapping and the pinned pages
 * are as they were. There is no disk, for the machine does not sleep before a transfer by
 * O_DIRECT is over.
 */
/* rig: alone=yes turns=yes devices=plain size=4M mem=1024 timeout=120 */
#include "pins.h"

int main(int argc, char **argv)
{
	int fd;

	core_reader(argc, argv);
	guard();
	fd = dev_open();
	if (!dev_pages(fd, "pinned pages"))
		return tap_done();
	if (!rig_can_sleep()) {
		tap_skip("sleep", "this machine or kernel has no S3");
		return tap_done();
	}
	for (size_t i = 0; i < PINS; i++) {
		tap_about(pins[i].name);
		if (pins[i].pin == direct_pin)
			continue;
		if (!can_pin(&pins[i], fd)) {
			tap_skip("pages pinned while the machine sleeps",
				 "this kernel has no such thing");
			continue;
		}
		pins_map(fd, i);
		tap_ok(pins[i].pin(), "pin pages");
		tap_eq(rig_sleep(), 0, "the machine sleeps, and wakes");
		tap_ok(mapping_is_good(), "the mapping is as it was");
		tap_ok(pins[i].kept(), "the pinned pages are as they were");
		munmap(map, SIZE);
	}
	close(fd);
	return tap_done();
}
