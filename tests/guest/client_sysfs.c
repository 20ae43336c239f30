// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that look for 1af4:1110 in sysfs and map resource2, as those in Go and Java do.
 * While a driver has the BAR, the kernel refuses that; the driver's own file in its place,
 * and a device without a driver, are what they can map.
 */
/* rig: devices=plain,doorbell size=4G,1M vectors=2 */
#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "dev.h"
#include "guarded.h"

#define DEVICES 2
#define USER 1000

static char found[DEVICES][32];		/* PCI addresses */
static char resource[160], region[64], node[32];

/* Does a file say just this? */
static bool says(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	char line[32] = "";

	if (file && !fgets(line, sizeof(line), file))
		line[0] = 0;
	if (file)
		fclose(file);
	line[strcspn(line, "\n")] = 0;
	return !strcmp(line, text);
}

/* Find all devices by their ids. */
static int find_devices(void)
{
	DIR *bus = opendir(PCI_DEVICES);
	struct dirent *entry;
	char path[300];
	int n = 0;

	while (bus && (entry = readdir(bus)) && n < DEVICES) {
		snprintf(path, sizeof(path), PCI_DEVICES "%s/vendor", entry->d_name);
		if (!says(path, "0x1af4"))
			continue;
		snprintf(path, sizeof(path), PCI_DEVICES "%s/device", entry->d_name);
		if (says(path, "0x1110"))
			snprintf(found[n++], sizeof(*found), "%.31s", entry->d_name);
	}
	if (bus)
		closedir(bus);
	return n;
}

/* stat, open, map all: the mapping, or a negative errno. */
static long map_resource(const char *path, char **p, size_t *size)
{
	struct stat st;
	long ret;
	int fd;

	if (stat(path, &st))
		return -errno;
	fd = open(path, O_RDWR);
	if (fd < 0)
		return -errno;
	*size = st.st_size;
	*p = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ret = *p == MAP_FAILED ? -errno : 0;
	close(fd);
	return ret;
}

/* A child does it; gives its exit status. */
static int in_child(int (*run)(void))
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(run());
	waitpid(pid, &status, 0);
	return status;
}

/* Does ivshmemctl doctor say that this process uses resource2 of the device? */
static bool is_noticed(const char *pci)
{
	char command[160];

	snprintf(command, sizeof(command),
		 "ivshmemctl doctor | grep -q '(process %d) has resource2 of the device %s'",
		 getpid(), pci);
	return !system(command);
}

static void test_bound(const char *suffix)
{
	char path[192];
	size_t size;
	char *p;

	snprintf(path, sizeof(path), "%s%s", resource, suffix);
	tap_eq(map_resource(path, &p, &size), -EINVAL,
	       "resource2%s cannot be mapped while the driver has it", suffix);
}

/* The program, in a mount namespace where the region is in the place of resource2. */
static int map_in_place(void)
{
	int fd = dev_open_at(node, O_RDWR), ret = 0;
	char *p, *q, back = 0;
	size_t size;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(region, resource, NULL, MS_BIND, NULL) ||
	    chown(region, 0, USER) || chmod(region, 0660))
		return 1;
	if (setgid(USER) || setuid(USER))
		return 2;
	if (map_resource(resource, &p, &size))
		return 3;
	q = dev_map(fd, size);
	p[size - 1] = 'p';
	q[0] = 'q';
	ret |= q[size - 1] != 'p' || p[0] != 'q';
	ret |= pread(fd, &back, 1, size - 1) != 1 || back != 'p';
	return ret ? 4 : 0;
}

/* Unbound, the BAR is anybody's; the same memory is behind it. */
static void test_unbound(const char *pci)
{
	int fd = dev_open_at(node, O_RDWR);
	char *p, byte = 0;
	size_t size;

	tap_eq(pwrite(fd, "before", 6, 100), 6, "write through the node");
	close(fd);
	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "unbind the driver");
	if (tap_eq(map_resource(resource, &p, &size), 0, "then resource2 can be mapped")) {
		tap_ok(!memcmp(p + 100, "before", 6), "it is the same memory");
		p[100] = 'B';
	}
	tap_eq(file_write(PCI_DRIVER "bind", pci), 0, "bind the driver while it is mapped");
	fd = dev_open_at(node, O_RDWR);
	tap_ok(pread(fd, &byte, 1, 100) == 1 && byte == 'B', "the node shows what it wrote");
	tap_note("its mapping ends in signal %d", touch(p + 100, false));
	tap_ok(is_noticed(pci), "doctor names the program that has mapped resource2");
	munmap(p, size);
	tap_ok(!is_noticed(pci), "and no longer names it when it has unmapped it");
	close(fd);
}

/* driver_override leaves the device to such programs, for as long as the machine runs. */
static void test_override(const char *pci)
{
	char path[160], *p;
	size_t size;

	snprintf(path, sizeof(path), PCI_DEVICES "%s/driver_override", pci);
	tap_eq(file_write(path, "none"), 0, "give the device to no driver");
	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "take it from ours");
	tap_eq(file_write("/sys/bus/pci/drivers_probe", pci), 0, "let the kernel look for one");
	if (tap_eq(map_resource(resource, &p, &size), 0, "resource2 can be mapped"))
		munmap(p, size);
	tap_eq(file_write(path, "\n"), 0, "take that back");
	tap_eq(file_write("/sys/bus/pci/drivers_probe", pci), 0, "let the kernel look again");
	tap_ok(file_comes(node, true), "the driver has the device");
}

int main(void)
{
	guard();
	tap_eq(find_devices(), DEVICES, "find the devices in sysfs");
	for (int i = 0; i < DEVICES; i++) {
		int number = dev_number_of(found[i]);

		tap_about(number ? "doorbell" : "plain");
		snprintf(node, sizeof(node), "/dev/ivshmem%d", number);
		snprintf(region, sizeof(region), "/sys/class/ivshmem/ivshmem%d/region", number);
		snprintf(resource, sizeof(resource), PCI_DEVICES "%s/resource2", found[i]);
		test_bound("");
		test_bound("_wc");
		tap_eq(in_child(map_in_place), 0,
		       "with the region mounted over it an ordinary user maps it");
		test_bound("");
		test_unbound(found[i]);
		test_override(found[i]);
	}
	tap_about("");
	return tap_done();
}
