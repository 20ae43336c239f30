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

static void *map_registers(int fd, struct ivshmem_info *info, int prot)
{
	return mmap(NULL, info->registers_size, prot, MAP_SHARED, fd,
		    info->registers_offset);
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
	struct ivshmem_info info = dev_info(fd);
	volatile uint32_t *regs;
	bool offered = info.flags & IVSHMEM_INFO_REGISTERS;

	if (page_is_shared()) {
		tap_ok(!offered, "a register page with something else in it is not offered");
		tap_skip("ring through the register page",
			 "something else is in the page of the registers");
		return;
	}
	if (!tap_ok(offered, "INFO offers the register page"))
		return;
	regs = map_registers(fd, &info, PROT_READ | PROT_WRITE);
	tap_ok(regs != MAP_FAILED, "the register page can be mapped");
	regs[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(info.id, 3);
	check_fires(fd, 3, "a write to the mapped Doorbell register rings");
	tap_eq(regs[2], info.id, "the mapped IVPosition register holds the id");

	refused(map_registers(ro, &info, PROT_READ), EACCES,
		"a read-only file cannot map the register page");
	refused(mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, info.registers_offset),
		EINVAL, "a mapping of more than the register page");
	refused(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd,
		     info.registers_offset + PAGE), EINVAL, "a mapping of the page after it");
	refused(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, info.registers_offset),
		EINVAL, "a private mapping of the register page");
	refused(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd,
		     info.registers_offset), EACCES, "an executable mapping of the register page");

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
	struct ivshmem_info info = dev_info(fd);

	tap_eq(info.flags & IVSHMEM_INFO_REGISTERS, 0,
	       "map_registers=0: INFO does not offer the register page");
	tap_ok(!info.registers_offset && !info.registers_size,
	       "map_registers=0: INFO gives neither its offset nor its size");
	info.registers_size = PAGE;
	info.registers_offset = 1ULL << 43;
	refused(map_registers(fd, &info, PROT_READ), EACCES,
		"map_registers=0: it cannot be mapped at its usual offset");
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
