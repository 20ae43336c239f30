// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl rescan: have the driver read the label of a device again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "labelled.h"
#include "sysfs.h"

#define SYSFS_BUS	"/sys/bus/ivshmem/devices"

static struct labelled region;

/* The driver tells no more than that. What it has not liked may have changed meanwhile. */
static enum exit_code complain_refused(const char *name)
{
	char text[REASON_TEXT];

	if (!region.reason || region.reason == IVSHMEM_LABEL_NONE)
		return complain(EXIT_CORRUPTED,
				"the driver refuses the label of %s, which has changed meanwhile or is too new for it: try again, then see 'dmesg'",
				name);
	return complain(EXIT_CORRUPTED,
			"the driver refuses the label of %s, and nothing changes: %s; 'ivshmemctl wipe --force' removes it, 'ivshmemctl format --force' makes a new one, then repeat this",
			name, format_reason(text, &region.label, region.reason));
}

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
				"no file %s: load the driver that belongs to this ivshmemctl, as that one does not know labels",
				path);
	if (errno == EBADMSG)
		return complain_refused(name);
	return complain(EXIT_FAILED, "cannot rescan %s: %s; see 'dmesg'", name, strerror(errno));
}

static const struct argp rescan_argp = {
	.doc = "Have the driver of this machine read the label of a device again. Partitions that have not changed stay in use, others end.",
	.children = with_device,
};

int verb_rescan(int argc, char **argv)
{
	char name[NAME_MAX + 1];
	struct device *device = &region.device;
	enum exit_code code;

	argp_parse(&rescan_argp, argc, argv, 0, NULL, NULL);
	code = labelled_open(&region, IVSHMEM_READ_ONLY);
	if (code)
		return code;
	if (device->properties.transport != IVSHMEM_TRANSPORT_DEVICE)
		code = complain(EXIT_USAGE,
				"%s is no device of a driver: run 'ivshmemctl rescan' in the guests that have it",
				device->name);
	else if (sysfs_name(device->name, name))
		code = complain(EXIT_NO_DEVICE, "%s is gone: unplugged, or unbound from its driver",
				device->name);
	else
		code = rescan(name);
	labelled_close(&region);
	return code;
}
