// SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later
/*
 * Reads and makes the header of a partition with rings, and finds what is where
 *
 * What is parsed is a copy that nobody else can write to. Each check is a line of the table in
 * docs/ring-format.md, in the same order. The driver and the tools share this file.
 */
#include "../core/bytes.h"
#include "layout.h"

/* By reason: its name in docs/ring-format.md, and a text that follows "the header: ". */
static const struct {
	const char *name;
	const char *text;
} reasons[IVSHMEM_RINGS_REASONS] = {
	[IVSHMEM_RINGS_VALID] = { "valid", "it is valid" },
	[IVSHMEM_RINGS_NONE] = { "none", "there is none" },
	[IVSHMEM_RINGS_BAD_VERSION] = { "version", "its version is not 1" },
	[IVSHMEM_RINGS_BAD_FEATURE] = { "feature", "it has an unknown incompatible feature" },
	[IVSHMEM_RINGS_BAD_CRC] = { "crc", "its checksum is wrong" },
	[IVSHMEM_RINGS_BAD_PORTS] = { "ports", "it has not 2 to 128 ports" },
	[IVSHMEM_RINGS_BAD_ENTRIES] = { "entries",
		"a ring has not 16 to 4096 descriptors, a power of two" },
	[IVSHMEM_RINGS_BAD_BYTES] = { "bytes",
		"a ring has not 4 KiB to 16 MiB, a multiple of 64 bytes" },
	[IVSHMEM_RINGS_BAD_BROADCAST] = { "broadcast", "its broadcast rings are of a wrong size" },
	[IVSHMEM_RINGS_BAD_SECTION_OFFSET] = { "section-offset", "its sections are misplaced" },
	[IVSHMEM_RINGS_BAD_SECTION_SIZE] = { "section-size", "its sections are of a wrong size" },
	[IVSHMEM_RINGS_CUT_OFF] = { "cut-off", "the partition ends before its last section" },
};

const char *ivshmem_rings_reason_name(enum ivshmem_rings_reason reason)
{
	return reasons[reason].name;
}

const char *ivshmem_rings_reason_text(enum ivshmem_rings_reason reason)
{
	return reasons[reason].text;
}

static __u64 round_up_to(__u64 n, __u64 unit)
{
	return (n + unit - 1) / unit * unit;
}

static bool is_ring(__u32 entries, __u32 bytes)
{
	return entries >= IVSHMEM_RINGS_MIN_ENTRIES && entries <= IVSHMEM_RINGS_MAX_ENTRIES &&
	       !(entries & (entries - 1)) &&
	       bytes >= IVSHMEM_RINGS_MIN_BYTES && bytes <= IVSHMEM_RINGS_MAX_BYTES &&
	       bytes % IVSHMEM_RINGS_ALIGNMENT == 0;
}

/* Bytes of a ring: its descriptors and its slab. */
static __u64 ring_size(__u32 entries, __u32 bytes)
{
	return (__u64)entries * IVSHMEM_RINGS_DESCRIPTOR + bytes;
}

/* Where the rings begin in a section. */
static __u64 rings_offset(const struct ivshmem_rings_layout *layout)
{
	return IVSHMEM_RINGS_PORT_LINE + (__u64)layout->ports * IVSHMEM_RINGS_LINE;
}

/* Where the broadcast ring begins in a section, behind a ring to each other port. */
static __u64 broadcast_offset(const struct ivshmem_rings_layout *layout)
{
	return rings_offset(layout) +
	       (layout->ports - 1) * ring_size(layout->entries, layout->bytes);
}

__u64 ivshmem_rings_section_size(const struct ivshmem_rings_layout *layout)
{
	__u64 size = broadcast_offset(layout);

	if (layout->broadcast_entries)
		size += ring_size(layout->broadcast_entries, layout->broadcast_bytes);
	return round_up_to(size, IVSHMEM_RINGS_PAGE);
}

__u64 ivshmem_rings_port_line(const struct ivshmem_rings_layout *layout, unsigned int port)
{
	return layout->section_offset + port * layout->section_size;
}

__u64 ivshmem_rings_line(const struct ivshmem_rings_layout *layout, unsigned int port,
			 unsigned int other)
{
	return ivshmem_rings_port_line(layout, port) + IVSHMEM_RINGS_PORT_LINE +
	       (__u64)other * IVSHMEM_RINGS_LINE;
}

__u64 ivshmem_rings_ring(const struct ivshmem_rings_layout *layout, unsigned int from,
			 unsigned int to)
{
	__u64 section = ivshmem_rings_port_line(layout, from);

	if (to == layout->ports)
		return section + broadcast_offset(layout);
	/* A port has no ring to itself. */
	return section + rings_offset(layout) +
	       (to - (to > from)) * ring_size(layout->entries, layout->bytes);
}

static enum ivshmem_rings_reason check_rings(const struct ivshmem_rings_layout *layout)
{
	if (layout->ports < IVSHMEM_RINGS_MIN_PORTS || layout->ports > IVSHMEM_RINGS_MAX_PORTS)
		return IVSHMEM_RINGS_BAD_PORTS;
	if (!is_ring(layout->entries, IVSHMEM_RINGS_MIN_BYTES))
		return IVSHMEM_RINGS_BAD_ENTRIES;
	if (!is_ring(layout->entries, layout->bytes))
		return IVSHMEM_RINGS_BAD_BYTES;
	if (layout->broadcast_entries ?
	    !is_ring(layout->broadcast_entries, layout->broadcast_bytes) :
	    layout->broadcast_bytes)
		return IVSHMEM_RINGS_BAD_BROADCAST;
	return IVSHMEM_RINGS_VALID;
}

enum ivshmem_rings_reason ivshmem_rings_check(const struct ivshmem_rings_layout *layout,
					      __u64 size)
{
	enum ivshmem_rings_reason reason = check_rings(layout);

	if (reason)
		return reason;
	if (layout->section_offset % IVSHMEM_RINGS_PAGE ||
	    layout->section_offset < IVSHMEM_RINGS_PAGE)
		return IVSHMEM_RINGS_BAD_SECTION_OFFSET;
	if (layout->section_size % IVSHMEM_RINGS_PAGE ||
	    layout->section_size < ivshmem_rings_section_size(layout))
		return IVSHMEM_RINGS_BAD_SECTION_SIZE;
	if (layout->section_offset > size ||
	    layout->section_size > (size - layout->section_offset) / layout->ports)
		return IVSHMEM_RINGS_CUT_OFF;
	return IVSHMEM_RINGS_VALID;
}

enum ivshmem_rings_reason ivshmem_rings_parse(const void *copy, __u64 size,
					      struct ivshmem_rings_layout *layout)
{
	const __u8 *at = copy;

	if (memcmp(at, IVSHMEM_RINGS_MAGIC, sizeof(IVSHMEM_RINGS_MAGIC) - 1))
		return IVSHMEM_RINGS_NONE;
	if (load16(at + IVSHMEM_RINGS_AT_VERSION) != IVSHMEM_RINGS_VERSION)
		return IVSHMEM_RINGS_BAD_VERSION;
	if (load64(at + IVSHMEM_RINGS_AT_INCOMPATIBLE))
		return IVSHMEM_RINGS_BAD_FEATURE;
	if (ivshmem_checksum(at, IVSHMEM_RINGS_HEADER_SIZE, IVSHMEM_RINGS_AT_CRC) !=
	    load32(at + IVSHMEM_RINGS_AT_CRC))
		return IVSHMEM_RINGS_BAD_CRC;
	*layout = (struct ivshmem_rings_layout) {
		.section_offset = load64(at + IVSHMEM_RINGS_AT_SECTION_OFFSET),
		.section_size = load64(at + IVSHMEM_RINGS_AT_SECTION_SIZE),
		.entries = load32(at + IVSHMEM_RINGS_AT_ENTRIES),
		.bytes = load32(at + IVSHMEM_RINGS_AT_BYTES),
		.broadcast_entries = load32(at + IVSHMEM_RINGS_AT_BROADCAST_ENTRIES),
		.broadcast_bytes = load32(at + IVSHMEM_RINGS_AT_BROADCAST_BYTES),
		.ports = load16(at + IVSHMEM_RINGS_AT_PORTS),
	};
	return ivshmem_rings_check(layout, size);
}

void ivshmem_rings_build(void *copy, const struct ivshmem_rings_layout *layout)
{
	__u8 *at = copy;

	memset(at, 0, IVSHMEM_RINGS_HEADER_SIZE);
	memcpy(at, IVSHMEM_RINGS_MAGIC, sizeof(IVSHMEM_RINGS_MAGIC) - 1);
	store(at + IVSHMEM_RINGS_AT_VERSION, IVSHMEM_RINGS_VERSION, 2);
	store(at + IVSHMEM_RINGS_AT_PORTS, layout->ports, 2);
	store(at + IVSHMEM_RINGS_AT_SECTION_OFFSET, layout->section_offset, 8);
	store(at + IVSHMEM_RINGS_AT_SECTION_SIZE, layout->section_size, 8);
	store(at + IVSHMEM_RINGS_AT_ENTRIES, layout->entries, 4);
	store(at + IVSHMEM_RINGS_AT_BYTES, layout->bytes, 4);
	store(at + IVSHMEM_RINGS_AT_BROADCAST_ENTRIES, layout->broadcast_entries, 4);
	store(at + IVSHMEM_RINGS_AT_BROADCAST_BYTES, layout->broadcast_bytes, 4);
	store(at + IVSHMEM_RINGS_AT_CRC,
	      ivshmem_checksum(at, IVSHMEM_RINGS_HEADER_SIZE, IVSHMEM_RINGS_AT_CRC), 4);
}
