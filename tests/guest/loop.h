/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An event loop over a channel, which waits in poll() and nowhere else. For guests and the
 * host.
 */
#ifndef LOOP_H
#define LOOP_H

#include <ivshmem_channel.h>
#include <stdbool.h>

/* poll() for input, again after signals. */
int loop_poll(int fd, int timeout_ms);

/* Does the channel's descriptor become readable? */
bool loop_wakes(struct ivshmem_channel *channel);

/* Receive or send 32 bytes without waiting; gives their number or 0, or the error. */
int loop_recv(struct ivshmem_channel *channel);
int loop_send(struct ivshmem_channel *channel);

/*
 * Send that many messages and receive as many, in turns as far as it goes; gives the
 * number received before anything failed.
 */
int loop_exchange(struct ivshmem_channel *channel, int messages);

#endif
