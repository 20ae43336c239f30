// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a partition is divided over rings: see segment.h.
 *
 * Each port sends by a ring to each other port, and by one to all where frames to all exist. All
 * of them have the same share: who talks to whom is not known here.
 */
#include <inttypes.h>
#include <stdio.h>

#include "../../lib/label_region.h"
#include "numbers.h"
#include "segment.h"

#define FRAME_BYTES	512	/* of the slab for each descriptor: frames are small and large */

/* For readers of either, the checksum is what makes it one. */
_Static_assert((int)IVSHMEM_RINGS_AT_CRC == (int)IVSHMEM_LABEL_AT_CRC, "written by the same call");

static const struct segment_type types[] = {
	{ .name = NET_TYPE, .broadcast = true },
	{ .name = VSOCK_TYPE },
};

const struct segment_type *segment_type(const char *name)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (!strcmp(types[i].name, name))
			return &types[i];
	return NULL;
}

static void set_rings(const struct segment_type *type, struct ivshmem_rings_layout *layout,
		      uint32_t entries, uint32_t bytes)
{
	layout->entries = entries;
	layout->bytes = bytes;
	if (type->broadcast) {
		layout->broadcast_entries = entries;
		layout->broadcast_bytes = bytes;
	}
	layout->section_size = ivshmem_rings_section_size(layout);
}

static uint64_t least_bytes(const struct segment_type *type, unsigned int ports)
{
	struct ivshmem_rings_layout layout = { .ports = (uint16_t)ports };

	set_rings(type, &layout, IVSHMEM_RINGS_MIN_ENTRIES, IVSHMEM_RINGS_MIN_BYTES);
	return IVSHMEM_RINGS_PAGE + ports * layout.section_size;
}

static enum exit_code complain_small(const char *device, const struct segment_type *type,
				     uint64_t size, unsigned int ports)
{
	uint64_t least = least_bytes(type, ports);
	unsigned int fit = ports;

	while (fit && least_bytes(type, fit) > size)
		fit--;
	if (fit < IVSHMEM_RINGS_MIN_PORTS)
		return complain(EXIT_USAGE,
				"not done: the partition would have %" PRIu64 " bytes on %s, and %u ports need %" PRIu64,
				size, device, ports, least);
	return complain(EXIT_USAGE,
			"not done: the partition would have %" PRIu64 " bytes on %s, and %u ports need %" PRIu64 ": at most --ports %u fits",
			size, device, ports, least, fit);
}

static uint32_t entries_for(uint64_t share)
{
	uint32_t entries = IVSHMEM_RINGS_MIN_ENTRIES;

	while (entries < IVSHMEM_RINGS_MAX_ENTRIES && 2 * entries * FRAME_BYTES <= share)
		entries *= 2;
	return entries;
}

enum exit_code segment_plan(const char *device, const struct ivshmem_label_entry *entry,
			    unsigned int ports, struct segment *segment)
{
	const struct segment_type *type = segment_type(entry->type);
	struct ivshmem_rings_layout *layout = &segment->layout;
	uint64_t section, lines, share, bytes;
	uint32_t entries;

	if (entry->size < least_bytes(type, ports))
		return complain_small(device, type, entry->size, ports);
	section = (entry->size - IVSHMEM_RINGS_PAGE) / ports & -(uint64_t)IVSHMEM_RINGS_PAGE;
	lines = IVSHMEM_RINGS_PORT_LINE + ports * IVSHMEM_RINGS_LINE;
	share = (section - lines) / (ports - !type->broadcast) &
		-(uint64_t)IVSHMEM_RINGS_ALIGNMENT;
	entries = entries_for(share);
	bytes = share - entries * IVSHMEM_RINGS_DESCRIPTOR;
	*segment = (struct segment){
		.planned = true,
		.layout = { .ports = (uint16_t)ports, .section_offset = IVSHMEM_RINGS_PAGE },
	};
	set_rings(type, layout, entries,
		  bytes < IVSHMEM_RINGS_MAX_BYTES ? (uint32_t)bytes : IVSHMEM_RINGS_MAX_BYTES);
	segment->reason = ivshmem_rings_check(layout, entry->size);
	return EXIT_OK;
}

enum exit_code segment_write(const struct device *device,
			     const struct ivshmem_label_entry *entry, struct segment *segment)
{
	const struct ivshmem_rings_layout *layout = &segment->layout;
	uint8_t header[IVSHMEM_RINGS_HEADER_SIZE] = { 0 };
	struct mapping area;
	enum exit_code code = device_map(device, entry->offset, entry->size, &area);

	if (code)
		return code;
	/* No port of a segment that was here before seems to be up. */
	for (unsigned int port = 0; port < layout->ports; port++)
		ivshmem_port_clear(layout, area.bytes, port);
	ivshmem_rings_build(header, layout);
	ivshmem_label_put(area.bytes, header, sizeof(header));
	device_unmap(device, &area);
	segment->planned = false;
	return EXIT_OK;
}

void segment_read(const struct device *device, const struct ivshmem_label_entry *entry,
		  struct segment *segment)
{
	uint8_t copy[IVSHMEM_RINGS_HEADER_SIZE];
	struct mapping area;

	segment->reason = IVSHMEM_RINGS_NONE;
	if (device_map(device, entry->offset, sizeof(copy), &area))
		return;
	memcpy(copy, area.bytes, sizeof(copy));
	device_unmap(device, &area);
	segment->reason = ivshmem_rings_parse(copy, entry->size, &segment->layout);
}

uint32_t segment_frame(const struct segment *segment)
{
	uint32_t bytes = segment->layout.bytes;

	return bytes < IVSHMEM_FRAME_MAX ? bytes : IVSHMEM_FRAME_MAX;
}

json_t *segment_json(const struct segment *segment)
{
	const struct ivshmem_rings_layout *layout = &segment->layout;

	if (segment->reason)
		return json_null();
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "ports", (int)layout->ports,
			 "section", (json_int_t)layout->section_size,
			 "entries", (json_int_t)layout->entries,
			 "bytes", (json_int_t)layout->bytes,
			 "broadcast_entries", (json_int_t)layout->broadcast_entries,
			 "broadcast_bytes", (json_int_t)layout->broadcast_bytes,
			 "largest_frame", (json_int_t)segment_frame(segment));
}

static void print_rings(unsigned int count, const char *what, uint32_t entries, uint32_t bytes)
{
	char size[SIZE_TEXT];

	printf("%8s%u rings%s: each %u frames, %s\n", "", count, what, entries,
	       format_size(size, bytes));
}

void segment_print(const struct segment *segment)
{
	const struct ivshmem_rings_layout *layout = &segment->layout;

	if (segment->reason) {
		printf("%8sno rings: %s (%s)\n", "", ivshmem_rings_reason_text(segment->reason),
		       ivshmem_rings_reason_name(segment->reason));
		return;
	}
	printf("%8s%u ports, the largest frame has %u bytes\n", "", layout->ports,
	       segment_frame(segment));
	print_rings(layout->ports * (layout->ports - 1U), " from one port to another",
		    layout->entries, layout->bytes);
	if (layout->broadcast_entries)
		print_rings(layout->ports, " to all", layout->broadcast_entries,
			    layout->broadcast_bytes);
}
