// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is at the path of a device's node: see node.h.
 *
 * The kernel creates the node when the driver gets the device. If the name is taken, it
 * does nothing and says nothing, and udev leaves alone what is not the device's. So a QEMU
 * with mem-path=/dev/ivshmem0 that was started too early leaves a file there, which any
 * program takes for the device until it calls an ioctl.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "node.h"
#include "sysfs.h"
#include "textfile.h"

/* "244:0"; returns false if there is no such device. */
static bool number_of(const char *root, const char *name, char number[32])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" SYSFS_CLASS "/%s/dev", root, name);
	return !read_line(path, number, 32);
}

void node_commands(const char *root, const char *name, char *text, size_t size)
{
	char number[32];

	if (!number_of(root, name, number))
		strcpy(number, "MAJOR:MINOR");
	number[strcspn(number, ":")] = ' ';
	snprintf(text, size,
		 "sudo mknod /dev/%s c %s; sudo udevadm trigger --subsystem-match=ivshmem",
		 name, number);
}

/* What else can be there, and what has to be done before it is removed. */
static const struct kind {
	mode_t type;
	const char *text, *before;
} kinds[] = {
	{ S_IFREG, "a regular file, which a program made before the driver had the device, such as QEMU with mem-path=",
	  "stop that program, then: sudo rm" },
	{ S_IFDIR, "a directory, which a program made before the driver had the device, such as a container engine with a volume",
	  "stop that program, then: sudo rmdir" },
	{ S_IFLNK, "a symbolic link that leads nowhere", "sudo rm" },
	{ 0, "a pipe, socket or block device", "sudo rm" },
};

static const struct kind *kind_of(mode_t mode)
{
	const struct kind *kind = kinds;

	while (kind->type && kind->type != (mode & S_IFMT))
		kind++;
	return kind;
}

bool node_is_wrong(const char *root, const char *name, char text[NODE_TEXT])
{
	char wanted[32], found[32], path[PATH_MAX], other[128], commands[256];
	struct kind kind = { 0, other, "sudo rm" };
	struct stat status;

	snprintf(path, sizeof(path), "%s/dev/%s", root, name);
	if (strchr(name, '/') || !number_of(root, name, wanted) ||
	    (stat(path, &status) && lstat(path, &status)))
		return false;
	snprintf(found, sizeof(found), "%u:%u", major(status.st_rdev), minor(status.st_rdev));
	if (!S_ISCHR(status.st_mode))
		kind = *kind_of(status.st_mode);
	else if (strcmp(found, wanted))
		snprintf(other, sizeof(other), "the node %s instead of %s", found, wanted);
	else
		return false;
	node_commands(root, name, commands, sizeof(commands));
	snprintf(text, NODE_TEXT, "/dev/%s is not the device but %s: %s /dev/%s; %s", name,
		 kind.text, kind.before, name, commands);
	return true;
}
