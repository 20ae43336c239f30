// SPDX-License-Identifier: GPL-2.0-only
/*
 * A label that a fuzzer overwrites.
 *
 * An input is a size of the memory, and a series of numbers to write somewhere in a good label.
 * The reader must stay inside its copy, and what it accepts must keep every promise of
 * docs/label-format.md. test_fuzzers.py builds this for libFuzzer; by itself it is a test with
 * fixed inputs.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../guest/pattern.h"
#include "../guest/tap.h"
#include "../../lib/label_build.h"

#define SIZE	(1 << 20)	/* of the region */
#define INPUTS	50000
#define LONGEST	96

static const struct ivshmem_label good = {
	.generation = 1,
	.region_size = SIZE,
	.data_offset = 0x8000,
	.peers_offset = 0x4000,
	.peer_size = 0x1000,
	.peers = 4,
	.bell_vectors = 4,
	.header_size = 256,
	.entry_size = 128,
	.nr_entries = 6,
	.entries = {
		[0] = { "raw", "a", 0x10000, 0x10000, 1, 0, 0, 2 },
		[2] = { "raw", "b", 0x20000, 0x20000, 1, 0, 2, 2 },
		[3] = { "net", "c", 0xf0000, 0x10000, 1, 0, 0, 0 },
	},
};

/* Take bytes of the input, or zeros after its end. */
static uint64_t take(const uint8_t **input, size_t *left, size_t size)
{
	uint64_t value = 0;

	if (size > *left)
		size = *left;
	memcpy(&value, *input, size);
	*input += size;
	*left -= size;
	return value;
}

static void must(bool promise)
{
	if (!promise)
		abort();
}

static void check_pair(const struct ivshmem_label_entry *a, const struct ivshmem_label_entry *b)
{
	must(strcmp(a->name, b->name));
	must(a->offset + a->size <= b->offset || b->offset + b->size <= a->offset);
	if (a->vectors && b->vectors)
		must(a->first_vector + a->vectors <= b->first_vector ||
		     b->first_vector + b->vectors <= a->first_vector);
}

static void check_accepted(const struct ivshmem_label *label, uint64_t memory)
{
	must(label->region_size <= memory && label->data_offset <= label->region_size);
	must(label->peers <= 128 && label->bell_vectors <= 256);
	must(label->peers_offset + (uint64_t)label->peers * label->peer_size <=
	     label->data_offset);
	for (int i = 0; i < 64; i++) {
		const struct ivshmem_label_entry *entry = &label->entries[i];

		if (ivshmem_label_free(entry))
			continue;
		must(i < label->nr_entries);
		must(ivshmem_label_is_type(entry->type) && ivshmem_label_is_name(entry->name));
		must(entry->size && (entry->offset | entry->size) % 4096 == 0);
		must(entry->offset >= label->data_offset);
		must(entry->offset + entry->size > entry->offset);
		must(entry->offset + entry->size <= label->region_size);
		must(!entry->vectors || entry->first_vector + entry->vectors <= 256);
		for (int other = 0; other < i; other++)
			if (!ivshmem_label_free(&label->entries[other]))
				check_pair(entry, &label->entries[other]);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t copy[IVSHMEM_LABEL_MAX_SIZE], again[IVSHMEM_LABEL_MAX_SIZE];
	struct ivshmem_label label;
	uint64_t memory = SIZE - 4096 + take(&data, &size, 2) % 3 * 4096;
	size_t fixed, length;
	uint8_t *exact;

	memset(copy, 0, sizeof(copy));
	length = fixed = ivshmem_label_build(copy, &good);
	if (take(&data, &size, 1) == 1)
		length = take(&data, &size, 2) % (fixed + 1);
	while (size) {
		size_t at = take(&data, &size, 2) % (fixed - 8), width = 1 << at % 4;
		uint64_t value = take(&data, &size, width);

		memcpy(copy + at / width * width, &value, width);
	}
	memcpy(&fixed, copy + IVSHMEM_LABEL_AT_FIXED_SIZE, 4);
	if (fixed <= sizeof(copy)) {
		uint32_t crc = ivshmem_label_crc(copy, fixed);

		memcpy(copy + IVSHMEM_LABEL_AT_CRC, &crc, 4);
	}
	exact = malloc(length);
	memcpy(exact, copy, length);
	if (!ivshmem_label_parse(exact, length, memory, &label)) {
		check_accepted(&label, memory);
		memcpy(again, copy, sizeof(copy));
		must(ivshmem_label_build(again, &label) == fixed);
		must(!ivshmem_label_parse(again, sizeof(again), memory, &label));
	}
	free(exact);
	return 0;
}

#ifndef FUZZER
int main(void)
{
	uint8_t data[LONGEST];

	for (uint64_t number = 0; number < INPUTS; number++) {
		size_t size = number % LONGEST;

		pattern_write(data, size, number);
		LLVMFuzzerTestOneInput(data, size);
	}
	tap_ok(true, "the reader survives %d random inputs", INPUTS);
	return tap_done();
}
#endif
