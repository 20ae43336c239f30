// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmem_soft binds devices that a device tree describes: reserved memory, a Doorbell
 * register and an interrupt, both of which belong to the board's clock here. A
 * level-triggered interrupt is refused: once the handler of one never returned, since a
 * window has no register to acknowledge it.
 */
/* rig: arches=arm64 devices=none modules=configfs firmware=soft_tree.dts */
/* rig: qemu='-rtc base=1970-01-01T00:00:00' */
#include "dev.h"

#define CLASS "/sys/class/ivshmem/"

/* The node of the device with this name. */
static const char *node_of(const char *wanted)
{
	static char node[64];
	char path[96], name[64];

	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), CLASS "ivshmem%d/name", i);
		FILE *file = fopen(path, "r");

		if (!file)
			continue;
		if (fscanf(file, "%63s", name) == 1 && !strcmp(name, wanted)) {
			snprintf(node, sizeof(node), "/dev/ivshmem%d", i);
			fclose(file);
			return node;
		}
		fclose(file);
	}
	tap_bail("no device is named %s", wanted);
}

int main(void)
{
	int alone, match, mask;
	char text[8] = "", *map;
	long long count = 0;

	tap_eq(system("insmod /lib/ivshmem_soft.ko"), 0, "the module loads");
	tap_ok(rig_try("expect-log 9010008.level: .*IRQ [0-9]+ is level-triggered; "
		       "a doorbell interrupt must be edge-triggered"),
	       "the log says that a level-triggered interrupt is refused (once hung the guest)");
	tap_ok(access("/sys/bus/platform/drivers/ivshmem_soft/9010008.level", F_OK),
	       "a device with a level-triggered interrupt is not bound");
	alone = dev_open_at(node_of("4e000000.alone"), O_RDWR);
	match = dev_open_at(node_of("9010004.match"), O_RDWR);
	mask = dev_open_at(node_of("9010010.mask"), O_RDWR);

	tap_eq(dev_size(alone), 1 << 20, "reserved memory: REGION gives the size");
	tap_eq(dev_info(alone).features, 0, "reserved memory: INFO gives no doorbell");
	tap_eq(pwrite(alone, "hello", 5, (1 << 20) - 5), 5, "reserved memory: write");
	map = dev_map(alone, 1 << 20);
	tap_ok(!memcmp(map + (1 << 20) - 5, "hello", 5),
	       "reserved memory: a mapping shows what was written");
	munmap(map, 1 << 20);
	tap_eq(dev_size(match), 0x10000, "memory-region: REGION gives the size");
	tap_eq(dev_info(match).vectors, 1, "memory-region: one vector, for the interrupt");
	tap_eq(dev_info(match).features, IVSHMEM_FEATURE_DOORBELL |
	       IVSHMEM_FEATURE_INTERRUPTS, "memory-region: it has a doorbell");
	tap_eq(dev_info(match).id, IVSHMEM_ID_UNKNOWN, "memory-region: its id is unknown");
	tap_eq(pwrite(match, "first", 5, 0), 5, "write to one region");
	tap_eq(pread(mask, text, 5, 0), 5, "read from the other region");
	tap_ok(memcmp(text, "first", 5), "the regions do not overlap");

	/*
	 * The board's clock counts seconds from 0 since the guest started. Ringing the device
	 * "mask" lets it interrupt, ringing "match" sets the second at which it does.
	 */
	tap_eq(dev_ring(mask, 0, 1), 0, "ring: enable the clock's interrupt");
	for (int second = 0; second < 255; second++)
		dev_ring(match, 0, second);
	count = dev_wait_vector(match, 0, 10 * SECOND);
	tap_eq(count, 1, "the clock interrupts, and the vector fires");
	tap_eq(dev_ring(mask, 0, 0), 0, "ring: disable the clock's interrupt");
	tap_eq(dev_wait_vector(match, 0, SECOND / 20), -ETIMEDOUT, "it is reported once");

	tap_ok(system("grep -q ' ivshmem_soft$' /proc/interrupts") == 0,
	       "/proc/interrupts has a line for the interrupt");
	tap_eq(file_write("/sys/bus/platform/drivers/ivshmem_soft/unbind", "9010004.match"),
	       0, "unbind a device");
	refused(pread(match, text, 1, 0), ENODEV, "reading an unbound device gives ENODEV");
	close(match);
	tap_eq(file_write("/sys/bus/platform/drivers/ivshmem_soft/bind", "9010004.match"),
	       0, "bind the device again");
	match = dev_open_at(node_of("9010004.match"), O_RDWR);
	tap_eq(pread(match, text, 5, 0), 5, "read from the device that was bound again");
	tap_ok(!memcmp(text, "first", 5), "its memory was kept");
	close(match);
	close(mask);
	close(alone);
	tap_eq(system("rmmod ivshmem_soft && insmod /lib/ivshmem_soft.ko"), 0,
	       "unload and load the module");
	alone = dev_open_at(node_of("4e000000.alone"), O_RDONLY);
	tap_eq(pread(alone, text, 5, (1 << 20) - 5), 5, "read from the reserved memory again");
	tap_ok(!memcmp(text, "hello", 5), "the reserved memory was kept");
	return tap_done();
}
