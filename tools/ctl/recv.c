// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl recv: write what ivshmemctl send streams to a file or a pipe.
 */
#include "transfer.h"

static const struct argp recv_argp = {
	.options = transfer_options,
	.parser = transfer_parse,
	.args_doc = "[FILE]",
	.doc = "Receive into FILE (default, and for -: stdout) what 'ivshmemctl send' sends on the other side.\vEither side may start first. --offset and --size must be the same on both. With the data on stdout, the JSON of --json goes to stderr.",
	.children = with_device_and_json,
};

int verb_recv(int argc, char **argv)
{
	argp_parse(&recv_argp, argc, argv, 0, NULL, NULL);
	return transfer_run(false);
}
