// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl ring: ring a peer's doorbell.
 */
#include <ivshmem.h>

#include "ctl.h"
#include "progress.h"

static struct {
	uint32_t peer;
	uint32_t vector;
	uint64_t count;
	int operands;
} option = { .count = 1 };

static error_t parse_ring(int key, char *argument, struct argp_state *state)
{
	switch (key) {
	case 'c':
		option.count = argument_count(state, "--count", argument);
		return 0;
	case ARGP_KEY_ARG:
		if (option.operands == 0)
			option.peer = (uint32_t)argument_size(state, "PEER",
				argument, IVSHMEM_MAX_PEER);
		else if (option.operands == 1)
			option.vector = (uint32_t)argument_size(state, "VECTOR",
				argument, IVSHMEM_MAX_VECTORS - 1);
		else
			argp_error(state, "too many arguments");
		option.operands++;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "missing operand PEER");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option ring_options[] = {
	{ "count", 'c', "N", 0, "Ring N times (default: 1)", 0 },
	{ 0 }
};

static const struct argp ring_argp = {
	.options = ring_options,
	.parser = parse_ring,
	.args_doc = "PEER [VECTOR]",
	.doc = "Ring the doorbell VECTOR (default: 0) of PEER.\vDoorbells in quick succession can arrive as one. In a guest, ringing a peer that does not exist is no error.",
	.children = with_device_and_numbers,
};

static int ring(const struct device *device)
{
	struct progress progress = { .done = "", .thing = "ring", .total = option.count };
	int error = 0;

	stop_on_signals();
	progress_start(&progress);
	for (uint64_t i = 0; !error && !stopped && i < option.count; i++) {
		error = ivshmem_ring(device->handle, option.peer, option.vector);
		progress_show(&progress, i + 1, NULL);
	}
	progress_erase();
	return stopped ? 0 : error;
}

int verb_ring(int argc, char **argv)
{
	struct device device;
	enum exit_code code;
	int error;

	parse_numbers(&ring_argp, argc, argv);
	code = device_open(&device, 0);
	if (code)
		return code;
	code = device_need_ringing(&device);
	error = code ? 0 : ring(&device);
	if (error)
		code = device_complain_ring(&device, error, option.peer);
	device_close(&device);
	return code;
}
