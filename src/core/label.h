/* SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later */
/*
 * The label at the start of a region, as docs/label-format.md specifies it
 *
 * For the driver and the library: nothing here knows in which of them it is.
 */
#ifndef IVSHMEM_LABEL_H
#define IVSHMEM_LABEL_H

#include <linux/types.h>
#ifdef __KERNEL__
#include <linux/string.h>
#else
#include <stdbool.h>
#include <string.h>
#endif

#define IVSHMEM_LABEL_MAGIC		"IVSHMLBL"
#define IVSHMEM_LABEL_VERSION		1
#define IVSHMEM_LABEL_MAX_SIZE		16384	/* bytes in the fixed part */
#define IVSHMEM_LABEL_HEADER_SIZE	256
#define IVSHMEM_LABEL_ENTRY_SIZE	128
#define IVSHMEM_LABEL_MAX_ENTRIES	64
#define IVSHMEM_LABEL_MAX_PEERS		128
#define IVSHMEM_LABEL_MAX_VECTORS	256
#define IVSHMEM_LABEL_ALIGNMENT		4096	/* of offsets and sizes */
#define IVSHMEM_LABEL_RUNG_OFFSET	0x100	/* of the counters in a peer section */

/* The flags of a partition that forbid to use it, if they are unknown: as all are. */
#define IVSHMEM_LABEL_ENTRY_INCOMPATIBLE	0xffff

/* Where the fields of the header are, and those of an entry. */
enum {
	IVSHMEM_LABEL_AT_CRC		= 0x08,
	IVSHMEM_LABEL_AT_FIXED_SIZE	= 0x0c,
	IVSHMEM_LABEL_AT_VERSION	= 0x10,
	IVSHMEM_LABEL_AT_HEADER_SIZE	= 0x12,
	IVSHMEM_LABEL_AT_ENTRY_SIZE	= 0x14,
	IVSHMEM_LABEL_AT_ENTRIES	= 0x16,
	IVSHMEM_LABEL_AT_INCOMPATIBLE	= 0x18,
	IVSHMEM_LABEL_AT_COMPATIBLE	= 0x20,
	IVSHMEM_LABEL_AT_UUID		= 0x28,
	IVSHMEM_LABEL_AT_GENERATION	= 0x38,
	IVSHMEM_LABEL_AT_REGION_SIZE	= 0x40,
	IVSHMEM_LABEL_AT_DATA_OFFSET	= 0x48,
	IVSHMEM_LABEL_AT_PEERS_OFFSET	= 0x50,
	IVSHMEM_LABEL_AT_PEER_SIZE	= 0x58,
	IVSHMEM_LABEL_AT_PEERS		= 0x5c,
	IVSHMEM_LABEL_AT_BELL_VECTORS	= 0x5e,

	IVSHMEM_ENTRY_AT_TYPE		= 0x00,
	IVSHMEM_ENTRY_AT_NAME		= 0x10,
	IVSHMEM_ENTRY_AT_OFFSET		= 0x30,
	IVSHMEM_ENTRY_AT_SIZE		= 0x38,
	IVSHMEM_ENTRY_AT_GENERATION	= 0x40,
	IVSHMEM_ENTRY_AT_FLAGS		= 0x48,
	IVSHMEM_ENTRY_AT_FIRST_VECTOR	= 0x4c,
	IVSHMEM_ENTRY_AT_VECTORS	= 0x4e,
};

/* Why a label is refused, in the order of the checks. */
enum ivshmem_label_reason {
	IVSHMEM_LABEL_VALID,
	IVSHMEM_LABEL_NONE,		/* there is none */
	IVSHMEM_LABEL_BAD_VERSION,
	IVSHMEM_LABEL_BAD_FEATURE,
	IVSHMEM_LABEL_BAD_HEADER_SIZE,
	IVSHMEM_LABEL_BAD_ENTRY_SIZE,
	IVSHMEM_LABEL_BAD_ENTRIES,
	IVSHMEM_LABEL_BAD_FIXED_SIZE,
	IVSHMEM_LABEL_CUT_OFF,
	IVSHMEM_LABEL_BAD_CRC,		/* also while it is written */
	IVSHMEM_LABEL_BAD_GENERATION,
	IVSHMEM_LABEL_BAD_REGION_SIZE,
	IVSHMEM_LABEL_BAD_DATA_OFFSET,
	IVSHMEM_LABEL_BAD_PEERS,
	IVSHMEM_LABEL_BAD_PEER_SIZE,
	IVSHMEM_LABEL_BAD_PEERS_OFFSET,

	/* These concern the partition in refused. */
	IVSHMEM_LABEL_BAD_TYPE,
	IVSHMEM_LABEL_BAD_NAME,
	IVSHMEM_LABEL_BAD_ALIGNMENT,
	IVSHMEM_LABEL_BAD_RANGE,
	IVSHMEM_LABEL_BAD_VECTORS,
	IVSHMEM_LABEL_SAME_NAME,
	IVSHMEM_LABEL_SAME_BYTES,
	IVSHMEM_LABEL_SAME_VECTORS,
	IVSHMEM_LABEL_REASONS
};

/**
 * struct ivshmem_label_entry - a partition
 * @type: ends with 0; empty: the entry is free, and all else is 0
 * @name: ends with 0
 * @offset: where it begins in the region
 * @size: its bytes
 * @generation: of the label when the entry was made or last changed
 * @flags: see ivshmem_label_usable()
 * @first_vector: its vector 0, a vector of the device
 * @vectors: how many it has; the device may have fewer
 */
struct ivshmem_label_entry {
	char type[16];
	char name[32];
	__u64 offset;
	__u64 size;
	__u64 generation;
	__u32 flags;
	__u16 first_vector;
	__u16 vectors;
};

/**
 * struct ivshmem_label - what a valid label says
 * @uuid: in the byte order of RFC 4122
 * @compatible: features; unknown ones may be ignored
 * @generation: one more with every change
 * @region_size: bytes in the region
 * @data_offset: where partitions may begin
 * @peers_offset: where the peer area begins; 0 without one
 * @peer_size: bytes per section; 0 without a peer area
 * @peers: number of sections; 0: there is no peer area
 * @bell_vectors: polled doorbells of each peer
 * @header_size: where the entries begin
 * @entry_size: bytes per entry
 * @nr_entries: how many of @entries there are; the others are free
 * @refused: number of the partition for which the label is refused, or 0
 * @entries: entry i is partition i + 1
 *
 * About 5 KiB: not for the kernel's stack.
 */
struct ivshmem_label {
	__u8 uuid[16];
	__u64 compatible;
	__u64 generation;
	__u64 region_size;
	__u64 data_offset;
	__u64 peers_offset;
	__u32 peer_size;
	__u16 peers;
	__u16 bell_vectors;
	__u16 header_size;
	__u16 entry_size;
	__u16 nr_entries;
	__u16 refused;
	struct ivshmem_label_entry entries[IVSHMEM_LABEL_MAX_ENTRIES];
};

static inline bool ivshmem_label_free(const struct ivshmem_label_entry *entry)
{
	return !entry->type[0];
}

/* Is there nothing about the partition that is unknown here and must not be? */
static inline bool ivshmem_label_usable(const struct ivshmem_label_entry *entry)
{
	return !(entry->flags & IVSHMEM_LABEL_ENTRY_INCOMPATIBLE);
}

enum ivshmem_label_reason ivshmem_label_parse(const void *copy, size_t length, __u64 memory_size,
					      struct ivshmem_label *label);
enum ivshmem_label_reason ivshmem_label_check_entry(const struct ivshmem_label *label,
						    unsigned int i);
const char *ivshmem_label_reason_name(enum ivshmem_label_reason reason);
const char *ivshmem_label_reason_text(enum ivshmem_label_reason reason);
__u32 ivshmem_label_crc(const void *copy, size_t fixed_size);
bool ivshmem_label_is_type(const char type[16]);
bool ivshmem_label_is_name(const char name[32]);

#endif /* IVSHMEM_LABEL_H */
