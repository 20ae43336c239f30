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

#include "ctl.h"
#include "doctor.h"
#include "textfile.h"

#define PCI		"/sys/bus/pci/devices/"
#define VENDOR		0x1af4
#define DEVICE		0x1110
#define REVISION	1
#define LISTENING	0x10000		/* a flag in /proc/net/unix: SO_ACCEPTCON */

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

/*
 * The path of a server's listening socket in a line of /proc/net/unix, or NULL. Any path
 * that contains "ivshmem" counts.
 */
static char *server_socket(char *line)
{
	unsigned long flags = 0;
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%*s %*s %*s %lx %*s %*s %*s %n", &flags, &path) != 1 || !path)
		return NULL;
	if (!(flags & LISTENING) || line[path] != '/' || !strstr(line + path, "ivshmem"))
		return NULL;
	return line + path;
}

bool examine_sockets(json_t *usable)
{
	FILE *file = fopen(below("/proc/net/unix"), "re");
	bool found = false;
	char *line = NULL, *path;
	size_t size = 0;

	if (!file)
		return false;
	while (getline(&line, &size, file) > 0) {
		path = server_socket(line);
		if (!path)
			continue;
		found = true;
		if (access(below("%s", path), W_OK) && errno == EACCES)
			complain_membership(path);
		else
			json_array_append_new(usable, json_bytes(path));
	}
	free(line);
	fclose(file);
	return found;
}
