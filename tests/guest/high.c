// SPDX-License-Identifier: GPL-2.0-only
/*
 * A processor with physical addresses of 52 bits, and a BAR far above all RAM: within reach of
 * the kernel's direct map it has struct pages, beyond it does without, and the log tells why.
 * Firmware puts it nowhere near, so the test moves the BAR itself, behind the kernel's back,
 * and describes it as a window.
 */
/*
 * rig: arches=amd64 alone=yes devices=plain,plain size=64M,8G mem=1024 modules=configfs
 * rig: modargs=pages=yes timeout=120
 * rig: qemu='-cpu max,-cx16,-erms,-fsrm,phys-bits=52'
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "dev.h"
#include "guarded.h"
#include "pattern.h"

#define SIZE (64UL << 20)	/* of the first device, and what is looked at of the second */
#define CONFIG "/sys/kernel/config/ivshmem/high"
#define COMMAND 4
#define COMMAND_MEMORY 2
#define BAR 0x18	/* the memory, by two registers */

static struct device {
	const char *text;
	uint64_t size;
	char pci[16];
	char bytes[SIZE];	/* the last ones */
} devices[] = { { .text = "64M", .size = SIZE }, { .text = "8G", .size = 8UL << 30 } };

static void bar_move(const char *pci, uint64_t address)
{
	uint16_t off = 0, on = COMMAND_MEMORY;
	char path[80];
	int config;

	snprintf(path, sizeof(path), PCI_DEVICES "%s/config", pci);
	config = dev_open_at(path, O_RDWR);
	if (pwrite(config, &off, 2, COMMAND) != 2 || pwrite(config, &address, 4, BAR) != 4 ||
	    pwrite(config, (char *)&address + 4, 4, BAR + 4) != 4 ||
	    pwrite(config, &on, 2, COMMAND) != 2)
		tap_bail("the BAR cannot be moved: %s", strerror(errno));
	close(config);
}

static void window_make(const struct device *device, uint64_t address)
{
	char text[32];

	snprintf(text, sizeof(text), "%#llx", (unsigned long long)address);
	if (mkdir(CONFIG, 0755) || file_write(CONFIG "/size", device->text) ||
	    file_write(CONFIG "/address", text) || file_write(CONFIG "/enable", "1") ||
	    !file_comes(RIG_DEVICE, true))
		tap_bail("there is no window at %s", text);
}

/* The memory has what was written at the place before, and what is written now. */
static void test_place(struct device *device, unsigned int bit, bool pages)
{
	const uint64_t place = device->size - SIZE;
	static char subject[32];
	bool filled;
	char *map;
	int fd;

	snprintf(subject, sizeof(subject), "%s at 2^%u", device->text, bit);
	tap_about(subject);
	bar_move(device->pci, 1ULL << bit);
	window_make(device, 1ULL << bit);
	fd = dev_open();
	map = dev_map_at(fd, place, SIZE);
	tap_ok(!memcmp(map, device->bytes, SIZE), "the mapping shows the memory");
	pattern_write(device->bytes, SIZE, bit);
	filled = put(map, device->bytes, SIZE);
	tap_ok(filled && !memcmp(map, device->bytes, SIZE), "it can be written");
	memset(map, 0, PAGE);
	tap_eq(result(pwrite(fd, device->bytes, PAGE, place)), PAGE, "so can the file");
	tap_ok(!memcmp(map, device->bytes, SIZE), "both are the same memory");
	if (pages)
		tap_ok(dev_has_pages(fd), "it has struct pages");
	else
		tap_ok(dev_has_pages(fd) || rig_try("expect-log no struct pages for this region: "
						    ".* direct map does not reach"),
		       "if it has no struct pages, the log tells why");
	munmap(map, SIZE);
	close(fd);
	tap_eq(result(rmdir(CONFIG)), 0, "it can be removed");
}

/* Fill a device, and take it from its driver. */
static void take(struct device *device, unsigned int number)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/ivshmem%u", number);
	snprintf(device->pci, sizeof(device->pci), "%s", dev_pci(number));
	pattern_write(device->bytes, SIZE, 0);
	fd = dev_open_at(path, O_RDWR);
	tap_eq(result(pwrite(fd, device->bytes, SIZE, device->size - SIZE)), SIZE,
	       "fill %s", device->text);
	close(fd);
	if (file_write(PCI_DRIVER "unbind", device->pci))
		tap_bail("the device cannot be taken from its driver");
}

int main(void)
{
	guard();
	for (unsigned int i = 0; i < 2; i++)
		take(&devices[i], i);
	if (system("insmod /lib/ivshmem_soft.ko"))
		tap_bail("the module cannot be loaded");
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		test_place(&devices[i], 40, true);
		test_place(&devices[i], 51, false);
		test_place(&devices[i], 42, true);
	}
	tap_about("");
	tap_eq(system("rmmod ivshmem_soft"), 0, "the module can be unloaded");
	return tap_done();
}
