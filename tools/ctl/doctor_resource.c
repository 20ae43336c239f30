// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: programs that use a device by resource2 in sysfs, as without a driver.
 * While a driver has the BAR, the kernel does not let them map it. The driver's region can
 * be mounted in that place, but the mount stays with the old region when a new one comes.
 *
 * A region that is mounted there has the path of resource2 for all who look; so it is told
 * by its inode, also from the region of an earlier binding, whose path is the same.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "sysfs.h"
#include "textfile.h"

struct device {
	const char *address;
	char name[NAME_MAX + 1];	/* ivshmem0, or empty while the driver does not have it */
	ino_t region;			/* 0 if there is none */
	ino_t stale;			/* the region of an earlier binding, or 0 */
};

static ino_t inode_of(const char *path)
{
	struct stat status;

	return stat(path, &status) ? 0 : status.st_ino;
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length >= end_length && !strcmp(text + length - end_length, end);
}

static bool is_resource(const struct device *device, const char *path)
{
	char end[64];

	snprintf(end, sizeof(end), "/%s/resource2", device->address);
	if (ends_with(path, end))
		return true;
	snprintf(end, sizeof(end), "/%s/resource2_wc", device->address);
	return ends_with(path, end);
}

static bool is_name_of(const char *name, const char *address)
{
	char target[PATH_MAX];
	ssize_t length = readlink(below(SYSFS_CLASS "/%s/device", name), target,
				  sizeof(target) - 1);

	target[length < 0 ? 0 : length] = '\0';
	return !strcmp(basename(target), address);
}

static void find_device(struct device *device, const char *address)
{
	char **names;
	int count = read_names(below(SYSFS_CLASS), &names);

	memset(device, 0, sizeof(*device));
	device->address = address;
	for (int i = 0; i < count; i++)
		if (is_name_of(names[i], address))
			snprintf(device->name, sizeof(device->name), "%s", names[i]);
	if (count >= 0)
		free_names(names, count);
	if (*device->name)
		device->region = inode_of(below(SYSFS_CLASS "/%s/region", device->name));
}

/* Find a region that is mounted over resource2 and is not that of now. @place is where. */
static void find_stale(struct device *device, char place[PATH_MAX])
{
	FILE *file = fopen(below("/proc/self/mountinfo"), "re");
	char source[PATH_MAX], *line = NULL;
	size_t size = 0;
	ino_t inode;

	while (file && !device->stale && getline(&line, &size, file) > 0) {
		if (sscanf(line, "%*s %*s %*s %4095s %4095s", source, place) != 2 ||
		    !ends_with(source, "/region") || !is_resource(device, place))
			continue;
		inode = inode_of(below("%s", place));
		if (inode != device->region)
			device->stale = inode;
	}
	free(line);
	if (file)
		fclose(file);
}

static void examine_mount(struct device *device)
{
	char place[PATH_MAX], again[2 * PATH_MAX] = "";

	find_stale(device, place);
	if (!device->stale)
		return;
	if (*device->name)
		snprintf(again, sizeof(again),
			 " && sudo mount --bind " SYSFS_CLASS "/%s/region %s", device->name, place);
	problem("resource2-stale",
		"the region that is mounted over resource2 of the device %s ended when the driver was unbound or unloaded, so programs get \"No such device\": stop them, then: sudo umount %s%s",
		device->address, place, again);
}

/* The path is that of resource2. */
static bool is_region(const struct device *device, ino_t inode)
{
	return inode && (inode == device->region || inode == device->stale);
}

static bool has_mapped(const struct device *device, const char *process)
{
	FILE *file = fopen(below("/proc/%s/maps", process), "re");
	bool found = false;
	char *line = NULL;
	size_t size = 0;

	while (file && !found && getline(&line, &size, file) > 0) {
		unsigned long inode;
		int path = 0;

		line[strcspn(line, "\n")] = '\0';
		found = sscanf(line, "%*s %*s %*s %*s %lu %n", &inode, &path) == 1 && path &&
			is_resource(device, line + path) && !is_region(device, inode);
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

static bool has_open(const struct device *device, const char *process)
{
	char **names, target[PATH_MAX];
	int count = read_names(below("/proc/%s/fd", process), &names);
	bool found = false;

	for (int i = 0; i < count && !found; i++) {
		const char *link = below("/proc/%s/fd/%s", process, names[i]);
		ssize_t length = readlink(link, target, sizeof(target) - 1);

		target[length < 0 ? 0 : length] = '\0';
		found = is_resource(device, target) && !is_region(device, inode_of(link));
	}
	if (count >= 0)
		free_names(names, count);
	return found;
}

/* Anybody can give a process any name. */
static void read_command(const char *process, char text[32])
{
	if (read_line(below("/proc/%s/comm", process), text, 32))
		strcpy(text, "a program");
	for (; *text; text++)
		if (!isprint((unsigned char)*text))
			*text = '?';
}

/* An ordinary user sees the files of own processes only. The first one is enough. */
static void examine_processes(const struct device *device)
{
	char **names, command[32];
	int count = read_names(below("/proc"), &names), i = 0;

	while (i < count && (!isdigit((unsigned char)*names[i]) ||
			     (!has_mapped(device, names[i]) && !has_open(device, names[i]))))
		i++;
	if (i < count) {
		read_command(names[i], command);
		problem("resource2-used",
			"%s (process %s) has resource2 of the device %s open or mapped: while the driver has the device, to map it fails (Invalid argument), and what was mapped before has ended (Bus error): have the program use " SYSFS_CLASS "/%s/region, or put that in its place by: sudo mount --bind " SYSFS_CLASS "/%s/region /sys/bus/pci/devices/%s/resource2; then start it again",
			command, names[i], device->address, device->name, device->name,
			device->address);
	}
	if (count >= 0)
		free_names(names, count);
}

void examine_resource(const char *address)
{
	struct device device;

	find_device(&device, address);
	examine_mount(&device);
	if (*device.name)
		examine_processes(&device);
}
