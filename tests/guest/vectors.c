// SPDX-License-Identifier: GPL-2.0-only
/*
 * As many vectors as a device can have, on a machine too small for them all:
 * those it gets work, each by itself.
 */
/* rig: devices=doorbell vectors=256 size=1M smp=1 */
#include "dev.h"

int main(void)
{
	int fd = dev_open(), wrong = 0, leaked = 0;
	struct ivshmem_info info = dev_info(fd);
	struct ivshmem_wait w = { .flags = IVSHMEM_WAIT_SET };
	char path[80];

	if (!dev_interrupts(fd, "many vectors"))
		return tap_done();
	tap_note("%u vectors granted", info.vectors);
	tap_ok(info.vectors >= 64 && info.vectors <= 256, "a good part was granted");
	if (info.vectors < 256)
		tap_eq(system("dmesg | grep -q 'got .* of 256 interrupt vectors'"), 0,
		       "the log says that some are missing");
	for (uint32_t v = 0; v < info.vectors; v++) {
		dev_ring_self(fd, v);
		wrong += dev_wait_vector(fd, v, 5 * SECOND) != 1;
		for (int i = 0; i < 4; i++)
			w.set[i] = ~0ULL;
		for (uint32_t u = info.vectors; u < 256; u++)
			w.set[u / 64] &= ~(1ULL << u % 64);
		leaked += dev_wait(fd, &w) != -ETIMEDOUT;
	}
	tap_eq(wrong, 0, "each vector fires when it is rung");
	tap_eq(leaked, 0, "and no other");
	if (info.vectors < 256)
		tap_eq(dev_ring_self(fd, 255), 0,
		       "a vector that others may have can be rung");

	snprintf(path, sizeof(path), "/sys/class/ivshmem/ivshmem0/interrupts/%u",
		 info.vectors - 1);
	tap_ok(!access(path, R_OK), "the last vector has its count in sysfs");
	snprintf(path, sizeof(path), "/sys/class/ivshmem/ivshmem0/interrupts/%u",
		 info.vectors);
	tap_ok(access(path, R_OK), "and is the last");
	return tap_done();
}
