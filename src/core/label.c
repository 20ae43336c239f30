// SPDX-License-Identifier: GPL-2.0-only OR LGPL-2.1-or-later
/*
 * Reads the label of a region
 *
 * What is parsed is a copy that nobody else can write to. Each check is a line of the table in
 * docs/label-format.md, in the same order. The driver and the library share this file.
 */
#include "bytes.h"
#include "label.h"

/* By reason: its name in docs/label-format.md, and a text that follows "the label: ". */
static const struct {
	const char *name;
	const char *text;
} reasons[IVSHMEM_LABEL_REASONS] = {
	[IVSHMEM_LABEL_VALID] = { "valid", "it is valid" },
	[IVSHMEM_LABEL_NONE] = { "none", "there is none" },
	[IVSHMEM_LABEL_BAD_VERSION] = { "version", "its version is not 1" },
	[IVSHMEM_LABEL_BAD_FEATURE] = { "feature", "it has an unknown incompatible feature" },
	[IVSHMEM_LABEL_BAD_HEADER_SIZE] = { "header-size", "its header is too short" },
	[IVSHMEM_LABEL_BAD_ENTRY_SIZE] = { "entry-size", "its entries are too short" },
	[IVSHMEM_LABEL_BAD_ENTRIES] = { "entries", "it has more than 64 entries" },
	[IVSHMEM_LABEL_BAD_FIXED_SIZE] = { "fixed-size", "its size contradicts its entries" },
	[IVSHMEM_LABEL_CUT_OFF] = { "cut-off", "the memory ends inside it" },
	[IVSHMEM_LABEL_BAD_CRC] = { "crc", "its checksum is wrong" },
	[IVSHMEM_LABEL_BAD_GENERATION] = { "generation", "its generation is 0" },
	[IVSHMEM_LABEL_BAD_REGION_SIZE] = { "region-size", "it is of a larger region" },
	[IVSHMEM_LABEL_BAD_DATA_OFFSET] = { "data-offset", "data_offset is wrong" },
	[IVSHMEM_LABEL_BAD_PEERS] = { "peers", "it has too many peers or polled doorbells" },
	[IVSHMEM_LABEL_BAD_PEER_SIZE] = { "peer-size", "the size of its peer sections is wrong" },
	[IVSHMEM_LABEL_BAD_PEERS_OFFSET] = { "peers-offset", "its peer area is misplaced" },
	[IVSHMEM_LABEL_BAD_TYPE] = { "type", "the type is malformed" },
	[IVSHMEM_LABEL_BAD_NAME] = { "name", "the name is malformed" },
	[IVSHMEM_LABEL_BAD_ALIGNMENT] = { "alignment", "it is not whole pages of 4096 bytes" },
	[IVSHMEM_LABEL_BAD_RANGE] = { "range", "it is outside of the data of the region" },
	[IVSHMEM_LABEL_BAD_VECTORS] = { "vectors", "it has vectors beyond 255" },
	[IVSHMEM_LABEL_SAME_NAME] = { "same-name", "another one has its name" },
	[IVSHMEM_LABEL_SAME_BYTES] = { "same-bytes", "another one has some of its bytes" },
	[IVSHMEM_LABEL_SAME_VECTORS] = { "same-vectors", "another one has some of its vectors" },
};

/**
 * ivshmem_label_reason_name() - get the word for a reason
 * @reason: what ivshmem_label_parse() returned
 *
 * Return: the word of docs/label-format.md
 */
const char *ivshmem_label_reason_name(enum ivshmem_label_reason reason)
{
	return reasons[reason].name;
}

/**
 * ivshmem_label_reason_text() - get a reason for people
 * @reason: what ivshmem_label_parse() returned
 *
 * Return: a clause whose subject, "it", is the partition refused, or the label
 */
const char *ivshmem_label_reason_text(enum ivshmem_label_reason reason)
{
	return reasons[reason].text;
}

static bool is_zero(const void *bytes, size_t n)
{
	const __u8 *at = bytes;

	while (n--)
		if (*at++)
			return false;
	return true;
}

/**
 * ivshmem_label_crc() - compute the checksum of a label
 * @copy: the fixed part
 * @fixed_size: its bytes, at least those of a header
 *
 * Return: CRC32C, with the checksum's own field as 0
 */
__u32 ivshmem_label_crc(const void *copy, size_t fixed_size)
{
	return ivshmem_checksum(copy, fixed_size, IVSHMEM_LABEL_AT_CRC);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_alphanumeric(char c)
{
	return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z');
}

/**
 * ivshmem_label_is_type() - is this well-formed?
 * @type: all of the field
 *
 * Return: whether a partition can have it as its type
 */
bool ivshmem_label_is_type(const char type[16])
{
	int n;

	if (!is_lower(type[0]))
		return false;
	for (n = 1; n < 16 && type[n]; n++)
		if (!is_lower(type[n]) && !is_digit(type[n]) && type[n] != '-')
			return false;
	return n < 16 && is_zero(type + n, 16 - n);
}

/**
 * ivshmem_label_is_name() - is this well-formed?
 * @name: all of the field
 *
 * Return: whether a partition can have it as its name
 */
bool ivshmem_label_is_name(const char name[32])
{
	int n;

	if (!is_alphanumeric(name[0]))
		return false;
	for (n = 1; n < 32 && name[n]; n++)
		if (!is_alphanumeric(name[n]) && name[n] != '.' && name[n] != '_' &&
		    name[n] != '-')
			return false;
	return n < 32 && is_zero(name + n, 32 - n);
}

static bool is_aligned(__u64 n)
{
	return n % IVSHMEM_LABEL_ALIGNMENT == 0;
}

/* Is there one label in one piece? Then all of its fixed part is in @copy. */
static enum ivshmem_label_reason parse_frame(const __u8 *copy, size_t length,
					     struct ivshmem_label *label)
{
	__u32 fixed_size;

	if (length < IVSHMEM_LABEL_HEADER_SIZE || memcmp(copy, IVSHMEM_LABEL_MAGIC, 8))
		return IVSHMEM_LABEL_NONE;
	if (load16(copy + IVSHMEM_LABEL_AT_VERSION) != IVSHMEM_LABEL_VERSION)
		return IVSHMEM_LABEL_BAD_VERSION;
	if (load64(copy + IVSHMEM_LABEL_AT_INCOMPATIBLE))
		return IVSHMEM_LABEL_BAD_FEATURE;
	label->header_size = load16(copy + IVSHMEM_LABEL_AT_HEADER_SIZE);
	if (label->header_size < IVSHMEM_LABEL_HEADER_SIZE)
		return IVSHMEM_LABEL_BAD_HEADER_SIZE;
	label->entry_size = load16(copy + IVSHMEM_LABEL_AT_ENTRY_SIZE);
	if (label->entry_size < IVSHMEM_LABEL_ENTRY_SIZE)
		return IVSHMEM_LABEL_BAD_ENTRY_SIZE;
	label->nr_entries = load16(copy + IVSHMEM_LABEL_AT_ENTRIES);
	if (label->nr_entries > IVSHMEM_LABEL_MAX_ENTRIES)
		return IVSHMEM_LABEL_BAD_ENTRIES;
	fixed_size = load32(copy + IVSHMEM_LABEL_AT_FIXED_SIZE);
	if (fixed_size != label->header_size + (__u32)label->nr_entries * label->entry_size ||
	    fixed_size > IVSHMEM_LABEL_MAX_SIZE)
		return IVSHMEM_LABEL_BAD_FIXED_SIZE;
	if (fixed_size > length)
		return IVSHMEM_LABEL_CUT_OFF;
	if (ivshmem_label_crc(copy, fixed_size) != load32(copy + IVSHMEM_LABEL_AT_CRC))
		return IVSHMEM_LABEL_BAD_CRC;
	return IVSHMEM_LABEL_VALID;
}

static enum ivshmem_label_reason parse_peers(const __u8 *copy, __u32 fixed_size,
					     struct ivshmem_label *label)
{
	__u64 all;

	label->peers = load16(copy + IVSHMEM_LABEL_AT_PEERS);
	if (!label->peers)
		return IVSHMEM_LABEL_VALID;
	label->bell_vectors = load16(copy + IVSHMEM_LABEL_AT_BELL_VECTORS);
	if (label->peers > IVSHMEM_LABEL_MAX_PEERS ||
	    label->bell_vectors > IVSHMEM_LABEL_MAX_VECTORS)
		return IVSHMEM_LABEL_BAD_PEERS;
	label->peer_size = load32(copy + IVSHMEM_LABEL_AT_PEER_SIZE);
	if (!is_aligned(label->peer_size) ||
	    label->peer_size < IVSHMEM_LABEL_RUNG_OFFSET +
			       4U * label->peers * (1 + label->bell_vectors))
		return IVSHMEM_LABEL_BAD_PEER_SIZE;
	label->peers_offset = load64(copy + IVSHMEM_LABEL_AT_PEERS_OFFSET);
	all = (__u64)label->peers * label->peer_size;
	if (!is_aligned(label->peers_offset) || label->peers_offset < fixed_size ||
	    label->peers_offset > label->data_offset ||
	    all > label->data_offset - label->peers_offset)
		return IVSHMEM_LABEL_BAD_PEERS_OFFSET;
	return IVSHMEM_LABEL_VALID;
}

static enum ivshmem_label_reason parse_header(const __u8 *copy, __u64 memory_size,
					      struct ivshmem_label *label)
{
	__u32 fixed_size = load32(copy + IVSHMEM_LABEL_AT_FIXED_SIZE);

	memcpy(label->uuid, copy + IVSHMEM_LABEL_AT_UUID, sizeof(label->uuid));
	label->compatible = load64(copy + IVSHMEM_LABEL_AT_COMPATIBLE);
	label->generation = load64(copy + IVSHMEM_LABEL_AT_GENERATION);
	if (!label->generation)
		return IVSHMEM_LABEL_BAD_GENERATION;
	label->region_size = load64(copy + IVSHMEM_LABEL_AT_REGION_SIZE);
	if (label->region_size > memory_size)
		return IVSHMEM_LABEL_BAD_REGION_SIZE;
	label->data_offset = load64(copy + IVSHMEM_LABEL_AT_DATA_OFFSET);
	if (!is_aligned(label->data_offset) || label->data_offset < fixed_size ||
	    label->data_offset > label->region_size)
		return IVSHMEM_LABEL_BAD_DATA_OFFSET;
	return parse_peers(copy, fixed_size, label);
}

static enum ivshmem_label_reason check_entry(const struct ivshmem_label *label,
					     const struct ivshmem_label_entry *entry)
{
	if (!ivshmem_label_is_type(entry->type))
		return IVSHMEM_LABEL_BAD_TYPE;
	if (!ivshmem_label_is_name(entry->name))
		return IVSHMEM_LABEL_BAD_NAME;
	if (!is_aligned(entry->offset) || !is_aligned(entry->size) || !entry->size)
		return IVSHMEM_LABEL_BAD_ALIGNMENT;
	if (entry->offset < label->data_offset || entry->offset > label->region_size ||
	    entry->size > label->region_size - entry->offset)
		return IVSHMEM_LABEL_BAD_RANGE;
	if (entry->vectors && entry->first_vector + entry->vectors > IVSHMEM_LABEL_MAX_VECTORS)
		return IVSHMEM_LABEL_BAD_VECTORS;
	return IVSHMEM_LABEL_VALID;
}

/* Do two ranges have something in common? An empty one has nothing. */
static bool overlap(__u64 a, __u64 n, __u64 b, __u64 m)
{
	return n && m && a < b + m && b < a + n;
}

static enum ivshmem_label_reason compare_entries(const struct ivshmem_label_entry *a,
						 const struct ivshmem_label_entry *b)
{
	if (!memcmp(a->name, b->name, sizeof(a->name)))
		return IVSHMEM_LABEL_SAME_NAME;
	if (overlap(a->offset, a->size, b->offset, b->size))
		return IVSHMEM_LABEL_SAME_BYTES;
	if (overlap(a->first_vector, a->vectors, b->first_vector, b->vectors))
		return IVSHMEM_LABEL_SAME_VECTORS;
	return IVSHMEM_LABEL_VALID;
}

static void load_entry(const __u8 *at, struct ivshmem_label_entry *entry)
{
	memcpy(entry->type, at + IVSHMEM_ENTRY_AT_TYPE, sizeof(entry->type));
	memcpy(entry->name, at + IVSHMEM_ENTRY_AT_NAME, sizeof(entry->name));
	entry->offset = load64(at + IVSHMEM_ENTRY_AT_OFFSET);
	entry->size = load64(at + IVSHMEM_ENTRY_AT_SIZE);
	entry->generation = load64(at + IVSHMEM_ENTRY_AT_GENERATION);
	entry->flags = load32(at + IVSHMEM_ENTRY_AT_FLAGS);
	entry->first_vector = load16(at + IVSHMEM_ENTRY_AT_FIRST_VECTOR);
	entry->vectors = load16(at + IVSHMEM_ENTRY_AT_VECTORS);
}

/**
 * ivshmem_label_check_entry() - check a partition
 * @label: its sizes, and the entries before, are valid
 * @i: an entry that is not free
 *
 * Return: IVSHMEM_LABEL_VALID, which is 0, or why it is refused
 */
enum ivshmem_label_reason ivshmem_label_check_entry(const struct ivshmem_label *label,
						    unsigned int i)
{
	const struct ivshmem_label_entry *entry = &label->entries[i];
	enum ivshmem_label_reason reason = check_entry(label, entry);
	unsigned int before;

	for (before = 0; !reason && before < i; before++)
		if (!ivshmem_label_free(&label->entries[before]))
			reason = compare_entries(entry, &label->entries[before]);
	return reason;
}

/* Parse entry @i; those before it are valid. */
static enum ivshmem_label_reason parse_entry(const __u8 *copy, struct ivshmem_label *label,
					     unsigned int i)
{
	const __u8 *at = copy + label->header_size + i * label->entry_size;

	if (is_zero(at, IVSHMEM_LABEL_ENTRY_SIZE))
		return IVSHMEM_LABEL_VALID;
	load_entry(at, &label->entries[i]);
	return ivshmem_label_check_entry(label, i);
}

/**
 * ivshmem_label_parse() - parse and check the label of a region
 * @copy: from the start of the region, in memory that nobody else writes to
 * @length: bytes in @copy: IVSHMEM_LABEL_MAX_SIZE, or all of a region that is smaller
 * @memory_size: bytes in the region, as far as the device knows
 * @label: the result; if the label is refused, only the field refused has a meaning
 *
 * Peers may be writing: unless it is IVSHMEM_LABEL_NONE, repeat with a new copy before
 * believing that a label is bad.
 *
 * Return: IVSHMEM_LABEL_VALID, which is 0, or why the label is refused
 */
enum ivshmem_label_reason ivshmem_label_parse(const void *copy, size_t length, __u64 memory_size,
					      struct ivshmem_label *label)
{
	enum ivshmem_label_reason reason;
	unsigned int i;

	memset(label, 0, sizeof(*label));
	reason = parse_frame(copy, length, label);
	if (!reason)
		reason = parse_header(copy, memory_size, label);
	for (i = 0; !reason && i < label->nr_entries; i++) {
		reason = parse_entry(copy, label, i);
		if (reason)
			label->refused = i + 1;
	}
	return reason;
}
