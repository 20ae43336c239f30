// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl read: copy bytes out of the region, or dump them.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "fileio.h"
#include "numbers.h"
#include "progress.h"

#define LINE		16
/* Bytes that a dump shows by default. */
#define SCREENFUL	256

static struct {
	uint64_t offset;
	uint64_t length;
	bool has_length;
	bool raw;
	const char *file;
	int operands;
} option;

/* One line, as "00000010  68 65 6c 6c 6f  |hello|", padded before the text. */
static void dump_line(uint64_t offset, const uint8_t *bytes, size_t count)
{
	printf("%08" PRIx64, offset);
	for (size_t i = 0; i < LINE; i++) {
		fputs(i % 8 ? " " : "  ", stdout);
		if (i < count)
			printf("%02x", bytes[i]);
		else
			fputs("  ", stdout);
	}
	fputs("  |", stdout);
	for (size_t i = 0; i < count; i++)
		putchar(bytes[i] < 0x80 && isprint(bytes[i]) ? bytes[i] : '.');
	puts("|");
}

/* As hexdump -C: repeated lines are replaced by a star. */
static void dump(const uint8_t *bytes, uint64_t offset, uint64_t length)
{
	uint8_t line[LINE], previous[LINE];
	bool starred = false;

	for (uint64_t done = 0; done < length; done += LINE) {
		size_t count = length - done < LINE ? (size_t)(length - done) : LINE;

		memcpy(line, bytes + done, count);
		if (done && count == LINE && !memcmp(line, previous, LINE)) {
			if (!starred)
				puts("*");
			starred = true;
			continue;
		}
		starred = false;
		dump_line(offset + done, line, count);
		memcpy(previous, line, count);
	}
	printf("%08" PRIx64 "\n", offset + length);
}

static enum exit_code dump_json(const uint8_t *bytes, uint64_t offset,
				uint64_t length)
{
	static const char digits[] = "0123456789abcdef";
	char *hex = length < SIZE_MAX / 2 ? malloc(2 * length + 1) : NULL;
	char count[COUNT_TEXT];
	enum exit_code code;

	if (!hex)
		return complain(EXIT_FAILED, "out of memory for the JSON of %s",
				format_count(count, length, "byte"));
	for (uint64_t i = 0; i < length; i++) {
		uint8_t byte = bytes[i];

		hex[2 * i] = digits[byte >> 4];
		hex[2 * i + 1] = digits[byte & 15];
	}
	hex[2 * length] = '\0';
	code = print_json(stdout, json_pack("{s:I, s:I, s:s}",
					    "offset", (json_int_t)offset,
					    "length", (json_int_t)length,
					    "hex", hex), false);
	free(hex);
	return code;
}

static enum exit_code copy_out(const struct file *file, const uint8_t *bytes,
			       uint64_t length)
{
	char count[COUNT_TEXT];
	int64_t done;

	/* The terminal may be for who reads a pipe, such as a pager. */
	if (!file->regular)
		progress_hide();
	done = file_copy_out(file, bytes, length);
	if (done == -EFAULT)
		return complain(EXIT_NO_DEVICE, "the device disappeared during the read");
	if (done < 0)
		return complain(EXIT_FAILED, "cannot write to %s: %s", file->name,
				strerror((int)-done));
	if ((uint64_t)done == length)
		return EXIT_OK;
	return complain(EXIT_FAILED, "interrupted: %s has the first %s", file->name,
			format_count(count, (uint64_t)done, "byte"));
}

static enum exit_code read_region(const struct device *device)
{
	struct mapping mapping;
	struct file output;
	enum exit_code code;
	bool hex = common.json ||
		(!option.raw && !option.file && isatty(STDOUT_FILENO));
	int error;

	code = device_check_range(device, option.offset,
				  option.has_length ? option.length : 0);
	if (code)
		return code;
	if (!option.has_length)
		option.length = device->properties.size - option.offset;
	if (!option.has_length && hex && option.length > SCREENFUL)
		option.length = SCREENFUL;
	code = device_map(device, option.offset, option.length, &mapping);
	if (code)
		return code;
	if (common.json) {
		code = dump_json(mapping.bytes, option.offset, option.length);
	} else if (hex) {
		dump(mapping.bytes, option.offset, option.length);
	} else {
		code = file_open_output(&output, option.file);
		error = code ? 0 : file_truncate(&output);
		if (!code && !error)
			code = copy_out(&output, mapping.bytes, option.length);
		if (!code && !error)
			error = file_close(&output);
		if (error)
			code = complain(EXIT_FAILED, "cannot write to %s: %s",
					output.name, strerror(-error));
	}
	device_unmap(device, &mapping);
	return code;
}

static error_t parse_read(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'r':
		option.raw = true;
		return 0;
	case 'o':
		option.file = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (option.operands == 0) {
			option.offset = argument_size(state, "OFFSET", argument,
						      UINT64_MAX);
		} else if (option.operands == 1) {
			option.length = argument_size(state, "LENGTH", argument,
						      UINT64_MAX);
			option.has_length = true;
		} else {
			argp_error(state, "too many arguments");
		}
		option.operands++;
		return 0;
	case ARGP_KEY_END:
		if (common.json && (option.raw || option.file))
			argp_error(state, "--json excludes --raw and --output");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option read_options[] = {
	{ "raw", 'r', NULL, 0, "Write raw bytes even to a terminal", 0 },
	{ "output", 'o', "FILE", 0, "Write raw bytes to FILE", 0 },
	{ 0 }
};

static const struct argp read_argp = {
	.options = read_options,
	.parser = parse_read,
	.args_doc = "[OFFSET [LENGTH]]",
	.doc = "Read LENGTH bytes (default: up to the end) of the region at OFFSET (default: 0).\vFiles and pipes get raw bytes, a terminal gets a hexadecimal dump. The dump and --json default to 256 bytes. Numbers can be hexadecimal (0x100) and have a suffix K, M, G or T.",
	.children = with_device_json_and_numbers,
};

int verb_read(int argc, char **argv)
{
	struct device device;
	enum exit_code code;

	parse_numbers(&read_argp, argc, argv);
	code = device_open(&device, IVSHMEM_READ_ONLY);
	if (code)
		return code;
	code = read_region(&device);
	device_close(&device);
	return code;
}
