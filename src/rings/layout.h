/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/*
 * Where everything is in a partition with rings, as docs/ring-format.md specifies it
 *
 * For the driver and the tools: nothing here knows in which of them it is.
 */
#ifndef IVSHMEM_LAYOUT_H
#define IVSHMEM_LAYOUT_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#endif

#define IVSHMEM_RINGS_MAGIC		"IVSHMRNG"
#define IVSHMEM_RINGS_VERSION		1
#define IVSHMEM_RINGS_HEADER_SIZE	64
#define IVSHMEM_RINGS_PAGE		4096	/* sections are multiples of it */
#define IVSHMEM_RINGS_MIN_PORTS		2
#define IVSHMEM_RINGS_MAX_PORTS		128
#define IVSHMEM_RINGS_MIN_ENTRIES	16
#define IVSHMEM_RINGS_MAX_ENTRIES	4096
#define IVSHMEM_RINGS_MIN_BYTES		4096
#define IVSHMEM_RINGS_MAX_BYTES		(16U << 20)
#define IVSHMEM_RINGS_ALIGNMENT		64	/* of frames, and of the parts of a section */

/* Bytes before the rings of a section: of the port line, and of each line. */
#define IVSHMEM_RINGS_PORT_LINE		64
#define IVSHMEM_RINGS_LINE		128
#define IVSHMEM_RINGS_DESCRIPTOR	32

/* Where the fields of the header are. */
enum {
	IVSHMEM_RINGS_AT_CRC			= 0x08,
	IVSHMEM_RINGS_AT_VERSION		= 0x0c,
	IVSHMEM_RINGS_AT_PORTS			= 0x0e,
	IVSHMEM_RINGS_AT_INCOMPATIBLE		= 0x10,
	IVSHMEM_RINGS_AT_SECTION_OFFSET		= 0x18,
	IVSHMEM_RINGS_AT_SECTION_SIZE		= 0x20,
	IVSHMEM_RINGS_AT_ENTRIES		= 0x28,
	IVSHMEM_RINGS_AT_BYTES			= 0x2c,
	IVSHMEM_RINGS_AT_BROADCAST_ENTRIES	= 0x30,
	IVSHMEM_RINGS_AT_BROADCAST_BYTES	= 0x34,
};

/* Why a header is refused, in the order of the checks. */
enum ivshmem_rings_reason {
	IVSHMEM_RINGS_VALID,
	IVSHMEM_RINGS_NONE,		/* there is none */
	IVSHMEM_RINGS_BAD_VERSION,
	IVSHMEM_RINGS_BAD_FEATURE,
	IVSHMEM_RINGS_BAD_CRC,		/* also while it is written */
	IVSHMEM_RINGS_BAD_PORTS,
	IVSHMEM_RINGS_BAD_ENTRIES,
	IVSHMEM_RINGS_BAD_BYTES,
	IVSHMEM_RINGS_BAD_BROADCAST,
	IVSHMEM_RINGS_BAD_SECTION_OFFSET,
	IVSHMEM_RINGS_BAD_SECTION_SIZE,
	IVSHMEM_RINGS_CUT_OFF,		/* the partition ends before the last section */
	IVSHMEM_RINGS_REASONS
};

/**
 * struct ivshmem_rings_layout - what a valid header says
 * @section_offset: where section 0 begins in the partition
 * @section_size: bytes of each
 * @entries: descriptors of a ring
 * @bytes: slab of a ring
 * @broadcast_entries: descriptors of a broadcast ring; 0: there are none
 * @broadcast_bytes: slab of a broadcast ring
 * @ports: number of sections
 */
struct ivshmem_rings_layout {
	__u64 section_offset;
	__u64 section_size;
	__u32 entries;
	__u32 bytes;
	__u32 broadcast_entries;
	__u32 broadcast_bytes;
	__u16 ports;
};

/**
 * ivshmem_rings_parse() - parse and check the header of a partition
 * @copy: from the start of the partition, IVSHMEM_RINGS_HEADER_SIZE bytes in memory that
 *	nobody else writes to
 * @size: bytes in the partition
 * @layout: the result; undefined if the header is refused
 *
 * A tool may be writing: unless it is IVSHMEM_RINGS_NONE, repeat with a new copy before
 * believing that a header is bad.
 *
 * Return: IVSHMEM_RINGS_VALID, which is 0, or why the header is refused
 */
enum ivshmem_rings_reason ivshmem_rings_parse(const void *copy, __u64 size,
					      struct ivshmem_rings_layout *layout);

/**
 * ivshmem_rings_check() - check a layout
 * @layout: what a header says, or is to say
 * @size: bytes in the partition
 *
 * Return: IVSHMEM_RINGS_VALID, or why a header with it is refused
 */
enum ivshmem_rings_reason ivshmem_rings_check(const struct ivshmem_rings_layout *layout,
					      __u64 size);

/**
 * ivshmem_rings_build() - make the header for a layout
 * @copy: for IVSHMEM_RINGS_HEADER_SIZE bytes
 * @layout: it should pass ivshmem_rings_check()
 */
void ivshmem_rings_build(void *copy, const struct ivshmem_rings_layout *layout);

/**
 * ivshmem_rings_section_size() - compute how large a section has to be
 * @layout: its ports, entries and bytes are valid
 *
 * Return: bytes, a multiple of IVSHMEM_RINGS_PAGE; what section_size is at least
 */
__u64 ivshmem_rings_section_size(const struct ivshmem_rings_layout *layout);

/**
 * ivshmem_rings_port_line() - find the port line of a port
 * @layout: valid
 * @port: below layout->ports
 *
 * Return: its offset in the partition. It is also where the port's section begins
 */
__u64 ivshmem_rings_port_line(const struct ivshmem_rings_layout *layout, unsigned int port);

/**
 * ivshmem_rings_line() - find the line that a port writes for another
 * @layout: valid
 * @port: the writer, below layout->ports
 * @other: whom it concerns, below layout->ports
 *
 * Return: its offset in the partition
 */
__u64 ivshmem_rings_line(const struct ivshmem_rings_layout *layout, unsigned int port,
			 unsigned int other);

/**
 * ivshmem_rings_ring() - find the descriptors of a ring
 * @layout: valid
 * @from: the sender, below layout->ports
 * @to: the receiver, another one below layout->ports; or layout->ports for the broadcast ring
 *
 * Return: their offset in the partition
 */
__u64 ivshmem_rings_ring(const struct ivshmem_rings_layout *layout, unsigned int from,
			 unsigned int to);

/**
 * ivshmem_rings_reason_name() - get the word for a reason
 * @reason: what ivshmem_rings_parse() returned
 *
 * Return: the word of docs/ring-format.md
 */
const char *ivshmem_rings_reason_name(enum ivshmem_rings_reason reason);

/**
 * ivshmem_rings_reason_text() - get a reason for people
 * @reason: what ivshmem_rings_parse() returned
 *
 * Return: a clause whose subject, "it", is the header
 */
const char *ivshmem_rings_reason_text(enum ivshmem_rings_reason reason);

#endif /* IVSHMEM_LAYOUT_H */
