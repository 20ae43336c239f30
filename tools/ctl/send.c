// SPDX-License-Identifier: GPL-2.0-only
/*
 * ivshmemctl send: stream a file or a pipe through the region.
 */
#include "transfer.h"

static const struct argp send_argp = {
	.options = transfer_options,
	.parser = transfer_parse,
	.args_doc = "[FILE]",
	.doc = "Stream FILE (default and -: stdin) through the region to 'ivshmemctl recv' on the other side.\vThe two sides can start in any order. --offset and --size must match.",
	.children = with_device_and_json,
};

int verb_send(int argc, char **argv)
{
	argp_parse(&send_argp, argc, argv, 0, NULL, NULL);
	return transfer_run(true);
}
