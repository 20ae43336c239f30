// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs map the register page and ring without a system call. The page must give them
 * nothing else: on arm64 with pages of 16 KiB the MSI-X table is in it too, so the driver
 * must not offer it there.
 */
/* rig: devices=doorbell vectors=4 size=1M insmod=no */
#include <sys/wait.h>

#include "dev.h"

static int load(const char *parameters)
{
	char command[128];

	snprintf(command, sizeof(command), "insmod /lib/ivshmem.ko %s", parameters);
	return system(command);
}

/*
 * Is anything else in the page of the registers? Ignore ranges larger than the page, such
 * as the bus, which contain it, and the driver's own claim on it.
 */
static bool page_is_shared(void)
{
	FILE *bars = fopen(PCI_DEVICES "0000:00:10.0/resource", "re");
	FILE *all = fopen("/proc/iomem", "re");
	unsigned long long bar[2], page, range[2];
	bool shared = false;
	char name[80];

	if (!bars || !all || fscanf(bars, "%llx %llx", &bar[0], &bar[1]) != 2)
		tap_bail("cannot read the addresses of the BARs");
	page = bar[0] / PAGE * PAGE;
	while (fscanf(all, " %llx-%llx : %79[^\n]", &range[0], &range[1], name) == 3)
		if (range[0] >= page && range[1] < page + PAGE &&
		    (range[1] < bar[0] || range[0] > bar[1]) &&
		    strcmp(name, "ivshmem register page")) {
			tap_note("also in the register page: %llx-%llx : %s", range[0], range[1],
				 name);
			shared = true;
		}
	fclose(all);
	fclose(bars);
	return shared;
}

/* Does a ring through the register page fire the vector? */
static void check_fires(int fd, uint32_t vector, const char *what)
{
	if (dev_interrupts(fd, what))
		tap_eq(dev_wait_vector(fd, vector, 5 * SECOND), 1, "%s", what);
}

static void test_ringing(int fd, int ro)
{
	struct ivshmem_region page = dev_region(fd, IVSHMEM_REGION_REGISTERS);
	struct ivshmem_info info = dev_info(fd);
	volatile uint32_t *regs;
	bool offered = info.features & IVSHMEM_FEATURE_REGISTERS;

	if (page_is_shared()) {
		tap_ok(!offered, "a register page with something else in it is not offered");
		tap_skip("ring through the register page",
			 "something else is in the page of the registers");
		return;
	}
	if (!tap_ok(offered, "INFO offers the register page"))
		return;
	tap_eq(page.flags, IVSHMEM_REGION_READ | IVSHMEM_REGION_WRITE, "REGION lets it be read and written");
	tap_eq(page.size, PAGE, "the register page is one page");
	tap_eq(page.cache, IVSHMEM_CACHE_UC, "the register page is uncached");
	regs = dev_map_registers(fd);
	regs[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(info.id, 3);
	check_fires(fd, 3, "a write to the mapped Doorbell register rings");
	tap_eq(regs[2], info.id, "the mapped IVPosition register holds the id");

	refused(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, ro, page.offset), EACCES,
		"a read-only file cannot map the register page");
	tap_eq(dev_region(ro, IVSHMEM_REGION_REGISTERS).flags, 0, "REGION says so");
	refused(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, page.offset),
		EINVAL, "a mapping of more than the register page");
	refused(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
		     page.offset + PAGE), EINVAL, "a mapping of the page after it");
	refused(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, page.offset),
		EINVAL, "a private mapping of the register page");
	refused(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd,
		     page.offset), EACCES, "an executable mapping of the register page");

	pid_t pid = fork();

	if (!pid) {
		regs[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(info.id, 2);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	check_fires(fd, 2, "a child can ring through the mapping it inherits");
	munmap((void *)regs, PAGE);
}

static void test_switched_off(void)
{
	int fd = dev_open();
	struct ivshmem_region page = dev_region(fd, IVSHMEM_REGION_REGISTERS);

	tap_eq(dev_info(fd).features & IVSHMEM_FEATURE_REGISTERS, 0,
	       "map_registers=0: not offered");
	tap_ok(!page.size && !page.flags, "no size, no access");
	refused(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, page.offset), EACCES,
		"not mapped either");
	close(fd);
}

int main(void)
{
	int fd, ro;

	tap_eq(load(""), 0, "load the module with its defaults");
	fd = dev_open();
	ro = dev_open_at(RIG_DEVICE, O_RDONLY);
	test_ringing(fd, ro);
	close(ro);
	close(fd);
	tap_eq(system("rmmod ivshmem"), 0, "unload the module");
	tap_eq(load("map_registers=0"), 0, "load the module with map_registers=0");
	test_switched_off();
	return tap_done();
}
