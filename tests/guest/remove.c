// SPDX-License-Identifier: GPL-2.0-only
/*
 * A doorbell device is removed from the bus and found again 100 times, under all kinds of
 * users, while the host rings it.
 */
/* rig: alone=yes turns=yes devices=doorbell vectors=4 size=4M timeout=400 */
#include "module.h"
#include "users.h"

int main(void)
{
	const int cycles = rig_cycles(100);
	int failed = 0, missing = 0, left = 0, gone;
	int fd = dev_open();
	uint32_t id = dev_info(fd).id;
	struct users users;

	close(fd);
	for (int i = 0; i < cycles; i++) {
		rig_ask("peer-ring %u %d 3", id, i % 4);
		missing += !file_comes(RIG_DEVICE, true);
		users_start(&users, RIG_DEVICE);
		rig_ask("peer-ring %u 1 2", id);
		file_write(PCI_DEVICES "0000:00:10.0/remove", "1");
		gone = users_end(&users);
		if (gone)
			tap_note("round %d: %d users fail", i, gone);
		failed += gone;
		left += !file_comes(RIG_DEVICE, false);
		file_write("/sys/bus/pci/rescan", "1");
	}
	tap_eq(failed, 0, "all users see the end of the device");
	tap_eq(missing, 0, "the node appears each of %d times", cycles);
	tap_eq(left, 0, "the node disappears each time");

	fd = dev_open();
	rig_ask("peer-ring %u 3", id);
	if (dev_interrupts(fd, "doorbells work after the last cycle"))
		tap_eq(dev_wait_vector(fd, 3, 5 * SECOND) > 0, true,
		       "doorbells work after the last cycle");
	close(fd);
	module_clean();
	return tap_done();
}
