// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text of others, for a terminal: see printable.h.
 */
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "printable.h"

int print_printable(const char *text)
{
	size_t left = strlen(text);
	int printed = 0;

	while (left) {
		mbstate_t state = { 0 };
		wchar_t character;
		size_t size = mbrtowc(&character, text, left, &state);

		if (size <= left && iswprint((wint_t)character)) {
			fwrite(text, 1, size, stdout);
			printed++;
		} else {
			printed += printf("\\x%02x", (unsigned char)*text);
			size = 1;
		}
		text += size;
		left -= size;
	}
	return printed;
}
