// SPDX-License-Identifier: GPL-2.0-only
/*
 * A processor with physical addresses of 52 bits, and a BAR far above all RAM: within reach of
 * the kernel's direct map it has struct pages, beyond it does without, and the log tells why.
 * Firmware puts it nowhere near, so the test moves the BAR itself, behind the kernel's back,
 * and describes it as a window.
 */
/*
 * rig: arches=amd64 alone=yes devices=plain size=64M mem=1024 modules=configfs timeout=120
 * rig: qemu='-cpu max,-cx16,-erms,-fsrm,phys-bits=52'
 */
#include <sys/mount.h>
#include <sys/stat.h>

#include "dev.h"
#include "guarded.h"
#include "pattern.h"

#define SIZE (64UL << 20)
#define CONFIG "/sys/kernel/config/ivshmem/high"
#define COMMAND 4
#define COMMAND_MEMORY 2
#define BAR 0x18	/* the memory, by two registers */

static char bytes[SIZE];

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

static void window_make(uint64_t address)
{
	char text[32];

	snprintf(text, sizeof(text), "%#llx", (unsigned long long)address);
	if (mkdir(CONFIG, 0755) || file_write(CONFIG "/size", "64M") ||
	    file_write(CONFIG "/address", text) || file_write(CONFIG "/enable", "1") ||
	    !file_comes(RIG_DEVICE, true))
		tap_bail("there is no window at %s", text);
}

/* The memory has what was written at the place before, and what is written now. */
static void test_place(const char *pci, unsigned int bit, bool pages)
{
	static char subject[16];
	bool filled;
	char *map;
	int fd;

	snprintf(subject, sizeof(subject), "at 2^%u", bit);
	tap_about(subject);
	bar_move(pci, 1ULL << bit);
	window_make(1ULL << bit);
	fd = dev_open();
	map = dev_map(fd, SIZE);
	tap_ok(!memcmp(map, bytes, SIZE), "the mapping shows the memory");
	pattern_write(bytes, SIZE, bit);
	filled = put(map, bytes, SIZE);
	tap_ok(filled && !memcmp(map, bytes, SIZE), "it can be written");
	memset(map, 0, PAGE);
	tap_eq(result(pwrite(fd, bytes, PAGE, 0)), PAGE, "so can the file");
	tap_ok(!memcmp(map, bytes, SIZE), "both are the same memory");
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

int main(void)
{
	char pci[16];
	int fd = dev_open();

	guard();
	snprintf(pci, sizeof(pci), "%s", dev_pci(0));
	pattern_write(bytes, SIZE, 0);
	tap_eq(result(pwrite(fd, bytes, SIZE, 0)), SIZE, "fill the memory");
	close(fd);
	if (system("insmod /lib/ivshmem_soft.ko") || file_write(PCI_DRIVER "unbind", pci))
		tap_bail("the device cannot be taken from its driver");
	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	test_place(pci, 40, true);
	test_place(pci, 51, false);
	test_place(pci, 42, true);
	tap_about("");
	tap_eq(system("rmmod ivshmem_soft"), 0, "the module can be unloaded");
	return tap_done();
}
