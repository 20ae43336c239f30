// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl write: copy bytes into the region.
 */
#include <errno.h>
#include <string.h>

#include "ctl.h"
#include "fileio.h"
#include "numbers.h"
#include "progress.h"

static struct {
	uint64_t offset;
	const char *text;
	const char *file;
	int operands;
} option;

/* Whether the file ends here. */
static bool has_ended(const struct file *file)
{
	int64_t done;
	uint8_t more;

	progress_wait("the end of %s", file->name);
	do {
		done = file_read(file, &more, 1);
	} while (done == -EINTR && !stopped);
	progress_erase();
	return done == 0;
}

/* Read the file straight into the region, up to the region's end. */
static enum exit_code copy_in(const struct file *file, uint8_t *bytes,
			      uint64_t room)
{
	char count[COUNT_TEXT];
	int64_t done;

	file_take_terminal(file);
	done = file_copy_in(file, bytes, room);
	if (done == -EFAULT)
		return complain(EXIT_NO_DEVICE, "the device disappeared during the write");
	if (done < 0)
		return complain(EXIT_FAILED, "cannot read %s: %s", file->name,
				strerror((int)-done));
	format_count(count, (uint64_t)done, "byte");
	if (!stopped && ((uint64_t)done < room || has_ended(file)))
		return EXIT_OK;
	if (stopped)
		return complain(EXIT_FAILED, "interrupted: wrote the first %s", count);
	return complain(EXIT_FAILED, "%s does not fit: wrote its first %s, up to the end of the region",
			file->name, count);
}

static enum exit_code write_region(const struct device *device,
				   const struct file *input)
{
	uint64_t length = option.text ? strlen(option.text) : input->size;
	struct mapping mapping;
	enum exit_code code;

	/* The length of a pipe is unknown before its end. */
	code = device_check_range(device, option.offset,
				  length == UINT64_MAX ? 0 : length);
	if (code)
		return code;
	if (!option.text)
		length = device->properties.size - option.offset;
	code = device_map(device, option.offset, length, &mapping);
	if (code)
		return code;
	if (option.text)
		memcpy(mapping.bytes, option.text, length);
	else
		code = copy_in(input, mapping.bytes, length);
	device_unmap(device, &mapping);
	return code;
}

static error_t parse_write(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'i':
		option.file = argument;
		return 0;
	case ARGP_KEY_ARG:
		if (option.operands == 0)
			option.offset = argument_size(state, "OFFSET", argument,
						      UINT64_MAX);
		else if (option.operands == 1)
			option.text = argument;
		else
			argp_error(state, "too many arguments: quote TEXT if it has blanks");
		option.operands++;
		return 0;
	case ARGP_KEY_END:
		if (option.text && option.file)
			argp_error(state, "TEXT excludes --input");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option write_options[] = {
	{ "input", 'i', "FILE", 0, "Write the contents of FILE", 0 },
	{ 0 }
};

static const struct argp write_argp = {
	.options = write_options,
	.parser = parse_write,
	.args_doc = "[OFFSET [TEXT]]",
	.doc = "Write TEXT (default: stdin) to the region at OFFSET (default: 0).\vNo newline or zero byte is appended to TEXT. Numbers can be hexadecimal (0x100) and have a suffix K, M, G or T.",
	.children = with_device_and_numbers,
};

int verb_write(int argc, char **argv)
{
	struct file input = { .fd = -1 };
	struct device device;
	enum exit_code code;

	parse_numbers(&write_argp, argc, argv);
	if (!option.text) {
		code = file_open_input(&input, option.file);
		if (code)
			return code;
	}
	code = device_open(&device, 0);
	if (code)
		return code;
	code = write_region(&device, &input);
	device_close(&device);
	file_close(&input);
	return code;
}
