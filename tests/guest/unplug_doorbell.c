// SPDX-License-Identifier: GPL-2.0-only
/*
 * A doorbell device is unplugged under mappings, pollers, sleepers, readers and
 * somebody who rings, in a QEMU that survives it.
 */
/* rig: newqemu=yes alone=yes turns=yes devices=doorbell timeout=400 */
#include "unplug.h"

#define HOT "/dev/ivshmem1"

int main(void)
{
	const int cycles = rig_times(100);
	int failed = 0, missing = 0, left = 0, unheard = 0, fd;
	pid_t users[USERS];

	for (int i = 0; i < cycles; i++) {
		rig_ask("plug doorbell hot 4");
		missing += !file_comes(HOT, true);
		fd = dev_open_at(HOT, O_RDWR);
		unheard += dev_ring_self(fd, 3) || dev_wait_vector(fd, 3, 20 * SECOND) != 1;
		close(fd);
		users_start(HOT, users);
		rig_ask("unplug hot");
		failed += users_end(users);
		left += !file_comes(HOT, false);
	}
	tap_eq(missing, 0, "the node came %d times", cycles);
	tap_eq(unheard, 0, "it could ring itself each time");
	tap_eq(failed, 0, "all users saw the device go");
	tap_eq(left, 0, "the node went each time");
	return tap_done();
}
