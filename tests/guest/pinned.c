// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device is removed while its pages are pinned in every way: removal waits for none of
 * them. Mappings end in SIGBUS, another device can take its place, and pinned pages have
 * their bytes until they are given back. The new software device has other pages, while a
 * PCI device or window comes back with the same memory.
 */
/*
 * rig: turns=yes devices=plain size=4M over=pci,window,memory
 * rig: modules=configfs,virtio_pci?,virtio_blk? mem=1024 timeout=600
 * rig: qemu='-drive if=virtio,snapshot=on,driver=raw,file.driver=null-co,file.size=64M,bps=20000000'
 */
#include <sys/stat.h>

#include "module.h"
#include "pins.h"

#define CONFIG "/sys/kernel/config/ivshmem/"
#define PCI "0000:00:10.0"
#define PARAMETER "/sys/module/ivshmem/parameters/pages"

static const char *address;	/* of a window, or nothing */
static unsigned int flights;	/* writes that were under way during removal */

static void make_soft(const char *name, const char *size)
{
	char path[80];

	snprintf(path, sizeof(path), CONFIG "%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		tap_bail("%s: %s", path, strerror(errno));
	snprintf(path, sizeof(path), CONFIG "%s/size", name);
	file_write(path, size);
	snprintf(path, sizeof(path), CONFIG "%s/address", name);
	if (*address)
		file_write(path, address);
	snprintf(path, sizeof(path), CONFIG "%s/enable", name);
	file_write(path, "1");
}

/* A PCI device is found on the bus again, or only bound. */
static void come(const char *name)
{
	if (!rig_over("pci"))
		make_soft(name, "4M");
	else if (access(PCI_DEVICES PCI, F_OK))
		file_write("/sys/bus/pci/rescan", "1");
	else
		file_write(PCI_DRIVER "bind", PCI);
}

static void make(const char *name)
{
	come(name);
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("the device does not appear");
}

/* It is unbound, or, each second time, it leaves the bus. */
static void destroy(const char *name)
{
	static unsigned int times;
	char path[80];
	int ret;

	snprintf(path, sizeof(path), CONFIG "%s", name);
	if (!rig_over("pci"))
		ret = result(rmdir(path));
	else if (times++ % 2)
		ret = file_write(PCI_DEVICES PCI "/remove", "1");
	else
		ret = file_write(PCI_DRIVER "unbind", PCI);
	if (ret)
		tap_bail("the device cannot be removed: %s", strerror(-ret));
}

/* The device of the rig gives its place to those of the test. */
static void take_place(void)
{
	address = dev_window_address();
	if (rig_over("pci"))
		file_write(PCI_DRIVER "unbind", PCI);
	else
		rmdir(CONFIG "ivshmem0");
}

/*
 * Does the device that has come meanwhile have what it should: zeros, or the memory that the
 * old one had? Then nothing else is written there: who has pinned pages would see it.
 */
static bool successor_works(unsigned int number)
{
	static const char zeros[SIZE];
	bool same = !rig_over("memory");
	int fd = dev_open();
	char *p = dev_map(fd, SIZE);
	bool good = !memcmp(p, same ? bytes : zeros, SIZE) &&
		    dev_has_pages(fd);

	number += !same;
	pattern_write(p, SIZE, number);
	good = good && pattern_matches(p, SIZE, number);
	munmap(p, SIZE);
	close(fd);
	return good;
}

/* What was wrong in one cycle. */
struct wrongs {
	int mapped, spoilt, kept;
};

static bool cycle(const struct pin *way, unsigned int number, struct wrongs *wrong)
{
	int fd;

	make("old");
	fd = dev_open();
	pins_map(fd, number);
	if (!try_pin(way)) {
		munmap(map, SIZE);
		close(fd);
		destroy("old");
		return false;
	}
	if (way->pin == direct_pin)
		flights += in_flight() > 0;
	destroy("old");
	wrong->mapped += touch(map, true) != SIGBUS || touch(map + SIZE - 1, false) != SIGBUS;
	make("new");
	wrong->spoilt += !successor_works(number);
	wrong->kept += !way->kept();
	munmap(map, SIZE);
	close(fd);
	destroy("new");
	return true;
}

static void test_pin(const struct pin *way, int cycles)
{
	struct wrongs wrong = { };

	tap_about(way->name);
	for (int i = 0; i < cycles; i++)
		if (!cycle(way, i, &wrong)) {
			tap_skip("pages pinned during removal", "this kernel has no such thing");
			return;
		}
	tap_eq(wrong.mapped, 0, "after removal a mapping ends in SIGBUS, %d times", cycles);
	tap_eq(wrong.spoilt, 0, "a device that comes meanwhile has its memory, and works");
	tap_eq(wrong.kept, 0, "who has the pages sees what he should");
	if (way->pin == direct_pin)
		tap_ok(flights > 0, "it was under way in %u of them", flights);
}

/* Pin pages of a new device in a pipe, without a mapping or open file left. */
static void pin_alone(void)
{
	int fd;

	make("old");
	fd = dev_open();
	pins_map(fd, 3);
	if (!pipe_pin())
		tap_bail("vmsplice: %s", strerror(errno));
	munmap(map, SIZE);
	close(fd);
}

/* Read and write all of a device, by calls and by a mapping. */
static bool works(int fd, size_t size)
{
	static char there[SIZE];
	char *p = dev_map(fd, size);
	bool good = !memcmp(p, bytes, size) && pread(fd, there, size, 0) == (ssize_t)size &&
		    !memcmp(there, bytes, size) && pwrite(fd, bytes, size, 0) == (ssize_t)size &&
		    put(p, bytes, size);

	munmap(p, size);
	return good;
}

/* A device that cannot use the struct pages that are there does not lose its memory with them. */
static void test_otherwise(const char *what, size_t size, void (*begin)(void))
{
	const int references = module_references();
	int fd;

	tap_about(what);
	pin_alone();
	destroy("old");
	begin();
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("the device does not appear");
	fd = dev_open();
	tap_ok(!dev_has_pages(fd), "the device has no struct pages");
	tap_ok(works(fd, size), "it works");
	close(fd);
	tap_ok(pipe_kept(), "who has the pages sees what he should");
	tap_ok(module_references_become(references), "the old struct pages go");
	fd = dev_open();
	tap_ok(works(fd, size), "it works without them");
	close(fd);
	file_write(PARAMETER, "auto");
	destroy("new");
}

static void come_without(void)
{
	file_write(PARAMETER, "no");
	come("new");
}

static void come_smaller(void)
{
	make_soft("new", "2M");
	tap_ok(rig_try("expect-log no struct pages for this region: .* some already"),
	       "the log tells that there are struct pages already");
}

/*
 * Pages that stay behind keep the module. If it goes first, with the device, they stay until
 * the machine is restarted: so this comes last.
 */
static void test_module(void)
{
	char *p;
	int fd;

	tap_about("the module");
	pin_alone();
	destroy("old");
	tap_eq(module_unload(), -EAGAIN, "it cannot be unloaded while pages are left behind");
	tap_ok(pipe_kept(), "who has the pages sees what he should");
	tap_ok(module_references_become(0), "it is free when they have come back");

	pin_alone();
	tap_eq(module_unload(), 0, "it can be unloaded with a device whose pages are pinned");
	tap_ok(rig_try("expect-log pages at 0x[0-9a-f]* are still pinned"), "the log tells");
	tap_eq(module_load(), 0, "it can be loaded again");
	if (!file_comes(RIG_DEVICE, true))
		tap_bail("the device does not appear");
	tap_ok(rig_try("expect-log no struct pages for this region: .* some already"),
	       "the device has to do without pages, as the log tells");
	fd = dev_open();
	tap_ok(!dev_has_pages(fd), "INFO says so, too");
	p = dev_map(fd, SIZE);
	tap_ok(!memcmp(p, bytes, SIZE), "it has its memory");
	tap_ok(pipe_kept(), "who has the pages sees what he should, even now");
	munmap(p, SIZE);
	close(fd);
}

int main(int argc, char **argv)
{
	const int cycles = rig_cycles(rig_over("memory") ? 6 : 3);
	long before;
	int fd;

	pins_begin(argc, argv);
	ended = true;
	fd = dev_open();
	if (!dev_pages(fd, "pinned pages"))
		return pins_done();
	close(fd);
	take_place();
	/* What the test and the kernel take the first time, they keep. */
	for (size_t i = 0; i < PINS; i++)
		cycle(&pins[i], 0, &(struct wrongs){ });
	before = meminfo_kb("MemFree");
	for (size_t i = 0; i < PINS; i++)
		test_pin(&pins[i], cycles);
	tap_about("");
	tap_ok(memory_comes_back(before - (32 << 10)), "all memory is free again: %ld of %ld kB",
	       meminfo_kb("MemFree"), before);
	if (!rig_over("memory"))
		test_otherwise("pages=no meanwhile", SIZE, come_without);
	if (rig_over("window"))
		test_otherwise("half of it meanwhile", SIZE / 2, come_smaller);
	tap_about("");
	if (rig_over("pci"))
		test_module();
	else
		tap_eq(system("rmmod ivshmem_soft"), 0, "the module can be unloaded");
	tap_about("");
	module_clean();
	return pins_done();
}
