// SPDX-License-Identifier: GPL-2.0-only
/* Messages that their receiver can check: see pattern.h. */
#include <string.h>

#include "../pattern.h"

uint64_t pattern_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(0x2545f4914f6cdd1d);
}

uint64_t pattern_seed(uint64_t number)
{
	return (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

size_t pattern_size(uint64_t number, size_t most)
{
	uint64_t state = pattern_seed(number);
	uint64_t kind = pattern_next(&state) % 16;

	return pattern_next(&state) % ((kind ? most / 64 / kind : most) + 1);
}

void pattern_write(void *message, size_t size, uint64_t number)
{
	uint64_t state = pattern_seed(number) ^ size;
	unsigned char *bytes = message;
	size_t done, part;

	for (done = 0; done < size; done += part) {
		uint64_t next = pattern_next(&state);

		part = size - done < sizeof(next) ? size - done : sizeof(next);
		memcpy(bytes + done, &next, part);
	}
}

bool pattern_matches(const void *message, size_t size, uint64_t number)
{
	uint64_t state = pattern_seed(number) ^ size;
	const unsigned char *bytes = message;
	size_t done, part;

	for (done = 0; done < size; done += part) {
		uint64_t next = pattern_next(&state);

		part = size - done < sizeof(next) ? size - done : sizeof(next);
		if (memcmp(bytes + done, &next, part))
			return false;
	}
	return true;
}
