// SPDX-License-Identifier: GPL-2.0-only
/*
 * Probe, use and removal on unusual machines: without MSI-X, with one processor, locked
 * down, and with page tables of four levels.
 */
/* rig: variants=nomsi,nosmp,lockdown,no5lvl devices=doorbell vectors=4 size=4M insmod=no */
#include <sys/mount.h>

#include "module.h"
#include "users.h"

#define DEVICE "0000:00:10.0"
#define SIZE (4 << 20)
#define SECURITY "/sys/kernel/security"
/* Above the addresses that four levels of page tables reach. */
#define HIGH ((void *)(1ULL << 50))
#define LOW_END ((void *)(1ULL << 47))

static bool variant_is(const char *name)
{
	const char *variant = getenv("RIG_VARIANT");

	return variant && !strcmp(variant, name);
}

/* The driver is not signed, so it must be loaded before the kernel is locked down. */
static void lock_down(void)
{
	if (!variant_is("lockdown"))
		return;
	mount("securityfs", SECURITY, "securityfs", 0, NULL);
	tap_eq(file_write(SECURITY "/lockdown", "confidentiality"), 0,
	       "lock the kernel down");
}

/* Is the machine as the variant says? */
static void test_machine(int fd)
{
	char *high = mmap(HIGH, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	tap_eq(dev_info(fd).vectors, variant_is("nomsi") ? 0 : 4,
	       "the device has the vectors of this variant");
	tap_eq(sysconf(_SC_NPROCESSORS_ONLN), variant_is("nosmp") ? 1 : 2,
	       "the machine has the processors of this variant");
	if (variant_is("no5lvl"))
		tap_ok(high < (char *)LOW_END, "addresses end where four levels do");
	munmap(high, PAGE);
}

static void test_memory(int fd)
{
	char *map = dev_map(fd, SIZE), text[8] = "", *high;

	tap_ok(user_touch(map, SIZE, true), "all pages can be mapped and touched");
	tap_eq(pwrite(fd, "written", 8, 100), 8, "the region can be written");
	tap_eq(pread(fd, text, 8, 100), 8, "the region can be read");
	tap_ok(!strcmp(text, "written") && !strcmp(map + 100, text),
	       "read and the mapping show what was written");
	munmap(map, SIZE);
	high = mmap(HIGH, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	tap_ok(high != MAP_FAILED, "map at the highest address");
	tap_ok(user_touch(high, SIZE, true), "all pages at the highest address can be touched");
	munmap(high, SIZE);
}

static void test_doorbell(int fd)
{
	tap_eq(dev_ring_self(fd, 1), 0, "the device can be rung");
	if (dev_info(fd).vectors)
		tap_eq(dev_wait_vector(fd, 1, 20 * SECOND), 1, "the doorbell fires");
	else
		tap_eq(dev_wait_vector(fd, 1, 20 * SECOND), -EOPNOTSUPP,
		       "without vectors WAIT gives EOPNOTSUPP");
}

static void test_rebind(int fd)
{
	char *map = dev_map(fd, SIZE);
	struct users users;

	users_start(&users, RIG_DEVICE);
	tap_eq(file_write(PCI_DRIVER "unbind", DEVICE), 0, "unbind");
	tap_ok(!user_touch(map, SIZE, true), "its mapping ends in SIGBUS");
	tap_eq(users_end(&users), 0, "all users see its end");
	munmap(map, SIZE);
	close(fd);
	tap_eq(file_write(PCI_DRIVER "bind", DEVICE), 0, "bind");
	fd = dev_open();
	map = dev_map(fd, SIZE);
	tap_ok(user_touch(map, SIZE, true), "it can be mapped and touched again");
	test_doorbell(fd);
	munmap(map, SIZE);
	close(fd);
}

static void test_reload(void)
{
	if (!variant_is("lockdown"))
		return module_clean();
	tap_eq(module_unload(), 0, "unload the module");
	tap_eq(module_load(), -EPERM, "locked down: the unsigned module cannot be loaded again");
	tap_ok(rig_try("expect-log Lockdown: .*unsigned module"),
	       "locked down: the log says that the module is not signed");
}

int main(void)
{
	int fd;

	guard();
	tap_eq(module_load(), 0, "load the module");
	lock_down();
	fd = dev_open();
	test_machine(fd);
	test_memory(fd);
	test_doorbell(fd);
	test_rebind(fd);
	test_reload();
	return tap_done();
}
