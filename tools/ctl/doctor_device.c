// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: is there a device, and is it bound to the driver? Or is this a host
 * with servers?
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../control_path.h"
#include "ctl.h"
#include "doctor.h"
#include "textfile.h"
#include "unix_sockets.h"

#define PCI		"/sys/bus/pci/devices/"
#define VENDOR		0x1af4
#define DEVICE		0x1110
#define REVISION	1

static unsigned long attribute(const char *address, const char *name)
{
	char text[32];

	if (read_line(below(PCI "%s/%s", address, name), text, sizeof(text)))
		return ULONG_MAX;
	return strtoul(text, NULL, 16);
}

/* The name of the driver. Returns false if there is none. */
static bool driver_of(const char *address, char name[NAME_MAX + 1])
{
	char target[PATH_MAX];
	ssize_t length = readlink(below(PCI "%s/driver", address), target,
				  sizeof(target) - 1);

	if (length < 0)
		return false;
	target[length] = '\0';
	snprintf(name, NAME_MAX + 1, "%s", basename(target));
	return true;
}

static void examine_function(const char *address, struct pci_devices *devices)
{
	char driver[NAME_MAX + 1];

	if (attribute(address, "vendor") != VENDOR ||
	    attribute(address, "device") != DEVICE)
		return;
	devices->present++;
	if (attribute(address, "revision") != REVISION) {
		problem("revision",
			"the ivshmem device %s has revision %lu, but the driver supports only %d: replace it by ivshmem-plain or ivshmem-doorbell of QEMU 2.6 or later",
			address, attribute(address, "revision"), REVISION);
		return;
	}
	devices->suitable++;
	if (!driver_of(address, driver))
		snprintf(devices->idle, sizeof(devices->idle), "%s", address);
	else if (strcmp(driver, "ivshmem"))
		problem("other-driver",
			"the driver %s has the device %s: to rebind it, sudo modprobe ivshmem, then: echo | sudo tee " PCI "%s/driver_override; echo %s | sudo tee /sys/bus/pci/drivers/%s/unbind; echo %s | sudo tee /sys/bus/pci/drivers_probe",
			driver, address, address, address, driver, address);
}

void examine_pci(struct pci_devices *devices)
{
	char **names;
	int count = read_names(below("/sys/bus/pci/devices"), &names);

	memset(devices, 0, sizeof(*devices));
	for (int i = 0; i < count; i++)
		examine_function(names[i], devices);
	if (count >= 0)
		free_names(names, count);
}

/* Any path that contains "ivshmem" counts: QEMU's server has no control socket. */
static bool is_server(const char *path)
{
	return strstr(path, "ivshmem") && !is_control_path(path);
}

bool examine_sockets(json_t *usable)
{
	char **paths;
	int count = listening_paths(below(UNIX_SOCKETS), &paths);
	bool found = false;

	for (int i = 0; i < count; i++) {
		if (!is_server(paths[i]))
			continue;
		found = true;
		if (access(below("%s", paths[i]), W_OK) && errno == EACCES)
			complain_membership(paths[i]);
		else
			json_array_append_new(usable, json_bytes(paths[i]));
	}
	free_names(paths, count);
	return found;
}
