// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl recv: write the stream of ivshmemctl send to a file or a pipe.
 */
#include "transfer.h"

static const struct argp recv_argp = {
	.options = transfer_options,
	.parser = transfer_parse,
	.args_doc = "[FILE]",
	.doc = "Write the stream of 'ivshmemctl send' on the other side to FILE (default and -: stdout).\vThe two sides can start in any order. --offset and --size must match. If the data go to stdout, --json prints to stderr.",
	.children = with_device_and_json,
};

int verb_recv(int argc, char **argv)
{
	argp_parse(&recv_argp, argc, argv, 0, NULL, NULL);
	return transfer_run(false);
}
