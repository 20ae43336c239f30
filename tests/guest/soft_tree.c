// SPDX-License-Identifier: GPL-2.0-only
/* Devices that a device tree describes: reserved memory, registers, an interrupt. */
/* rig: arches=arm64 devices=none modules=configfs firmware=soft_tree.dts qemu='-rtc base=1970-01-01T00:00:00' */
#include "dev.h"

#define CLASS "/sys/class/ivshmem/"

/* The node of the device that has this name. */
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
	tap_bail("no device %s", wanted);
}

int main(void)
{
	int alone, match, mask;
	char text[8] = "", *map;
	long long count = 0;

	tap_eq(system("insmod /lib/ivshmem_soft.ko"), 0, "the module loads");
	tap_ok(rig_try("expect-log 9010008.level: .*IRQ [0-9]+ is level-triggered; "
		       "a doorbell interrupt must be edge-triggered"),
	       "a level-triggered interrupt is refused, and the log says why");
	tap_ok(access("/sys/bus/platform/drivers/ivshmem_soft/9010008.level", F_OK),
	       "that device is not bound");
	alone = dev_open_at(node_of("4e000000.alone"), O_RDWR);
	match = dev_open_at(node_of("9010004.match"), O_RDWR);
	mask = dev_open_at(node_of("9010010.mask"), O_RDWR);

	tap_eq(dev_size(alone), 1 << 20, "a node of /reserved-memory: its size");
	tap_eq(dev_info(alone).features, 0, "it cannot ring");
	tap_eq(pwrite(alone, "hello", 5, (1 << 20) - 5), 5, "it can be written");
	map = dev_map(alone, 1 << 20);
	tap_ok(!memcmp(map + (1 << 20) - 5, "hello", 5), "and mapped");
	munmap(map, 1 << 20);
	tap_eq(dev_size(match), 0x10000, "memory-region: its size");
	tap_eq(dev_info(match).vectors, 1, "a vector for its interrupt");
	tap_eq(dev_info(match).features, IVSHMEM_FEATURE_DOORBELL |
	       IVSHMEM_FEATURE_INTERRUPTS, "and a doorbell");
	tap_eq(dev_info(match).id, IVSHMEM_ID_UNKNOWN, "nobody gave it an id");
	tap_eq(pwrite(match, "first", 5, 0), 5, "regions are apart: write one");
	tap_eq(pread(mask, text, 5, 0), 5, "read the other");
	tap_ok(memcmp(text, "first", 5), "nothing of the one is there");

	/* The board's clock began at 0 when the guest did. */
	tap_eq(dev_ring(mask, 0, 1), 0, "ring: the clock may interrupt");
	for (int second = 0; second < 255; second++)
		dev_ring(match, 0, second);
	count = dev_wait_vector(match, 0, 10 * SECOND);
	tap_eq(count, 1, "ring: it does, and the vector fires");
	tap_eq(dev_ring(mask, 0, 0), 0, "ring: it may not");
	tap_eq(dev_wait_vector(match, 0, SECOND / 20), -ETIMEDOUT, "it is told once");

	tap_ok(system("grep -q ' ivshmem_soft$' /proc/interrupts") == 0,
	       "the interrupt has its line in /proc/interrupts");
	tap_eq(file_write("/sys/bus/platform/drivers/ivshmem_soft/unbind", "9010004.match"),
	       0, "unbind a device");
	refused(pread(match, text, 1, 0), ENODEV, "it is gone");
	close(match);
	tap_eq(file_write("/sys/bus/platform/drivers/ivshmem_soft/bind", "9010004.match"),
	       0, "bind it again");
	match = dev_open_at(node_of("9010004.match"), O_RDWR);
	tap_eq(pread(match, text, 5, 0), 5, "it is back");
	tap_ok(!memcmp(text, "first", 5), "with what was in it");
	close(match);
	close(mask);
	close(alone);
	tap_eq(system("rmmod ivshmem_soft && insmod /lib/ivshmem_soft.ko"), 0,
	       "the module goes and comes");
	alone = dev_open_at(node_of("4e000000.alone"), O_RDONLY);
	tap_eq(pread(alone, text, 5, (1 << 20) - 5), 5, "so does the reserved memory");
	tap_ok(!memcmp(text, "hello", 5), "with what was in it");
	return tap_done();
}
