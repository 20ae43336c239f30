// SPDX-License-Identifier: GPL-2.0-only
/* How much alike two words are. */
#include "../../tools/ctl/distance.c"
#include "../guest/tap.h"

int main(void)
{
	static const struct {
		const char *one, *other;
		size_t distance;
	} cases[] = {
		{ "", "", 0 }, { "", "add", 3 }, { "list", "list", 0 }, { "LIST", "list", 0 },
		{ "lis", "list", 1 }, { "listt", "list", 1 }, { "lost", "list", 1 },
		{ "lsit", "list", 1 }, { "ilts", "list", 2 }, { "ca", "abc", 3 },
		{ "kitten", "sitting", 3 }, { "caf\xc3\xa9", "cafe", 2 },
		{ "0123456789abcdef", "", LONGEST_WORD },
		{ "0123456789abcdefg", "0123456789abcdefg", SIZE_MAX },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *one = cases[i].one, *other = cases[i].other;

		tap_eq(word_distance(one, other), cases[i].distance, "'%s' and '%s'", one, other);
		tap_eq(word_distance(other, one), cases[i].distance, "the other way round");
	}
	return tap_done();
}
