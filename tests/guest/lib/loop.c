// SPDX-License-Identifier: GPL-2.0-only
/* Event loops over channels: see loop.h. */
#include "../loop.h"

#include <errno.h>
#include <poll.h>

#define HANG_MS		60000

int loop_poll(int fd, int timeout_ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	int result;

	do {
		result = poll(&ready, 1, timeout_ms);
	} while (result < 0);
	return result;
}

bool loop_wakes(struct ivshmem_channel *channel)
{
	return loop_poll(ivshmem_channel_fd(channel), HANG_MS) == 1;
}

int loop_recv(struct ivshmem_channel *channel)
{
	char bytes[32];

	return (int)ivshmem_channel_recv(channel, bytes, sizeof(bytes), 0);
}

int loop_send(struct ivshmem_channel *channel)
{
	char bytes[32] = "";

	return ivshmem_channel_send(channel, bytes, sizeof(bytes), 0, 0);
}

int loop_exchange(struct ivshmem_channel *channel, int messages)
{
	int sent = 0, received = 0, in = 0, out = 0;

	while (sent < messages || received < messages) {
		while (received < messages && (in = loop_recv(channel)) >= 0)
			received++;
		while (sent < messages && (out = loop_send(channel)) == 0)
			sent++;
		if ((in < 0 && in != -EAGAIN) || (out < 0 && out != -EAGAIN))
			break;
		if ((sent < messages || received < messages) && !loop_wakes(channel))
			break;
	}
	return received;
}
