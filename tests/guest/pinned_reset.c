// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device is reset while pages are pinned. The reset waits for no pin: the mapping stays, and who
 * has the pages sees what is in the memory. There is no disk: QEMU's stops for good if the memory
 * that it shall read from is missing at that moment.
 */
/* rig: bridges=yes devices=plain size=4M mem=1024 timeout=120 */
#include <glob.h>

#include "pins.h"

static const char *reset;	/* file of sysfs */

/* A reset while pages are pinned in one way; whether all was as it should. */
static bool survives_reset(const struct pin *way, int fd, int number)
{
	bool done, mapped, kept;

	pins_map(fd, number);
	if (!way->pin())
		tap_bail("%s cannot pin any more", way->name);
	done = !file_write(reset, "1");
	mapped = mapping_is_good();
	kept = way->kept();
	munmap(map, SIZE);
	if (!done || !mapped || !kept)
		tap_note("the reset %s, the mapping is %s, the pinned pages are %s",
			 done ? "came to pass" : "failed", mapped ? "good" : "bad",
			 kept ? "good" : "bad");
	return done && mapped && kept;
}

int main(int argc, char **argv)
{
	const int cycles = rig_cycles(3);
	glob_t found;
	int fd;

	core_reader(argc, argv);
	guard();
	fd = dev_open();
	if (!dev_pages(fd, "pinned pages"))
		return tap_done();
	if (glob("/sys/class/ivshmem/ivshmem0/device/reset", 0, NULL, &found)) {
		tap_skip("pinned pages", "this machine cannot reset the device");
		return tap_done();
	}
	reset = found.gl_pathv[0];
	for (size_t i = 0; i < PINS; i++) {
		int wrong = 0;

		if (pins[i].pin == direct_pin)
			continue;
		if (!can_pin(&pins[i], fd)) {
			tap_skip(pins[i].name, "this kernel has no such thing");
			continue;
		}
		for (int n = 0; n < cycles; n++)
			wrong += !survives_reset(&pins[i], fd, n);
		tap_eq(wrong, 0, "%s: %d resets leave the mapping and the pages alone",
		       pins[i].name, cycles);
	}
	close(fd);
	return tap_done();
}
