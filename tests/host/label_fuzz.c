// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's reader of labels under a fuzzer, see tests/mutations/mutation.h.
 * test_fuzzers.py builds this for libFuzzer; by itself it is a test with fixed inputs.
 */
#include <stdlib.h>

#include "../guest/pattern.h"
#include "../guest/tap.h"
#include "../mutations/mutation.h"

#define INPUTS	50000
#define LONGEST	96

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!mutation_holds(data, size))
		abort();
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
