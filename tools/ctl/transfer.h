/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by ivshmemctl send and recv: options, the part of the region in use, the
 * transfer and its summary.
 */
#ifndef CTL_TRANSFER_H
#define CTL_TRANSFER_H

#include "ctl.h"

/* The options of both verbs, and their parser. */
extern const struct argp_option transfer_options[];
error_t transfer_parse(int key, char *argument, struct argp_state *state);

/* Run the verb with the options parsed. */
enum exit_code transfer_run(bool sending);

#endif /* CTL_TRANSFER_H */
