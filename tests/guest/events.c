// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two guests send to each other over a small channel, in event loops that wait in poll()
 * only. Then one closes, and the other is told by its descriptor.
 */
/* rig: guests=2 devices=doorbell vectors=2 size=1M timeout=300 */
#include <ivshmem_channel.h>

#include "dev.h"
#include "loop.h"

#define MESSAGES 5000

int main(void)
{
	const struct ivshmem_channel_options options = { .size = 4096 + 2 * 256, .vector = 1 };
	struct ivshmem_channel *channel = NULL;
	struct ivshmem *shm;
	bool creator = rig_guest() == 0;
	int error;

	if (ivshmem_open(&shm, RIG_DEVICE, 0))
		tap_bail("cannot open %s", RIG_DEVICE);
	if (creator)
		error = ivshmem_channel_create(shm, &options, &channel);
	else
		error = ivshmem_channel_attach(shm, &options, ivshmem_after(100 * SECOND),
					       &channel);
	if (error)
		tap_bail("no channel: %d", error);
	tap_eq(loop_exchange(channel, MESSAGES), MESSAGES, "receive all that the other sent");
	rig_ask("barrier exchanged");
	if (creator) {
		while ((error = loop_recv(channel)) == -EAGAIN && loop_wakes(channel))
			;
		tap_eq(error, -EPIPE, "the descriptor tells that the other end has closed");
	}
	ivshmem_channel_close(channel);
	ivshmem_close(shm);
	return tap_done();
}
