// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <ivshmem_channel.h>
#include <poll.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct ivshmem_channel_options range = { .size = 1 << 20 };
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	char text[256];
	int64_t size;

	if (argc < 2 || ivshmem_open(&shm, argv[1], 0) ||
	    ivshmem_channel_create(shm, &range, &channel))
		return 1;
	struct pollfd ready = { ivshmem_channel_fd(channel), POLLIN, 0 };

	if (ready.fd < 0)			/* poll() would wait for ever */
		return 1;
	do {
		while ((size = ivshmem_channel_recv(channel, text, sizeof(text), 0)) >= 0)
			printf("%.*s\n", (int)size, text);
	} while (size == -EAGAIN && poll(&ready, 1, -1) >= 0);
	ivshmem_channel_close(channel);
	ivshmem_close(shm);
	return size != -EPIPE;
}
