// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl doctor: plain devices whose label has doorbells that are polled, though not for
 * this machine, as it has no slot there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "sysfs.h"
#include "textfile.h"

#define MSIX_BAR	1	/* which devices with interrupts have */

static bool attribute(const char *name, const char *file, char text[64])
{
	return !read_line(below(SYSFS_CLASS "/%s/%s", name, file), text, 64);
}

/* Is there no BAR for interrupts? Unknown but for PCI devices. */
static bool is_plain(const char *name)
{
	FILE *file = fopen(below(SYSFS_CLASS "/%s/device/resource", name), "re");
	bool plain = false;
	char line[128];

	for (int bar = 0; file && bar <= MSIX_BAR && fgets(line, sizeof(line), file); bar++)
		plain = bar == MSIX_BAR && !strtoull(line, NULL, 16);
	if (file)
		fclose(file);
	return plain;
}

/* Peers ring a machine by the number of its slot, which is its id. */
static bool lacks_slot(const char *name)
{
	char label[64], vectors[64], id[64], partition[64];

	return !attribute(name, "partition", partition) &&
	       attribute(name, "label_uuid", label) && *label && strcmp(label, "refused") &&
	       attribute(name, "vectors", vectors) && strcmp(vectors, "0") &&
	       attribute(name, "id", id) && !strcmp(id, "unknown") && is_plain(name);
}

void examine_slots(char **names, int count)
{
	for (int i = 0; i < count; i++)
		if (lacks_slot(names[i]))
			problem("no-slot",
				"the label of /dev/%s has no slot left for this machine, so peers cannot ring it: see who has them with 'ivshmemctl peers --device %s'; the driver takes the next one that becomes free, and 'ivshmemctl format --peers N --force' makes more, but ends all partitions",
				names[i], names[i]);
}
