// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl top: a look at a device, by what the driver says in sysfs; or at a file, by its
 * label.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "labelled.h"
#include "textfile.h"
#include "top.h"

static struct top_partition *add_partition(struct top_look *look)
{
	struct top_partition *larger = reallocarray(look->partitions, look->npartitions + 1,
						    sizeof(*larger));

	if (!larger)
		return NULL;
	look->partitions = larger;
	larger += look->npartitions++;
	*larger = (struct top_partition){ .size = 0 };
	return larger;
}

/* One that disappears meanwhile is left out. */
static int look_at_partition(struct top_look *look, const char *node)
{
	struct top_partition *partition;
	struct sysfs_device entry;
	char path[NAME_MAX + 6];

	if (sysfs_read(node, &entry) || strcmp(entry.parent, look->entry.name))
		return 0;
	partition = add_partition(look);
	if (!partition)
		return -ENOMEM;
	snprintf(path, sizeof(path), "/dev/%s", node);
	strcpy(partition->node, entry.name);
	strcpy(partition->name, entry.label);
	partition->size = entry.size;
	format_rights(partition->rights, path);
	return 0;
}

static int look_at_device(const struct device *device, struct top_look *look)
{
	char name[NAME_MAX + 1], **names;
	int count, error = sysfs_name(device->name, name);

	if (!error)
		error = sysfs_read(name, &look->entry);
	if (error)
		return error == -ENOENT ? -ENODEV : error;
	sysfs_read_label(name, &look->label);
	count = sysfs_names(&names);
	for (int i = 0; i < count && !error; i++)
		error = look_at_partition(look, names[i]);
	if (count >= 0)
		free_names(names, count);
	return count < 0 ? count : error;
}

static int look_at_entry(struct top_look *look, const struct ivshmem_label *label,
			 const struct ivshmem_label_entry *entry, const char *path)
{
	struct top_partition *partition = add_partition(look);

	if (!partition)
		return -ENOMEM;
	snprintf(partition->node, sizeof(partition->node), "%u", entry_number(label, entry));
	snprintf(partition->name, sizeof(partition->name), "%s", entry->name);
	partition->size = entry->size;
	format_rights(partition->rights, path);
	return 0;
}

static int look_at_file(const struct device *device, struct top_look *look)
{
	static struct ivshmem_label label;
	int error = 0;

	if (!labelled_look(device, &label))
		return 0;
	format_uuid(look->label.uuid, label.uuid);
	look->label.generation = label.generation;
	for (unsigned int i = 0; i < label.nr_entries && !error; i++)
		if (!ivshmem_label_free(&label.entries[i]))
			error = look_at_entry(look, &label, &label.entries[i], device->name);
	return error;
}

static int look_for_peers(const struct device *device, struct top_look *look, bool first)
{
	int error = first ? present_begin(device, &look->present) :
			    present_look(device, &look->present);

	look->area = !error;
	return error == -EOPNOTSUPP ? 0 : error;
}

int top_look(struct top *top)
{
	struct top_look *look = &top->looks[top->done % 2];
	int error = ivshmem_get_properties(top->device.handle, &top->device.properties);

	look->npartitions = 0;
	look->label = (struct sysfs_label){ .uuid = "" };
	if (!error)
		error = look_for_peers(&top->device, look, !top->done);
	look->time_ns = now_ns();
	if (!error && top->device.properties.transport == IVSHMEM_TRANSPORT_DEVICE)
		error = look_at_device(&top->device, look);
	else if (!error)
		error = look_at_file(&top->device, look);
	top->done++;
	return error;
}

const struct top_look *top_last(const struct top *top)
{
	return &top->looks[(top->done - 1) % 2];
}

static bool rate_of(const struct top *top, uint64_t before, uint64_t now, double *rate)
{
	const struct top_look *last = top_last(top), *former = &top->looks[top->done % 2];

	if (top->done < 2 || now < before)
		return false;
	*rate = (double)(now - before) * 1e9 / (double)(last->time_ns - former->time_ns);
	return true;
}

/* A vector may have come between two looks. */
bool top_rate(const struct top *top, uint32_t vector, double *rate)
{
	const struct sysfs_device *now = &top_last(top)->entry;
	const struct sysfs_device *before = &top->looks[top->done % 2].entry;

	return vector < before->vectors &&
	       rate_of(top, before->interrupts[vector], now->interrupts[vector], rate);
}

bool top_rate_of_looks(const struct top *top, double *rate)
{
	return rate_of(top, top->looks[top->done % 2].entry.looks, top_last(top)->entry.looks,
		       rate);
}

void top_free(struct top *top)
{
	for (int i = 0; i < 2; i++) {
		free(top->looks[i].partitions);
		present_free(&top->looks[i].present);
	}
	lines_free(&top->lines);
}
