// SPDX-License-Identifier: GPL-2.0-only
/*
 * Numbers that administrators write
 */
#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "compat.h"
#include "core.h"

/**
 * ivshmem_parse_number() - parse a number with an optional unit
 * @text: such as 16M, 0x80000000 or 4096, with or without a newline
 * @value: the number
 *
 * Unlike memparse(), it rejects numbers that do not fit.
 *
 * Return: 0; -EINVAL if @text is not a number; -ERANGE if it does not fit
 */
int ivshmem_parse_number(const char *text, u64 *value)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	const char *unit;
	char copy[32], *digits;
	size_t length;
	int ret;

	if (strscpy(copy, text, sizeof(copy)) < 0)
		return -EINVAL;
	digits = strim(copy);
	length = strlen(digits);
	unit = length ? strchr(units, toupper(digits[length - 1])) : NULL;
	if (unit) {
		shift = 10 * (unit - units + 1);
		digits[length - 1] = '\0';
	}
	ret = kstrtoull(digits, 0, value);
	if (ret)
		return ret;
	if (shift && *value >> (64 - shift))
		return -ERANGE;
	*value <<= shift;
	return 0;
}
EXPORT_SYMBOL_IVSHMEM(ivshmem_parse_number);
