// SPDX-License-Identifier: LGPL-2.1-or-later
#include <ivshmem_channel.h>
#include <string.h>

int main(int argc, char **argv)
{
	struct ivshmem_channel_options range = { .offset = 0 };
	struct ivshmem_channel *channel;
	struct ivshmem *shm;
	void *room;

	if (argc < 2 || ivshmem_open(&shm, argv[1], 0) ||
	    ivshmem_channel_attach(shm, &range, IVSHMEM_FOREVER, &channel))
		return 1;
	for (argv += 2; *argv; argv++) {
		size_t size = strlen(*argv);

		if (ivshmem_channel_reserve(channel, size, &room, IVSHMEM_FOREVER))
			return 1;
		memcpy(room, *argv, size);
		if (ivshmem_channel_commit(channel, size, 0))
			return 1;
	}
	ivshmem_channel_close(channel);
	ivshmem_close(shm);
	return 0;
}
