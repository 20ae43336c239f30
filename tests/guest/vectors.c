// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device asks for more vectors than the machine can grant. Each one that it gets must
 * fire by itself.
 */
/* rig: devices=doorbell vectors=256 size=1M smp=1 over=pci,polled */
#include "dev.h"

int main(void)
{
	int fd = dev_open(), silent = 0, others = 0;
	struct ivshmem_info info = dev_info(fd);
	uint64_t set[4] = { 0 };
	struct ivshmem_wait w = dev_set_wait(set, 0);
	char path[80];
	long long ret;

	if (!dev_interrupts(fd, "many vectors"))
		return tap_done();
	tap_note("%u vectors granted", info.vectors);
	w.nbits = info.vectors;
	for (uint32_t v = 0; v < info.vectors; v++)
		set[v / 64] |= 1ULL << v % 64;
	tap_ok(info.vectors >= 64 && info.vectors <= 256, "at least 64 were granted");
	if (info.vectors < 256)
		tap_eq(system("dmesg | grep -q 'got .* of 256 interrupt vectors'"), 0,
		       "the log says that some are missing");
	for (uint32_t v = 0; v < info.vectors; v++) {
		dev_ring_self(fd, v);
		ret = dev_wait_vector(fd, v, 5 * SECOND);
		if (ret != 1) {
			tap_note("vector %u: %lld interrupts", v, ret);
			silent++;
		}
		if (dev_wait(fd, &w) != -ETIMEDOUT) {
			tap_note("vector %u was rung, vector %u fired too", v, w.signalled_vector);
			others++;
		}
	}
	tap_eq(silent, 0, "each vector fires once when it is rung");
	tap_eq(others, 0, "no vector fires when another one is rung");
	if (info.vectors < 256)
		tap_eq(dev_ring_self(fd, 255), 0,
		       "a vector that only other peers have can be rung");

	snprintf(path, sizeof(path), "/sys/class/ivshmem/ivshmem0/interrupts/%u",
		 info.vectors - 1);
	tap_ok(!access(path, R_OK), "the last vector has its count in sysfs");
	snprintf(path, sizeof(path), "/sys/class/ivshmem/ivshmem0/interrupts/%u",
		 info.vectors);
	tap_ok(access(path, R_OK), "sysfs has no count after that of the last vector");
	return tap_done();
}
