// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reader of labels (src/core/label.c), with a label that is wrong in one field at a time,
 * and what makes labels (lib/label_build.c).
 */
#include <inttypes.h>
#include <stdint.h>

#include "../guest/tap.h"
#include "../../lib/label_build.h"

#define MEMORY	(16 << 20)
#define DATA	0x20000
#define FIXED	(256 + 64 * 128)	/* bytes in the fixed part */
#define FIRST	(256 + 128)		/* partition 2 */
#define SECOND	(256 + 2 * 128)
#define LAST	(256 + 63 * 128)	/* partition 64 */

static const struct ivshmem_label good = {
	.uuid = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
	.compatible = 0x8000000000000001,
	.generation = 4,
	.region_size = MEMORY,
	.data_offset = DATA,
	.peers_offset = 0x3000,
	.peer_size = 0x1000,
	.peers = 16,
	.bell_vectors = 4,
	.header_size = 256,
	.entry_size = 128,
	.nr_entries = 64,
	.entries = {
		[1] = { "frames-v1", "frames", 0x200000, 4 << 20, 2, 0x80000000, 1, 2 },
		[2] = { "raw", "log.0", DATA, 0x10000, 4, 0, 3, 1 },
		[63] = { "abcdefghijklm-0", "Z234567890123456789012345678_._", MEMORY - 4096, 4096,
			 3, 1, 255, 1 },
	},
};

/* One field, what it becomes, and the reason and the partition for which that is refused. */
struct change {
	size_t at;
	size_t size;
	uint64_t value;
	enum ivshmem_label_reason reason;
	unsigned int refused;
};

static const struct change changes[] = {
	{ 0x00, 1, 'i', IVSHMEM_LABEL_NONE, 0 },
	{ 0x07, 1, 0, IVSHMEM_LABEL_NONE, 0 },
	{ 0x10, 2, 0, IVSHMEM_LABEL_BAD_VERSION, 0 },
	{ 0x10, 2, 2, IVSHMEM_LABEL_BAD_VERSION, 0 },
	{ 0x18, 8, 1, IVSHMEM_LABEL_BAD_FEATURE, 0 },
	{ 0x18, 8, 1ULL << 63, IVSHMEM_LABEL_BAD_FEATURE, 0 },
	{ 0x12, 2, 255, IVSHMEM_LABEL_BAD_HEADER_SIZE, 0 },
	{ 0x14, 2, 127, IVSHMEM_LABEL_BAD_ENTRY_SIZE, 0 },
	{ 0x16, 2, 65, IVSHMEM_LABEL_BAD_ENTRIES, 0 },
	{ 0x12, 2, 257, IVSHMEM_LABEL_BAD_FIXED_SIZE, 0 },
	{ 0x14, 2, 129, IVSHMEM_LABEL_BAD_FIXED_SIZE, 0 },
	{ 0x16, 2, 63, IVSHMEM_LABEL_BAD_FIXED_SIZE, 0 },
	{ 0x0c, 4, FIXED - 1, IVSHMEM_LABEL_BAD_FIXED_SIZE, 0 },
	{ 0x0c, 4, FIXED + 1, IVSHMEM_LABEL_BAD_FIXED_SIZE, 0 },
	{ 0x0c, 4, 0, IVSHMEM_LABEL_BAD_FIXED_SIZE, 0 },
	{ 0x0c, 4, UINT32_MAX, IVSHMEM_LABEL_BAD_FIXED_SIZE, 0 },
	{ 0x38, 8, 0, IVSHMEM_LABEL_BAD_GENERATION, 0 },
	{ 0x40, 8, MEMORY + 1, IVSHMEM_LABEL_BAD_REGION_SIZE, 0 },
	{ 0x40, 8, UINT64_MAX, IVSHMEM_LABEL_BAD_REGION_SIZE, 0 },
	{ 0x48, 8, DATA + 1, IVSHMEM_LABEL_BAD_DATA_OFFSET, 0 },
	{ 0x48, 8, 0, IVSHMEM_LABEL_BAD_DATA_OFFSET, 0 },
	{ 0x48, 8, 0x2000, IVSHMEM_LABEL_BAD_DATA_OFFSET, 0 },
	{ 0x48, 8, MEMORY + 4096, IVSHMEM_LABEL_BAD_DATA_OFFSET, 0 },
	{ 0x5c, 2, 129, IVSHMEM_LABEL_BAD_PEERS, 0 },
	{ 0x5e, 2, 257, IVSHMEM_LABEL_BAD_PEERS, 0 },
	{ 0x58, 4, 0x1001, IVSHMEM_LABEL_BAD_PEER_SIZE, 0 },
	{ 0x58, 4, 0, IVSHMEM_LABEL_BAD_PEER_SIZE, 0 },
	{ 0x5e, 2, 60, IVSHMEM_LABEL_BAD_PEER_SIZE, 0 },	/* 59 fit */
	{ 0x50, 8, 0x3001, IVSHMEM_LABEL_BAD_PEERS_OFFSET, 0 },
	{ 0x50, 8, 0x2000, IVSHMEM_LABEL_BAD_PEERS_OFFSET, 0 },
	{ 0x50, 8, DATA - 0xf000, IVSHMEM_LABEL_BAD_PEERS_OFFSET, 0 },
	{ 0x50, 8, DATA + 0x1000, IVSHMEM_LABEL_BAD_PEERS_OFFSET, 0 },
	{ 0x50, 8, UINT64_MAX - 0xfff, IVSHMEM_LABEL_BAD_PEERS_OFFSET, 0 },
	{ 0x58, 4, 0x2000, IVSHMEM_LABEL_BAD_PEERS_OFFSET, 0 },
	{ 0x58, 4, 0xfffff000, IVSHMEM_LABEL_BAD_PEERS_OFFSET, 0 },
	{ 0x5c, 2, 30, IVSHMEM_LABEL_BAD_PEERS_OFFSET, 0 },

	{ FIRST, 1, 0, IVSHMEM_LABEL_BAD_TYPE, 2 },
	{ FIRST, 1, 'F', IVSHMEM_LABEL_BAD_TYPE, 2 },
	{ FIRST, 1, '1', IVSHMEM_LABEL_BAD_TYPE, 2 },
	{ FIRST + 2, 1, '_', IVSHMEM_LABEL_BAD_TYPE, 2 },
	{ FIRST + 3, 1, 0, IVSHMEM_LABEL_BAD_TYPE, 2 },		/* more behind the end */
	{ LAST + 15, 1, 'x', IVSHMEM_LABEL_BAD_TYPE, 64 },	/* no end */
	{ FIRST + 0x10, 1, 0, IVSHMEM_LABEL_BAD_NAME, 2 },
	{ FIRST + 0x10, 1, '.', IVSHMEM_LABEL_BAD_NAME, 2 },
	{ FIRST + 0x12, 1, '/', IVSHMEM_LABEL_BAD_NAME, 2 },
	{ FIRST + 0x12, 1, 0xe4, IVSHMEM_LABEL_BAD_NAME, 2 },
	{ FIRST + 0x12, 1, 0, IVSHMEM_LABEL_BAD_NAME, 2 },
	{ LAST + 0x2f, 1, 'x', IVSHMEM_LABEL_BAD_NAME, 64 },
	{ FIRST + 0x30, 8, 0x200800, IVSHMEM_LABEL_BAD_ALIGNMENT, 2 },
	{ FIRST + 0x38, 8, 4095, IVSHMEM_LABEL_BAD_ALIGNMENT, 2 },
	{ FIRST + 0x38, 8, 0, IVSHMEM_LABEL_BAD_ALIGNMENT, 2 },
	{ FIRST + 0x30, 8, DATA - 0x1000, IVSHMEM_LABEL_BAD_RANGE, 2 },
	{ FIRST + 0x30, 8, 0, IVSHMEM_LABEL_BAD_RANGE, 2 },
	{ FIRST + 0x30, 8, MEMORY, IVSHMEM_LABEL_BAD_RANGE, 2 },
	{ FIRST + 0x30, 8, MEMORY + 0x1000, IVSHMEM_LABEL_BAD_RANGE, 2 },
	{ FIRST + 0x30, 8, UINT64_MAX - 0xfff, IVSHMEM_LABEL_BAD_RANGE, 2 },
	{ FIRST + 0x38, 8, 14 << 20 | 0x1000, IVSHMEM_LABEL_BAD_RANGE, 2 },
	{ FIRST + 0x38, 8, UINT64_MAX - 0xfff, IVSHMEM_LABEL_BAD_RANGE, 2 },
	{ FIRST + 0x4c, 2, 255, IVSHMEM_LABEL_BAD_VECTORS, 2 },
	{ FIRST + 0x4e, 2, 256, IVSHMEM_LABEL_BAD_VECTORS, 2 },
	{ LAST + 0x4c, 2, 65535, IVSHMEM_LABEL_BAD_VECTORS, 64 },
	{ LAST + 0x30, 8, 0x5ff000, IVSHMEM_LABEL_SAME_BYTES, 64 },
	{ LAST + 0x30, 8, DATA, IVSHMEM_LABEL_SAME_BYTES, 64 },
	{ FIRST + 0x38, 8, 14 << 20, IVSHMEM_LABEL_SAME_BYTES, 64 },
	{ SECOND + 0x38, 8, 2 << 20, IVSHMEM_LABEL_SAME_BYTES, 3 },
	{ SECOND + 0x4c, 2, 2, IVSHMEM_LABEL_SAME_VECTORS, 3 },
	{ FIRST + 0x4e, 2, 3, IVSHMEM_LABEL_SAME_VECTORS, 3 },

	/* What is just right, and what does not matter. */
	{ 0x20, 8, UINT64_MAX, IVSHMEM_LABEL_VALID, 0 },
	{ 0x60, 8, UINT64_MAX, IVSHMEM_LABEL_VALID, 0 },
	{ 0x38, 8, UINT64_MAX, IVSHMEM_LABEL_VALID, 0 },
	{ 0x5e, 2, 59, IVSHMEM_LABEL_VALID, 0 },
	{ 0x50, 8, DATA - 0x10000, IVSHMEM_LABEL_VALID, 0 },
	{ 0x5c, 2, 0, IVSHMEM_LABEL_VALID, 0 },
	{ FIRST + 0x30, 8, 0x600000, IVSHMEM_LABEL_VALID, 0 },
	{ FIRST + 0x38, 8, (14 << 20) - 4096, IVSHMEM_LABEL_VALID, 0 },
	{ FIRST + 0x40, 8, 0, IVSHMEM_LABEL_VALID, 0 },
	{ FIRST + 0x48, 4, UINT32_MAX, IVSHMEM_LABEL_VALID, 0 },
	{ FIRST + 0x50, 8, UINT64_MAX, IVSHMEM_LABEL_VALID, 0 },
	{ SECOND + 0x38, 8, (2 << 20) - DATA, IVSHMEM_LABEL_VALID, 0 },
	{ LAST + 0x4e, 2, 0, IVSHMEM_LABEL_VALID, 0 },
};

static uint8_t copy[IVSHMEM_LABEL_MAX_SIZE];

static void poke(size_t at, uint64_t value, size_t size)
{
	memcpy(copy + at, &value, size);	/* on a little-endian machine */
}

static void make_good(void)
{
	memset(copy, 0, sizeof(copy));
	if (ivshmem_label_build(copy, &good) != FIXED)
		tap_bail("the label is not made");
}

/* Parse the first @length bytes, from memory that has no more, with a right checksum. */
static enum ivshmem_label_reason parse(size_t length, struct ivshmem_label *label)
{
	enum ivshmem_label_reason reason;
	void *exact = malloc(length);

	poke(0x08, ivshmem_label_crc(copy, FIXED), 4);
	memcpy(exact, copy, length);
	reason = ivshmem_label_parse(exact, length, MEMORY, label);
	free(exact);
	return reason;
}

static void expect(const char *what, enum ivshmem_label_reason found,
		   enum ivshmem_label_reason reason)
{
	if (!tap_ok(found == reason, "%s: %s", what, ivshmem_label_reason_name(reason)))
		tap_note("found: %s", ivshmem_label_reason_name(found));
}

static void test_good(void)
{
	uint8_t again[sizeof(copy)] = { 0 };
	struct ivshmem_label label;

	tap_about("good");
	make_good();
	expect("just the fixed part", parse(FIXED, &label), IVSHMEM_LABEL_VALID);
	tap_ok(!memcmp(&label, &good, sizeof(good)), "what was built is read");
	tap_ok(ivshmem_label_build(again, &label) == FIXED && !memcmp(again, copy, sizeof(copy)),
	       "what was read is built");
	tap_ok(!ivshmem_label_usable(&label.entries[63]) &&
	       ivshmem_label_usable(&label.entries[1]),
	       "an unknown incompatible flag forbids that partition, a compatible one does not");
	poke(0x60, 0x1122334455667788, 8);
	poke(SECOND + 0x50, 0x1122334455667788, 8);
	memcpy(again, copy, sizeof(copy));
	label.entries[1] = (struct ivshmem_label_entry){ 0 };
	ivshmem_label_build(again, &label);
	tap_ok(!memcmp(again + 0x60, copy + 0x60, 0x20) &&
	       !memcmp(again + SECOND, copy + SECOND, 128), "what is unknown is kept");
	tap_ok(!memcmp(again + FIRST, copy + 256, 128), "a free entry is zero");
}

static void test_sizes(void)
{
	struct ivshmem_label label = good;

	tap_about("sizes");
	make_good();
	expect("no byte", parse(0, &label), IVSHMEM_LABEL_NONE);
	expect("255 bytes", parse(255, &label), IVSHMEM_LABEL_NONE);
	expect("256 bytes", parse(256, &label), IVSHMEM_LABEL_CUT_OFF);
	expect("a byte less", parse(FIXED - 1, &label), IVSHMEM_LABEL_CUT_OFF);
	expect("a byte more", parse(FIXED + 1, &label), IVSHMEM_LABEL_VALID);
	memset(copy, 0, sizeof(copy));
	label = good;
	label.entry_size = 512;
	tap_ok(!ivshmem_label_build(copy, &label), "32 KiB are not built");
	label.nr_entries = 3;
	label.header_size = 600;
	tap_eq(ivshmem_label_build(copy, &label), 600 + 3 * 512, "larger parts are built");
	expect("and read", ivshmem_label_parse(copy, sizeof(copy), MEMORY, &label),
	       IVSHMEM_LABEL_VALID);
	tap_ok(!memcmp(&label.entries[2], &good.entries[2], sizeof(good.entries[2])),
	       "from where they are");
}

/* A label in one piece of more bytes than a fixed part may have. */
static void test_too_long(void)
{
	static uint8_t large[2 * sizeof(copy)];
	struct ivshmem_label label;

	tap_about("too long");
	make_good();
	poke(0x14, sizeof(copy) / 64, 2);
	poke(0x0c, 256 + sizeof(copy), 4);
	memcpy(large, copy, 256);
	poke(0x08, ivshmem_label_crc(large, 256 + sizeof(copy)), 4);
	memcpy(large, copy, 256);
	expect("256 bytes more", ivshmem_label_parse(large, sizeof(large), MEMORY, &label),
	       IVSHMEM_LABEL_BAD_FIXED_SIZE);
}

static void test_no_peers(void)
{
	struct ivshmem_label label;

	tap_about("no peer area");
	make_good();
	poke(0x50, UINT64_MAX, 8);
	poke(0x58, UINT32_MAX, 4);
	poke(0x5c, 0, 2);
	poke(0x5e, 257, 2);
	expect("its fields have no meaning", parse(FIXED, &label), IVSHMEM_LABEL_VALID);
	tap_ok(!label.peers_offset && !label.peer_size && !label.bell_vectors,
	       "and are read as 0");
}

static void test_checksum(void)
{
	struct ivshmem_label label;
	int same = 0;

	tap_about("checksum");
	make_good();
	tap_eq(ivshmem_label_crc("12345678\0\0\0\0", 12), 0xd1cfa43f,
	       "that of a text, with its own field as 0");
	for (size_t at = 8; at < FIXED; at++) {
		copy[at] ^= 0x10;
		same += ivshmem_label_parse(copy, FIXED, MEMORY, &label) == IVSHMEM_LABEL_VALID;
		copy[at] ^= 0x10;
	}
	tap_eq(same, 0, "each byte counts");
}

static void test_fields(void)
{
	struct ivshmem_label label;
	char what[64];

	tap_about("field");
	for (size_t n = 0; n < sizeof(changes) / sizeof(*changes); n++) {
		const struct change *change = &changes[n];

		make_good();
		poke(change->at, change->value, change->size);
		snprintf(what, sizeof(what), "%#zx is %#" PRIx64, change->at, change->value);
		expect(what, parse(FIXED, &label), change->reason);
		if (label.refused != change->refused)
			tap_ok(false, "partition %u, not %u", label.refused, change->refused);
	}
	make_good();
	memcpy(copy + LAST + 0x10, copy + FIRST + 0x10, 32);
	expect("two names are equal", parse(FIXED, &label), IVSHMEM_LABEL_SAME_NAME);
	tap_eq(label.refused, 64, "the later one is refused");
}

static void test_reasons(void)
{
	tap_about("");
	for (int reason = 0; reason < IVSHMEM_LABEL_REASONS; reason++)
		if (!ivshmem_label_reason_name(reason) || !ivshmem_label_reason_text(reason))
			tap_ok(false, "reason %d has a name and a text", reason);
	tap_ok(true, "each reason has a name and a text");
}

int main(void)
{
	test_good();
	test_sizes();
	test_too_long();
	test_no_peers();
	test_checksum();
	test_fields();
	test_reasons();
	return tap_done();
}
