// SPDX-License-Identifier: GPL-2.0-only
/*
 * The header of a partition with rings (src/rings/layout.c), wrong in one field at a time, and
 * where it says that everything is.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../../src/core/bytes.h"
#include "../../src/rings/layout.h"
#include "../guest/tap.h"

#define SIZE	(1 << 20)

static const struct ivshmem_rings_layout good = {
	.section_offset = 4096,
	.section_size = 65536,
	.entries = 64,
	.bytes = 8192,
	.broadcast_entries = 32,
	.broadcast_bytes = 4096,
	.ports = 4,
};

/* Parse the header for a layout, with @size bytes at @at replaced. */
static enum ivshmem_rings_reason parse(const struct ivshmem_rings_layout *layout, size_t at,
				       uint64_t value, size_t size, uint64_t partition)
{
	struct ivshmem_rings_layout result;
	uint8_t copy[IVSHMEM_RINGS_HEADER_SIZE];

	ivshmem_rings_build(copy, layout);
	store(copy + at, value, size);
	if (size && at != IVSHMEM_RINGS_AT_CRC)
		store(copy + IVSHMEM_RINGS_AT_CRC,
		      ivshmem_checksum(copy, sizeof(copy), IVSHMEM_RINGS_AT_CRC), 4);
	return ivshmem_rings_parse(copy, partition, &result);
}

static void test_refused(void)
{
	static const struct {
		size_t at;
		uint64_t value;
		size_t size;
		enum ivshmem_rings_reason reason;
	} bad[] = {
		{ 0x00, 'X', 1, IVSHMEM_RINGS_NONE },
		{ 0x07, 'X', 1, IVSHMEM_RINGS_NONE },
		{ 0x08, 1, 4, IVSHMEM_RINGS_BAD_CRC },
		{ 0x0c, 0, 2, IVSHMEM_RINGS_BAD_VERSION },
		{ 0x0c, 2, 2, IVSHMEM_RINGS_BAD_VERSION },
		{ 0x0e, 0, 2, IVSHMEM_RINGS_BAD_PORTS },
		{ 0x0e, 1, 2, IVSHMEM_RINGS_BAD_PORTS },
		{ 0x0e, 129, 2, IVSHMEM_RINGS_BAD_PORTS },
		{ 0x0e, 65535, 2, IVSHMEM_RINGS_BAD_PORTS },
		{ 0x10, 1, 8, IVSHMEM_RINGS_BAD_FEATURE },
		{ 0x10, UINT64_C(1) << 63, 8, IVSHMEM_RINGS_BAD_FEATURE },
		{ 0x18, 0, 8, IVSHMEM_RINGS_BAD_SECTION_OFFSET },
		{ 0x18, 4097, 8, IVSHMEM_RINGS_BAD_SECTION_OFFSET },
		{ 0x18, SIZE - 3 * 65536, 8, IVSHMEM_RINGS_CUT_OFF },
		{ 0x18, SIZE + 4096, 8, IVSHMEM_RINGS_CUT_OFF },
		{ 0x18, -4096, 8, IVSHMEM_RINGS_CUT_OFF },
		{ 0x20, 0, 8, IVSHMEM_RINGS_BAD_SECTION_SIZE },
		{ 0x20, 32768, 8, IVSHMEM_RINGS_BAD_SECTION_SIZE },
		{ 0x20, 65537, 8, IVSHMEM_RINGS_BAD_SECTION_SIZE },
		{ 0x20, SIZE / 4, 8, IVSHMEM_RINGS_CUT_OFF },
		{ 0x20, -4096, 8, IVSHMEM_RINGS_CUT_OFF },
		{ 0x20, UINT64_C(1) << 62, 8, IVSHMEM_RINGS_CUT_OFF },
		{ 0x28, 0, 4, IVSHMEM_RINGS_BAD_ENTRIES },
		{ 0x28, 8, 4, IVSHMEM_RINGS_BAD_ENTRIES },
		{ 0x28, 65, 4, IVSHMEM_RINGS_BAD_ENTRIES },
		{ 0x28, 8192, 4, IVSHMEM_RINGS_BAD_ENTRIES },
		{ 0x28, 0x80000000, 4, IVSHMEM_RINGS_BAD_ENTRIES },
		{ 0x28, 4096, 4, IVSHMEM_RINGS_BAD_SECTION_SIZE },
		{ 0x2c, 0, 4, IVSHMEM_RINGS_BAD_BYTES },
		{ 0x2c, 4032, 4, IVSHMEM_RINGS_BAD_BYTES },
		{ 0x2c, 8193, 4, IVSHMEM_RINGS_BAD_BYTES },
		{ 0x2c, (16 << 20) + 64, 4, IVSHMEM_RINGS_BAD_BYTES },
		{ 0x2c, 16 << 20, 4, IVSHMEM_RINGS_BAD_SECTION_SIZE },
		{ 0x30, 0, 4, IVSHMEM_RINGS_BAD_BROADCAST },
		{ 0x30, 17, 4, IVSHMEM_RINGS_BAD_BROADCAST },
		{ 0x34, 0, 4, IVSHMEM_RINGS_BAD_BROADCAST },
		{ 0x34, 65535, 4, IVSHMEM_RINGS_BAD_BROADCAST },
	};
	unsigned int i, seen = 0;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		tap_eq(parse(&good, bad[i].at, bad[i].value, bad[i].size, SIZE), bad[i].reason,
		       "0x%02zx = %#llx is refused: %s", bad[i].at,
		       (unsigned long long)bad[i].value,
		       ivshmem_rings_reason_name(bad[i].reason));
		seen |= 1 << bad[i].reason;
	}
	tap_eq(seen, (1 << IVSHMEM_RINGS_REASONS) - 2, "each reason was seen");
}

static void test_accepted(void)
{
	struct ivshmem_rings_layout layout = good, result;
	uint8_t copy[IVSHMEM_RINGS_HEADER_SIZE];

	tap_eq(parse(&good, 0, 0, 0, SIZE), IVSHMEM_RINGS_VALID, "a good header is accepted");
	tap_eq(parse(&good, 0x38, 1, 8, SIZE), IVSHMEM_RINGS_VALID, "what is reserved is ignored");
	tap_eq(parse(&good, 0, 0, 0, 4096 + 4 * 65536), IVSHMEM_RINGS_VALID,
	       "the last section may end with the partition");
	tap_eq(parse(&good, 0, 0, 0, 4095 + 4 * 65536), IVSHMEM_RINGS_CUT_OFF,
	       "it may not end behind it");
	layout.broadcast_entries = 0;
	layout.broadcast_bytes = 0;
	tap_eq(parse(&layout, 0, 0, 0, SIZE), IVSHMEM_RINGS_VALID, "broadcast rings can be left out");
	layout = good;
	layout.section_size = ivshmem_rings_section_size(&layout);
	tap_eq(parse(&layout, 0, 0, 0, SIZE), IVSHMEM_RINGS_VALID, "sections can be as small as can be");
	ivshmem_rings_build(copy, &good);
	tap_ok(!ivshmem_rings_parse(copy, SIZE, &result) && !memcmp(&result, &good, sizeof(good)),
	       "what was built is what is parsed");
}

/* The largest that the format allows, and the smallest. */
static void test_limits(void)
{
	struct ivshmem_rings_layout layout = {
		.section_offset = 4096, .entries = 4096, .bytes = 16 << 20,
		.broadcast_entries = 4096, .broadcast_bytes = 16 << 20, .ports = 128,
	};

	layout.section_size = ivshmem_rings_section_size(&layout);
	tap_eq(ivshmem_rings_check(&layout, 4096 + 128 * layout.section_size),
	       IVSHMEM_RINGS_VALID, "the largest segment is valid");
	tap_ok(layout.section_size > UINT64_C(128) << 24, "its sections have more than 2 GiB");
	layout.ports = 2;
	layout.entries = 16;
	layout.bytes = 4096;
	layout.broadcast_entries = 0;
	layout.broadcast_bytes = 0;
	layout.section_size = ivshmem_rings_section_size(&layout);
	tap_eq(layout.section_size, 8192, "the smallest section has 8 KiB");
	tap_eq(ivshmem_rings_check(&layout, 3 * 4096 + 8192), IVSHMEM_RINGS_VALID,
	       "the smallest segment is valid");
}

struct part {
	uint64_t start;
	uint64_t end;
};

static int by_start(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* No two parts may have a byte in common, and each lies in the section of its writer. */
static void test_parts(void)
{
	uint64_t ring = good.entries * 32 + good.bytes, end, section;
	unsigned int port, other, n = 0, wrong = 0;
	struct part parts[64];

	for (port = 0; port < good.ports; port++) {
		section = 4096 + port * UINT64_C(65536);
		wrong += ivshmem_rings_port_line(&good, port) != section;
		parts[n++] = (struct part){ section, section + 64 };
		for (other = 0; other < good.ports; other++) {
			end = ivshmem_rings_line(&good, port, other);
			parts[n++] = (struct part){ end, end + 128 };
			end = ivshmem_rings_ring(&good, port, other);
			if (other != port)
				parts[n++] = (struct part){ end, end + ring };
		}
		end = ivshmem_rings_ring(&good, port, good.ports);
		parts[n++] = (struct part){ end, end + 32 * 32 + 4096 };
		wrong += parts[n - 1].end > section + 65536;
	}
	qsort(parts, n, sizeof(*parts), by_start);
	for (unsigned int i = 0; i < n; i++)
		wrong += parts[i].start % 64 || (i && parts[i].start < parts[i - 1].end);
	tap_eq(wrong, 0, "all %u parts are apart, aligned, and in the section of their writer", n);
	tap_eq(ivshmem_rings_ring(&good, 1, 0), 4096 + 65536 + 64 + 4 * 128,
	       "the rings begin behind the lines, and leave out the own port");
	tap_eq(ivshmem_rings_ring(&good, 1, 2) - ivshmem_rings_ring(&good, 1, 0), ring,
	       "each follows the one before");
}

int main(void)
{
	test_accepted();
	test_refused();
	test_limits();
	test_parts();
	return tap_done();
}
