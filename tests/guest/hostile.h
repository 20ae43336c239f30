/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hostile peer: random writes into a channel, and random calls of the peers that use
 * it. For guests and the host.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <ivshmem_channel.h>
#include <stdint.h>

#define HOSTILE_SIZE	(16 << 10)	/* of the channel */
#define HOSTILE_CONTROL	512	/* where the control words of the two peers begin */
#define HOSTILE_HALF	384	/* bytes of one peer's control words for one direction */

/* Write a value: mostly to a word that matters, and mostly a plausible one. */
void hostile_write(volatile uint32_t *channel, uint64_t *state);

/* Make one of the calls, with or without a deadline; gives its error. */
int hostile_call(struct ivshmem_channel *channel, uint64_t number);

#endif
