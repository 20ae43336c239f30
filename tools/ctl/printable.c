// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text of others, for a terminal: see printable.h.
 */
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "printable.h"

/* A character as it is shown: itself in UTF-8, or \xNN. */
#define SHOWN	8

/* Take a character, or a byte that is none, from *@text. Returns the columns that it takes. */
static int take(const char **text, char shown[SHOWN])
{
	mbstate_t state = { 0 };
	wchar_t character;
	size_t size = mbrtowc(&character, *text, strnlen(*text, SHOWN), &state);

	if (size < SHOWN && iswprint((wint_t)character)) {
		snprintf(shown, SHOWN, "%.*s", (int)size, *text);
		*text += size;
		return 1;
	}
	return snprintf(shown, SHOWN, "\\x%02x", (unsigned char)*(*text)++);
}

int print_printable(const char *text)
{
	char shown[SHOWN];
	int printed = 0;

	while (*text) {
		printed += take(&text, shown);
		fputs(shown, stdout);
	}
	return printed;
}

const char *format_printable(char *shown, size_t room, const char *text)
{
	char one[SHOWN];
	size_t used = 0;

	shown[0] = '\0';
	while (*text) {
		take(&text, one);
		if (used + strlen(one) >= room)
			break;
		used = (size_t)(stpcpy(shown + used, one) - shown);
	}
	return shown;
}

char *mask_unprintable(char *text)
{
	char one[SHOWN];

	for (char *at = text; *at;) {
		const char *next = at;

		if (take(&next, one) > 1)
			*at = '?';
		at += next - at;
	}
	return text;
}
