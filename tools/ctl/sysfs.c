// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of this machine's devices in /sys/class/ivshmem, one value per file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sysfs.h"
#include "textfile.h"

int sysfs_names(char ***names)
{
	return read_names(SYSFS_CLASS, names);
}

static int read_text(const char *name, const char *attribute, char *text,
		     size_t size)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), SYSFS_CLASS "/%s/%s", name, attribute);
	return read_line(path, text, size);
}

static int read_number(const char *name, const char *attribute,
		       unsigned long long *value)
{
	char text[32], *end;
	int error = read_text(name, attribute, text, sizeof(text));

	if (error)
		return error;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno || end == text || *end ? -EINVAL : 0;
}

static void read_pci_address(const char *name, char *pci, size_t size)
{
	char path[PATH_MAX], target[PATH_MAX];
	unsigned int domain, bus, slot, function;
	const char *address;
	ssize_t length;

	pci[0] = '\0';
	snprintf(path, sizeof(path), SYSFS_CLASS "/%s/device", name);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	address = basename(target);
	if (strlen(address) < size && sscanf(address, "%x:%x:%x.%x", &domain,
					     &bus, &slot, &function) == 4)
		strcpy(pci, address);
}

/* The kernel names partitions: ivshmem0p1. */
bool sysfs_parent(const char *name, char parent[NAME_MAX + 1])
{
	unsigned long long number;
	char *end;

	snprintf(parent, NAME_MAX + 1, "%s", name);
	end = strrchr(parent, 'p');
	if (!end || read_number(name, "partition", &number)) {
		parent[0] = '\0';
		return false;
	}
	*end = '\0';
	return true;
}

void sysfs_read_label(const char *name, struct sysfs_label *label)
{
	unsigned long long generation;

	*label = (struct sysfs_label){ .uuid = "" };
	if (read_text(name, "label_uuid", label->uuid, sizeof(label->uuid)))
		label->uuid[0] = '\0';
	if (*label->uuid && !read_number(name, "label_generation", &generation))
		label->generation = generation;
}

bool sysfs_is_labelled(const char *name)
{
	struct sysfs_label label;

	sysfs_read_label(name, &label);
	return *label.uuid;
}

static int read_partition(const char *name, struct sysfs_device *device)
{
	unsigned long long offset;
	int error;

	if (!sysfs_parent(name, device->parent))
		return 0;
	error = read_number(name, "offset", &offset);
	if (!error)
		device->offset = offset;
	return error;
}

int sysfs_read(const char *name, struct sysfs_device *device)
{
	char attribute[32], id[16];
	unsigned long long value = 0;
	int error;

	memset(device, 0, sizeof(*device));
	snprintf(device->name, sizeof(device->name), "%s", name);
	error = read_number(name, "size", &value);
	if (error)
		return error;
	device->size = value;
	error = read_number(name, "vectors", &value);
	if (error)
		return error;
	device->vectors = value < IVSHMEM_MAX_VECTORS ? (uint32_t)value :
							IVSHMEM_MAX_VECTORS;
	error = read_text(name, "cache", device->cache, sizeof(device->cache));
	if (error)
		return error;
	error = read_text(name, "id", id, sizeof(id));
	if (error)
		return error;
	device->id = strcmp(id, "unknown") ? (uint32_t)strtoul(id, NULL, 10) :
					     IVSHMEM_ID_UNKNOWN;
	for (uint32_t v = 0; v < device->vectors; v++) {
		snprintf(attribute, sizeof(attribute), "interrupts/%u", v);
		error = read_number(name, attribute, &value);
		if (error)
			return error;
		device->interrupts[v] = value;
	}
	if (!read_number(name, "looks", &value))
		device->looks = value;
	read_pci_address(name, device->pci, sizeof(device->pci));
	if (read_text(name, "name", device->label, sizeof(device->label)))
		device->label[0] = '\0';
	return read_partition(name, device);
}

int sysfs_name_of_node(const char *path, char name[NAME_MAX + 1])
{
	char link[64], target[PATH_MAX];
	struct stat status;
	ssize_t length;

	if (stat(path, &status))
		return -errno;
	if (!S_ISCHR(status.st_mode))
		return -ENOENT;
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u",
		 major(status.st_rdev), minor(status.st_rdev));
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	snprintf(name, NAME_MAX + 1, "%s", basename(target));
	return 0;
}

int sysfs_name(const char *device, char name[NAME_MAX + 1])
{
	if (strchr(device, '/'))
		return sysfs_name_of_node(device, name);
	snprintf(name, NAME_MAX + 1, "%s", device);
	return 0;
}

uint64_t sysfs_total(const struct sysfs_device *device)
{
	uint64_t total = 0;

	for (uint32_t v = 0; v < device->vectors; v++)
		total += device->interrupts[v];
	return total;
}
