// SPDX-License-Identifier: GPL-2.0-only
/*
 * A doorbell device is unplugged under all kinds of users. There is no other device:
 * QEMU (7.2 to 11.1) frees the state of a peer that disconnects, and uses it again when
 * a peer with the same id joins.
 */
/* rig: newqemu=yes alone=yes turns=yes devices=server timeout=600 */
#include "module.h"
#include "users.h"

/*
 * The server still sends QEMU the device's vectors while the guest probes it. A ring
 * before that is lost; after the first doorbell that fires, none may be.
 */
static bool rings_itself(int fd)
{
	for (int i = 0; i < 200; i++)
		if (dev_ring_self(fd, 3) || dev_wait_vector(fd, 3, SECOND / 10) > 0)
			break;
	return !dev_ring_self(fd, 3) && dev_wait_vector(fd, 3, 20 * SECOND) > 0;
}

int main(void)
{
	const int cycles = rig_cycles(100);
	int failed = 0, missing = 0, left = 0, gone, unheard = 0, fd;
	struct users users;

	for (int i = 0; i < cycles; i++) {
		rig_ask("plug doorbell hot 4");
		missing += !file_comes(RIG_DEVICE, true);
		fd = dev_open_at(RIG_DEVICE, O_RDWR);
		if (!rings_itself(fd)) {
			tap_note("round %d: its doorbell is lost", i);
			unheard++;
		}
		close(fd);
		users_start(&users, RIG_DEVICE);
		rig_ask("unplug hot");
		gone = users_end(&users);
		if (gone)
			tap_note("round %d: %d users fail", i, gone);
		failed += gone;
		left += !file_comes(RIG_DEVICE, false);
	}
	tap_eq(missing, 0, "the node appears each of %d times", cycles);
	tap_eq(unheard, 0, "it can ring itself each time");
	tap_eq(failed, 0, "all users see the end of the device");
	tap_eq(left, 0, "the node disappears each time");
	module_clean();
	return tap_done();
}
