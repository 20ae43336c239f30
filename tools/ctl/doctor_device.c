// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: is there a device, and is it bound to the driver?
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"
#include "textfile.h"

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

/* The driver that driver_override reserves the device for. Returns false if there is none. */
static bool reserved_for(const char *address, char name[NAME_MAX + 1])
{
	return !read_line(below(PCI "%s/driver_override", address), name, NAME_MAX + 1) &&
	       *name && strcmp(name, "(null)");
}

/*
 * How to bind the device to our driver. Just to unbind it is not enough: a driver with this
 * id in new_id, or with a device table that has it, can get it again.
 */
static const char *take_back(const char *address, const char *driver)
{
	static char text[1024];
	char unbind[NAME_MAX + 128] = "";

	if (driver)
		snprintf(unbind, sizeof(unbind),
			 "echo %s | sudo tee /sys/bus/pci/drivers/%s/unbind; ", address, driver);
	snprintf(text, sizeof(text),
		 "sudo modprobe ivshmem, then: echo ivshmem | sudo tee " PCI "%s/driver_override; %secho %s | sudo tee /sys/bus/pci/drivers_probe; echo | sudo tee " PCI "%s/driver_override",
		 address, unbind, address, address);
	return text;
}

static void examine_binding(const char *address, struct pci_devices *devices)
{
	char driver[NAME_MAX + 1], reserved[NAME_MAX + 1];
	bool bound = driver_of(address, driver);

	if (bound && strcmp(driver, "ivshmem"))
		problem("other-driver",
			"the driver %s has the device %s: to take it back, stop the programs that use it, %s",
			driver, address, take_back(address, driver));
	else if (!bound && reserved_for(address, reserved) && strcmp(reserved, "ivshmem"))
		problem("reserved",
			"driver_override reserves the device %s for the driver %s, which has not bound it: to take it back, %s",
			address, reserved, take_back(address, NULL));
	else if (!bound)
		snprintf(devices->idle, sizeof(devices->idle), "%s", address);
}

static void examine_function(const char *address, struct pci_devices *devices)
{
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
	examine_binding(address, devices);
	examine_resource(address);
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
