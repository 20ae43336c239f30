// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure how much memory channels take that two programs have in a file.
 *
 *	channels NUMBER FILE
 *
 * Program 0 creates them and reports, once a message has come through each. Program 1
 * attaches and sends.
 */
#include "channel.h"

#define SIZE	(16 << 10)	/* of a channel, both buffers included */
#define ROLLUP	"/proc/self/smaps_rollup"	/* exact, unlike the counts of "status" */

/* In KiB. */
struct memory {
	long resident, anonymous, tables;
};

static struct memory memory_now(void)
{
	return (struct memory){
		file_kb(ROLLUP, "Rss"), file_kb(ROLLUP, "Anonymous"),
		file_kb("/proc/self/status", "VmPTE"),
	};
}

static struct ivshmem_channel *open_one(struct ivshmem *shm, int n)
{
	struct ivshmem_channel_options options = { .offset = (uint64_t)n * SIZE, .size = SIZE };
	struct ivshmem_channel *channel;

	if (rig_guest())
		try(ivshmem_channel_attach(shm, &options, ivshmem_after(SECOND), &channel));
	else
		try(ivshmem_channel_create(shm, &options, &channel));
	return channel;
}

static void make_file(const char *path, int number)
{
	int fd = must(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));

	must(ftruncate(fd, (off_t)number * SIZE));
	close(fd);
}

static void report(struct memory before)
{
	struct memory now = memory_now();

	bench_value("resident", now.resident - before.resident);
	bench_value("anonymous", now.anonymous - before.anonymous);
	bench_value("tables", now.tables - before.tables);
}

int main(int argc, char **argv)
{
	struct ivshmem_channel **channels;
	struct memory before;
	struct ivshmem *shm;
	int number;
	char byte;

	if (argc != 3)
		tap_bail("usage: channels NUMBER FILE");
	number = atoi(argv[1]);
	channels = calloc(number, sizeof(*channels));
	if (!rig_guest())
		make_file(argv[2], number);
	rig_ask("barrier file");
	before = memory_now();
	try(ivshmem_open(&shm, argv[2], 0));
	if (rig_guest()) {
		rig_ask("barrier created");
		for (int i = 0; i < number; i++) {
			channels[i] = open_one(shm, i);
			try(ivshmem_channel_send(channels[i], "", 1, 0, IVSHMEM_FOREVER));
		}
	} else {
		for (int i = 0; i < number; i++)
			channels[i] = open_one(shm, i);
		rig_ask("barrier created");
		/* The first message waits for this call. */
		for (int i = 0; i < number; i++)
			try(ivshmem_channel_recv(channels[i], &byte, 1, IVSHMEM_FOREVER));
		report(before);
	}
	rig_ask("barrier done");
	return 0;
}
