// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl top: a device, its partitions, peers and vectors, as they are now. Here: options,
 * and what is printed once.
 */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "top.h"

#define SECOND		INT64_C(1000000000)
#define SHORTEST	(SECOND / 10)
#define LONGEST		(3600 * SECOND)

static struct {
	bool once;
	int64_t interval_ns;		/* 0: not given */
} option;

/* Rates are known after a second look, which --interval asks for. */
static int look_once(struct top *top)
{
	int error = top_look(top);

	if (error || !option.interval_ns)
		return error;
	poll(NULL, 0, (int)(option.interval_ns / 1000000));
	return stopped ? 0 : top_look(top);
}

static enum exit_code print_once(struct top *top)
{
	int error = look_once(top);

	if (error)
		return device_complain(&top->device, error, "look");
	if (common.json)
		return print_json(stdout, top_json(top), false);
	top_text(top);
	for (size_t i = 0; i < top->lines.count; i++)
		puts(top->lines.list[i].text);
	return top->lines.incomplete ? complain(EXIT_FAILED, "out of memory") : EXIT_OK;
}

static error_t parse_top(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'o':
		option.once = true;
		return 0;
	case 'i':
		option.interval_ns = argument_seconds(state, "--interval", argument);
		if (option.interval_ns < SHORTEST || option.interval_ns > LONGEST)
			argp_error(state, "--interval must be 0.1 to 3600 seconds");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option top_options[] = {
	{ "once", 'o', NULL, 0, "Print it once, as with --json, or where stdout is no terminal", 0 },
	{ "interval", 'i', "SECONDS", 0,
	  "Look again after SECONDS (default: 1). If it is printed once: with the rates of that time", 0 },
	{ 0 }
};

static const struct argp top_argp = {
	.options = top_options,
	.parser = parse_top,
	.doc = "Show a device or file as it is now: label, partitions, peers and vectors.\vKeys: q ends it; arrows, Page Up, Page Down, Home and End scroll.",
	.children = with_device_and_json,
};

static enum exit_code complain_server(const char *socket)
{
	return complain(EXIT_USAGE,
			"%s is a server, and this is for devices and files: 'ivshmemctl peers' shows its peers",
			socket);
}

int verb_top(int argc, char **argv)
{
	static struct top top;
	enum exit_code code;

	argp_parse(&top_argp, argc, argv, 0, NULL, NULL);
	code = device_choose(&top.device.name);
	if (!code && device_is_server(top.device.name))
		code = complain_server(top.device.name);
	if (!code)
		code = device_open(&top.device, IVSHMEM_READ_ONLY);
	if (code)
		return code;
	top.interval_ns = option.interval_ns ?: SECOND;
	stop_on_signals();
	if (option.once || common.json || !isatty(STDOUT_FILENO))
		code = print_once(&top);
	else
		code = top_screen(&top);
	top_free(&top);
	device_close(&top.device);
	return code;
}
