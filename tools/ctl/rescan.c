// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl rescan: have the driver read the label of a device again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "sysfs.h"

#define SYSFS_BUS	"/sys/bus/ivshmem/devices"

static enum exit_code rescan(const char *name)
{
	char path[PATH_MAX];
	ssize_t done = -1;
	int fd;

	snprintf(path, sizeof(path), SYSFS_BUS "/%s/rescan", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		done = write(fd, "1", 1);
		close(fd);
	}
	if (done == 1)
		return EXIT_OK;
	if (errno == EACCES || errno == EPERM)
		return complain_not_root();
	if (errno == ENOENT)
		return complain(EXIT_FAILED,
				"no file %s: name the whole device, if %s is a partition; else load the driver that belongs to this ivshmemctl, as that one does not know labels",
				path, name);
	return complain(EXIT_FAILED, "cannot rescan %s: %s; see 'dmesg'", name, strerror(errno));
}

static const struct argp rescan_argp = {
	.doc = "Have the driver of this machine read the label of a device again. Partitions that have not changed stay in use, others end.",
	.children = with_device,
};

int verb_rescan(int argc, char **argv)
{
	char name[NAME_MAX + 1];
	struct device device;
	enum exit_code code;

	argp_parse(&rescan_argp, argc, argv, 0, NULL, NULL);
	code = device_open(&device, IVSHMEM_READ_ONLY);
	if (code)
		return code;
	if (device.properties.transport != IVSHMEM_TRANSPORT_DEVICE)
		code = complain(EXIT_USAGE,
				"%s is no device of a driver: run 'ivshmemctl rescan' in the guests that have it",
				device.name);
	else if (sysfs_name(device.name, name))
		code = complain(EXIT_NO_DEVICE, "%s is gone: unplugged, or unbound from its driver",
				device.name);
	else
		code = rescan(name);
	device_close(&device);
	return code;
}
