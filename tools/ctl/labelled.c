// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region and its label: opening, reading, storing, and how they are printed.
 */
#include <stdio.h>
#include <string.h>

#include "../../lib/label_region.h"
#include "labelled.h"
#include "numbers.h"

/* What a label can have, or all of a smaller region. */
static size_t most_of_label(const struct device *device)
{
	uint64_t size = device->properties.size;

	return size < IVSHMEM_LABEL_MAX_SIZE ? (size_t)size : IVSHMEM_LABEL_MAX_SIZE;
}

bool labelled_look(const struct device *device, struct ivshmem_label *label)
{
	static uint8_t copy[IVSHMEM_LABEL_MAX_SIZE];
	size_t length = most_of_label(device);
	enum ivshmem_label_reason reason;
	struct mapping mapping;

	if (device_map(device, 0, length, &mapping))
		return false;
	reason = ivshmem_label_take(mapping.bytes, length, device->properties.size, copy, label);
	device_unmap(device, &mapping);
	return !reason;
}

uint32_t labelled_vectors(const struct device *device)
{
	static struct ivshmem_label label;
	const struct ivshmem_properties *p = &device->properties;

	if (p->vectors || p->transport != IVSHMEM_TRANSPORT_FILE ||
	    !labelled_look(device, &label) || !label.peers)
		return p->vectors;
	return label.bell_vectors;
}

struct segment *entry_segment(struct labelled *region, const struct ivshmem_label_entry *entry)
{
	return is_segment(entry) ? &region->segments[entry - region->label.entries] : NULL;
}

static void read_segments(struct labelled *region)
{
	for (unsigned int i = 0; i < region->label.nr_entries; i++) {
		struct ivshmem_label_entry *entry = &region->label.entries[i];
		struct segment *segment = entry_segment(region, entry);

		if (segment)
			segment_read(&region->device, entry, segment);
	}
}

enum exit_code labelled_open(struct labelled *region, unsigned int flags)
{
	struct device *device = &region->device;
	enum exit_code code = device_open(device, flags);
	char parent[NAME_MAX + 1];

	if (code)
		return code;
	if (device_parent(device, parent)) {
		code = complain(EXIT_USAGE,
				"%s is a partition, and the label is that of its device: use --device /dev/%s",
				device->name, parent);
		device_close(device);
		return code;
	}
	region->length = most_of_label(device);
	code = device_map(device, 0, region->length, &region->mapping);
	if (code) {
		device_close(device);
		return code;
	}
	region->reason = ivshmem_label_take(region->mapping.bytes, region->length,
					    device->properties.size, region->copy,
					    &region->label);
	if (!region->reason)
		read_segments(region);
	return EXIT_OK;
}

void labelled_close(struct labelled *region)
{
	device_unmap(&region->device, &region->mapping);
	device_close(&region->device);
}

const char *format_reason(char text[REASON_TEXT], const struct ivshmem_label *label,
			  enum ivshmem_label_reason reason)
{
	char partition[32] = "";

	if (label->refused)
		snprintf(partition, sizeof(partition), "partition %u: ", label->refused);
	snprintf(text, REASON_TEXT, "%s%s (%s)", partition, ivshmem_label_reason_text(reason),
		 ivshmem_label_reason_name(reason));
	return text;
}

static enum exit_code complain_reason(const struct labelled *region)
{
	const char *name = region->device.name;
	char text[REASON_TEXT];

	if (region->reason == IVSHMEM_LABEL_NONE)
		return complain(EXIT_FAILED,
				"%s has no label: 'ivshmemctl format' makes one", name);
	return complain(EXIT_CORRUPTED,
			"the label of %s is bad: %s; 'ivshmemctl format --force' makes a new one",
			name, format_reason(text, &region->label, region->reason));
}

enum exit_code labelled_open_good(struct labelled *region, unsigned int flags)
{
	enum exit_code code = labelled_open(region, flags);

	if (code || !region->reason)
		return code;
	code = complain_reason(region);
	labelled_close(region);
	return code;
}

/* Those that were planned. */
static enum exit_code write_segments(struct labelled *region)
{
	enum exit_code code = EXIT_OK;

	for (unsigned int i = 0; !code && i < region->label.nr_entries; i++) {
		struct ivshmem_label_entry *entry = &region->label.entries[i];
		struct segment *segment = entry_segment(region, entry);

		if (segment && segment->planned)
			code = segment_write(&region->device, entry, segment);
	}
	return code;
}

enum exit_code labelled_store(struct labelled *region)
{
	uint8_t old[IVSHMEM_LABEL_MAX_SIZE];
	enum ivshmem_label_reason reason;
	char text[REASON_TEXT];
	enum exit_code code;
	size_t size;

	memcpy(old, region->copy, sizeof(old));
	size = ivshmem_label_build(region->copy, &region->label);
	reason = ivshmem_label_parse(region->copy, region->length,
				     region->device.properties.size, &region->label);
	if (reason)
		return complain(EXIT_FAILED,
				"not done: the label of %s would be bad: %s", region->device.name,
				format_reason(text, &region->label, reason));
	if (region->dry_run)
		return EXIT_OK;
	if (memcmp(region->mapping.bytes, old, size))
		return complain(EXIT_FAILED,
				"not done: somebody else has changed the label of %s meanwhile; look at it, then try again",
				region->device.name);
	code = write_segments(region);
	if (!code)
		ivshmem_label_put(region->mapping.bytes, region->copy, size);
	return code;
}

void labelled_warn_of_peers(const struct labelled *region)
{
	int count = ivshmem_peers(region->device.handle, NULL, 0);
	char peers[COUNT_TEXT];

	if (count > 0)
		complain(EXIT_OK, "note: %s has %s, which may be using it",
			 region->device.name, format_count(peers, (uint64_t)count, "other peer"));
}

const char *format_uuid(char text[UUID_TEXT], const uint8_t uuid[16])
{
	char *end = text;

	for (int i = 0; i < 16; i++)
		end += sprintf(end, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			       uuid[i]);
	return text;
}

const char *format_vectors(char text[VECTORS_TEXT], const struct ivshmem_label_entry *entry)
{
	unsigned int first = entry->first_vector, last = first + entry->vectors - 1U;

	if (!entry->vectors)
		return "none";
	if (first == last)
		snprintf(text, VECTORS_TEXT, "%u", first);
	else
		snprintf(text, VECTORS_TEXT, "%u to %u", first, last);
	return text;
}

/* Of a label that means harm it can be larger than JSON's largest number here. */
static json_t *json_generation(uint64_t generation)
{
	return json_integer(generation > INT64_MAX ? INT64_MAX : (json_int_t)generation);
}

json_t *partition_json(struct labelled *region, const struct ivshmem_label_entry *entry)
{
	const struct segment *segment = entry_segment(region, entry);
	json_t *partition =
	       json_pack("{s:i, s:s, s:s, s:I, s:I, s:o, s:I, s:i, s:o}",
			 "number", (int)entry_number(&region->label, entry),
			 "name", entry->name, "type", entry->type,
			 "offset", (json_int_t)entry->offset,
			 "size", (json_int_t)entry->size,
			 "generation", json_generation(entry->generation),
			 "flags", (json_int_t)entry->flags,
			 "vectors", (int)entry->vectors,
			 "first_vector", entry->vectors ? json_integer(entry->first_vector) :
							  json_null());

	if (segment)
		json_object_set_new(partition, "rings", segment_json(segment));
	return partition;
}

json_t *partitions_json(struct labelled *region)
{
	const struct ivshmem_label *label = &region->label;
	json_t *array = json_array();

	for (unsigned int i = 0; i < label->nr_entries; i++)
		if (!ivshmem_label_free(&label->entries[i]))
			json_array_append_new(array,
					      partition_json(region, &label->entries[i]));
	return array;
}

static json_t *peer_area_json(const struct ivshmem_label *label)
{
	if (!label->peers)
		return json_null();
	return json_pack("{s:I, s:I, s:i, s:i}",
			 "offset", (json_int_t)label->peers_offset,
			 "section", (json_int_t)label->peer_size,
			 "slots", (int)label->peers, "doorbells", (int)label->bell_vectors);
}

json_t *label_json(struct labelled *region)
{
	const struct ivshmem_label *label = &region->label;
	char uuid[UUID_TEXT];

	return json_pack("{s:o, s:s, s:o, s:I, s:I, s:o, s:i, s:o}",
			 "device", json_bytes(region->device.name),
			 "uuid", format_uuid(uuid, label->uuid),
			 "generation", json_generation(label->generation),
			 "size", (json_int_t)label->region_size,
			 "data_offset", (json_int_t)label->data_offset,
			 "peers", peer_area_json(label),
			 "entries", (int)label->nr_entries,
			 "partitions", partitions_json(region));
}

void print_partitions(struct labelled *region)
{
	const struct ivshmem_label *label = &region->label;
	char size[SIZE_TEXT], vectors[VECTORS_TEXT];

	printf("%6s  %-31s  %-15s  %12s  %9s  %s\n", "NUMBER", "NAME", "TYPE", "OFFSET", "SIZE",
	       "VECTORS");
	for (unsigned int i = 0; i < label->nr_entries; i++) {
		const struct ivshmem_label_entry *entry = &label->entries[i];
		const struct segment *segment = entry_segment(region, entry);

		if (ivshmem_label_free(entry))
			continue;
		printf("%6u  %-31s  %-15s  %#12llx  %9s  %s%s\n", i + 1, entry->name, entry->type,
		       entry->offset, format_size(size, (double)entry->size),
		       format_vectors(vectors, entry),
		       ivshmem_label_usable(entry) ? "" : " (unknown flags: not used)");
		if (segment)
			segment_print(segment);
	}
}

void print_label(const struct labelled *region)
{
	const struct ivshmem_label *label = &region->label;
	char text[UUID_TEXT];

	printf("label         %s\n", format_uuid(text, label->uuid));
	printf("generation    %llu\n", label->generation);
	printf("size          %llu (%s)\n", label->region_size,
	       format_size(text, (double)label->region_size));
	if (label->peers)
		printf("peers         %u slots, %u polled doorbells each, at %#llx\n",
		       label->peers, label->bell_vectors, label->peers_offset);
	else
		printf("peers         no slots\n");
	printf("partitions    up to %u, from %#llx on\n", label->nr_entries, label->data_offset);
}
