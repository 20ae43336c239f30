// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest 0 waits for any of 100 channels with one descriptor and answers what comes. Guest 1
 * sends on one after the other, in an order that visits all.
 */
/* rig: guests=2 devices=doorbell vectors=2 size=1M timeout=300 */
#include <ivshmem_channel.h>

#include "dev.h"
#include "loop.h"

#define CHANNELS	100
#define SIZE		(4096 + 2 * 256)
#define STRIDE		37	/* coprime to CHANNELS */
#define MESSAGES	2000
#define VECTOR		1

static struct ivshmem *shm;
static struct ivshmem_channel *channels[CHANNELS];

static void open_channels(struct ivshmem_channel_set *set)
{
	struct ivshmem_channel_options options = {
		.size = SIZE, .vector = VECTOR, .set = set,
	};
	int i, error = 0;

	for (i = 0; i < CHANNELS && !error; i++) {
		options.offset = 4096 + (uint64_t)i * SIZE;
		if (rig_guest())
			error = ivshmem_channel_attach(shm, &options,
						       ivshmem_after(100 * SECOND),
						       &channels[i]);
		else
			error = ivshmem_channel_create(shm, &options, &channels[i]);
	}
	if (error)
		tap_bail("no channel: %s", ivshmem_error(error));
}

/* How many messages came until nothing came for a minute, or all have. */
static int answer(struct ivshmem_channel_set *set)
{
	struct ivshmem_channel *channel;
	int answered = 0;

	while (answered < MESSAGES && loop_poll(ivshmem_channel_set_fd(set), 60000) == 1)
		while (!ivshmem_channel_set_next(set, &channel))
			while (loop_recv(channel) >= 0 && !loop_send(channel))
				answered++;
	return answered;
}

static int question(void)
{
	char bytes[32] = "";
	int i;

	for (i = 0; i < MESSAGES; i++) {
		struct ivshmem_channel *channel = channels[i * STRIDE % CHANNELS];
		int64_t deadline = ivshmem_after(60 * SECOND);

		if (ivshmem_channel_send(channel, bytes, sizeof(bytes), 0, deadline) ||
		    ivshmem_channel_recv(channel, bytes, sizeof(bytes), deadline) < 0)
			break;
	}
	return i;
}

int main(void)
{
	struct ivshmem_channel_set *set = NULL;

	if (ivshmem_open(&shm, RIG_DEVICE, 0))
		tap_bail("cannot open %s", RIG_DEVICE);
	if (!rig_guest() &&
	    ivshmem_channel_set_open(shm, 0, IVSHMEM_CHANNEL_SET_SIZE, VECTOR, &set))
		tap_bail("no set: %s", ivshmem_error(-EINVAL));
	open_channels(set);
	rig_ask("barrier open");
	if (rig_guest())
		tap_eq(question(), MESSAGES, "all questions on 100 channels are answered");
	else
		tap_eq(answer(set), MESSAGES, "one descriptor tells of them all");
	rig_ask("barrier done");
	for (int i = 0; i < CHANNELS; i++)
		ivshmem_channel_close(channels[i]);
	ivshmem_channel_set_close(set);
	ivshmem_close(shm);
	return tap_done();
}
