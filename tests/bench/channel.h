/* SPDX-License-Identifier: GPL-2.0-only */
/* A channel between the guests, in the data part of the region. */
#ifndef BENCH_CHANNEL_H
#define BENCH_CHANNEL_H

#include <ivshmem_channel.h>

#include "bench.h"

#define CHANNEL_BACK 256	/* bytes of the ring buffer for answers */

/* A call of the library that cannot fail here; if it does, end with its text and error. */
#define try(call) ({ \
	int64_t try_ = (call); \
	if (try_ < 0) \
		tap_bail("%s: %s", #call, strerror(-try_)); \
})

/* Of the guest, or the socket of a server that connects two programs of one machine. */
static inline struct ivshmem *bench_open(void)
{
	const char *server = getenv("BENCH_SERVER");
	struct ivshmem *shm;

	try(ivshmem_open(&shm, server ? server : RIG_DEVICE, 0));
	return shm;
}

/*
 * Guest 0 creates the channel with @send_size bytes for its messages, guest 1 attaches.
 * @spin_ns is that of struct ivshmem_channel_options.
 */
static inline struct ivshmem_channel *channel_open(bool attaches, size_t send_size,
						   int64_t spin_ns)
{
	struct ivshmem_channel_options options = {
		.offset = DATA_OFFSET, .spin_ns = spin_ns, .send_size = send_size,
		.size = IVSHMEM_CHANNEL_CONTROL + send_size + CHANNEL_BACK,
	};
	struct ivshmem_channel *channel;
	struct ivshmem *shm = bench_open();

	if (!attaches)
		try(ivshmem_channel_create(shm, &options, &channel));
	rig_ask("barrier created");
	if (attaches) {
		options.send_size = 0;
		try(ivshmem_channel_attach(shm, &options, ivshmem_after(SECOND), &channel));
	}
	return channel;
}

static inline uint64_t channel_rings(struct ivshmem_channel *channel)
{
	struct ivshmem_channel_properties properties;

	ivshmem_channel_get_properties(channel, &properties);
	return properties.rings;
}

#endif
