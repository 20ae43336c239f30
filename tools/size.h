/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parsing of sizes, for all programs.
 */
#ifndef SIZE_H
#define SIZE_H

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Powers of 1024. */
static const char size_units[] = "KMGT";

/*
 * Parse a size: decimal, or hexadecimal after 0x, with an optional unit. Returns 0,
 * -EINVAL (not a size) or -ERANGE (too large).
 */
static inline int parse_size(const char *text, uint64_t *value)
{
	int base = strncasecmp(text, "0x", 2) ? 10 : 16;
	unsigned long long number;
	const char *unit;
	char *end;
	int shift = 0;

	/* strtoull() would accept a sign and leading blanks. */
	if (!isdigit((unsigned char)text[0]))
		return -EINVAL;
	if (base == 16 && !isxdigit((unsigned char)text[2]))
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, base);
	if (errno)
		return -errno;
	if (*end) {
		unit = strchr(size_units, toupper((unsigned char)*end));
		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (int)(unit - size_units + 1);
	}
	if (number > UINT64_MAX >> shift)
		return -ERANGE;
	*value = (uint64_t)number << shift;
	return 0;
}

#endif /* SIZE_H */
