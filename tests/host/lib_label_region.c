// SPDX-License-Identifier: GPL-2.0-only
/*
 * A label that is read while another thread writes it (lib/label_region.c).
 */
#include <pthread.h>
#include <stdatomic.h>

#include "../guest/tap.h"
#include "../../lib/label_build.h"
#include "../../lib/label_region.h"

#define SIZE	(1 << 20)
#define READS	500

static char memory[IVSHMEM_LABEL_MAX_SIZE];
static char copies[2][IVSHMEM_LABEL_MAX_SIZE];
static size_t fixed_size;
static atomic_bool done;

/* Two labels that differ from the first partition to the last. */
static void make(void)
{
	struct ivshmem_label label = {
		.region_size = SIZE, .data_offset = 0x10000,
		.header_size = 256, .entry_size = 128, .nr_entries = 64,
	};

	for (unsigned int which = 0; which < 2; which++) {
		label.generation = which + 1;
		for (unsigned int i = 0; i < 64; i++)
			label.entries[i] = (struct ivshmem_label_entry){
				.type = "raw", .name = { 'a', '0' + i / 10, '0' + i % 10 },
				.offset = 0x10000 + 8192 * i, .size = 4096 * (which + 1),
				.generation = which + 1,
			};
		fixed_size = ivshmem_label_build(copies[which], &label);
	}
	ivshmem_label_put(memory, copies[0], fixed_size);
}

static void *write_all_the_time(void *unused)
{
	for (unsigned int n = 1; !done; n++)
		ivshmem_label_put(memory, copies[n % 2], fixed_size);
	return unused;
}

static bool is_one(const struct ivshmem_label *label)
{
	for (unsigned int i = 0; i < 64; i++)
		if (label->entries[i].generation != label->generation ||
		    label->entries[i].size != 4096 * label->generation)
			return false;
	return true;
}

static void test_beside_a_writer(void)
{
	static char copy[IVSHMEM_LABEL_MAX_SIZE];
	int good = 0, mixed = 0, wrong = 0;
	struct ivshmem_label label;
	pthread_t writer;

	if (pthread_create(&writer, NULL, write_all_the_time, NULL))
		tap_bail("no thread");
	for (int n = 0; n < READS; n++) {
		switch (ivshmem_label_take(memory, sizeof(memory), SIZE, copy, &label)) {
		case IVSHMEM_LABEL_VALID:
			good++;
			mixed += !is_one(&label);
			break;
		case IVSHMEM_LABEL_BAD_CRC:
			break;
		default:
			wrong++;
		}
	}
	done = true;
	pthread_join(writer, NULL);
	tap_ok(!mixed, "no label is a mixture of two");
	tap_ok(!wrong, "it is refused for its checksum, if at all");
	tap_ok(good, "it is good %d of %d times", good, READS);
}

static void test_bad(void)
{
	static char copy[IVSHMEM_LABEL_MAX_SIZE];
	struct ivshmem_label label;

	memory[300] ^= 1;
	tap_eq(ivshmem_label_take(memory, sizeof(memory), SIZE, copy, &label),
	       IVSHMEM_LABEL_BAD_CRC, "what stays bad is refused");
	memset(memory, 0, sizeof(memory));
	tap_eq(ivshmem_label_take(memory, sizeof(memory), SIZE, copy, &label),
	       IVSHMEM_LABEL_NONE, "without a magic there is none");
}

int main(void)
{
	make();
	test_beside_a_writer();
	test_bad();
	return tap_done();
}
