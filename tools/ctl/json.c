// SPDX-License-Identifier: GPL-2.0-only
/*
 * JSON output: documented in ivshmemctl-1.schema.json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

/* The bytes of the character at @text, or 0 if it is none in UTF-8. */
static size_t character_size(const char *text)
{
	uint8_t first = (uint8_t)*text;
	size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	json_t *alone;

	if (strnlen(text, size) < size)
		return 0;
	/* Jansson knows which are valid. */
	alone = json_stringn(text, size);
	json_decref(alone);
	return alone ? size : 0;
}

json_t *json_bytes(const char *text)
{
	json_t *string = json_string(text);
	char *escaped, *end;

	if (string)
		return string;
	escaped = malloc(4 * strlen(text) + 1);
	if (!escaped)
		return NULL;
	for (end = escaped; *text;) {
		size_t size = character_size(text);

		if (size) {
			end = mempcpy(end, text, size);
			text += size;
		} else {
			end += sprintf(end, "\\x%02x", (uint8_t)*text++);
		}
	}
	*end = '\0';
	string = json_string(escaped);
	free(escaped);
	return string;
}

json_t *json_id(uint32_t id)
{
	return id == IVSHMEM_ID_UNKNOWN ? json_null() : json_integer(id);
}

enum exit_code print_json(FILE *stream, json_t *json, bool compact)
{
	size_t flags = JSON_REAL_PRECISION(9) |
		       (compact ? JSON_COMPACT : JSON_INDENT(2));
	int failed = !json || json_dumpf(json, stream, flags);

	json_decref(json);
	if (failed || fputc('\n', stream) == EOF || fflush(stream))
		return complain(EXIT_FAILED, "cannot write the JSON output");
	return EXIT_OK;
}
