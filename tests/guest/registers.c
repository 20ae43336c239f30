// SPDX-License-Identifier: GPL-2.0-only
/* Ringing without a system call, through a mapping of the register page. */
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

static void test_ringing(void)
{
	int fd = dev_open(), ro = dev_open_at(RIG_DEVICE, O_RDONLY);
	struct ivshmem_info info = dev_info(fd);
	volatile uint32_t *regs;

	if (!tap_ok(info.flags & IVSHMEM_INFO_REGISTERS, "the register page is offered"))
		return;
	regs = map_registers(fd, &info, PROT_READ | PROT_WRITE);
	tap_ok(regs != MAP_FAILED, "and can be mapped");
	regs[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(info.id, 3);
	tap_eq(dev_wait_vector(fd, 3, 5 * SECOND), 1, "writing the doorbell rings");
	tap_eq(regs[2], info.id, "the own id can be read there");

	refused(map_registers(ro, &info, PROT_READ), EACCES,
		"not for a read-only file");
	refused(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, info.registers_offset),
		EINVAL, "more than the page");
	refused(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd,
		     info.registers_offset + 4096), EINVAL, "the page after it");
	refused(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, info.registers_offset),
		EINVAL, "privately");
	refused(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd,
		     info.registers_offset), EACCES, "executable");

	pid_t pid = fork();

	if (!pid) {
		regs[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(info.id, 2);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	tap_eq(dev_wait_vector(fd, 2, 5 * SECOND), 1, "a child can ring too");
	munmap((void *)regs, 4096);
	close(ro);
	close(fd);
}

static void test_switched_off(void)
{
	int fd = dev_open();
	struct ivshmem_info info = dev_info(fd);

	tap_eq(info.flags & IVSHMEM_INFO_REGISTERS, 0, "map_registers=0: not offered");
	tap_ok(!info.registers_offset && !info.registers_size, "no offset, no size");
	info.registers_size = 4096;
	info.registers_offset = 1ULL << 43;
	refused(map_registers(fd, &info, PROT_READ), EACCES, "not mapped either");
	close(fd);
}

int main(void)
{
	tap_eq(load(""), 0, "load with the default");
	test_ringing();
	tap_eq(system("rmmod ivshmem"), 0, "unload");
	tap_eq(load("map_registers=0"), 0, "load with map_registers=0");
	test_switched_off();
	return tap_done();
}
