/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file with a label that has a peer area, and programs that open it.
 */
#ifndef LABELLED_H
#define LABELLED_H

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../lib/label_build.h"
#include "channel.h"
#include "ivshmem_sync.h"

#define REGION_SIZE	(1 << 20)
#define AREA		0x3000		/* where the peer area begins */
#define SECTION		0x1000
#define DATA		0xa0000		/* behind it: a partition, "part", with vectors 1 and 2 */
#define PART_SIZE	0x20000
#define FIRST_ID	0xff00

/* As the format has it; tests do with the memory what a stranger might. */
struct raw_section {
	uint64_t owner, generation, heartbeat;
	uint32_t id;
	uint16_t kind, state;
	char name[32];
	char reserved[192];
	uint32_t counters[];
};

/* Make scratch("region"), with so many slots, and doorbells for each; its memory. */
static inline unsigned char *make_region(unsigned int slots, unsigned int vectors)
{
	struct ivshmem_label label = {
		.uuid = { 1, 2, 3, slots, vectors },
		.generation = 1, .region_size = REGION_SIZE, .data_offset = DATA,
		.peers_offset = AREA, .peer_size = SECTION, .peers = slots,
		.bell_vectors = vectors,
		.header_size = 256, .entry_size = 128, .nr_entries = 64,
		.entries = { { "raw", "part", DATA, PART_SIZE, 1, 0, 1, 2 } },
	};
	int fd = open(scratch("region"), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	void *memory;

	if (fd < 0 || ftruncate(fd, REGION_SIZE) < 0)
		tap_bail("no file: %m");
	memory = mmap(NULL, REGION_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		tap_bail("no mapping: %m");
	close(fd);
	ivshmem_label_build(memory, &label);
	return memory;
}

static inline struct raw_section *raw_section(unsigned char *memory, unsigned int slot)
{
	return (struct raw_section *)(void *)(memory + AREA + slot * SECTION);
}

static inline struct ivshmem *open_region(unsigned int flags)
{
	struct ivshmem *handle;
	int error = ivshmem_open(&handle, scratch("region"), flags);

	if (error)
		tap_bail("cannot open: %s", ivshmem_error(error));
	return handle;
}

static inline struct ivshmem *open_part(void)
{
	struct ivshmem *handle;
	int error = ivshmem_open_partition(&handle, scratch("region"), "part", 0);

	if (error)
		tap_bail("cannot open: %s", ivshmem_error(error));
	return handle;
}

static inline uint32_t id_of(struct ivshmem *handle)
{
	struct ivshmem_properties properties;

	ivshmem_get_properties(handle, &properties);
	return properties.id;
}

/* Another program: runs this, and exits with what it returns. */
static inline pid_t start_program(int (*program)(void *argument), void *argument)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		tap_bail("cannot fork: %m");
	if (!pid) {
		/* What it prints belongs to no plan, and none outlives a test that is killed. */
		alarm(300);
		_exit(program(argument));
	}
	return pid;
}

/* Its exit status, or -signal. */
static inline int end_program(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		tap_bail("lost a program: %m");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int kill_program(pid_t pid)
{
	kill(pid, SIGKILL);
	return end_program(pid);
}

/* A program that only is there, until it is killed. */
static inline int stay(void *argument)
{
	struct ivshmem *handle;

	(void)argument;
	if (ivshmem_open(&handle, scratch("region"), 0))
		return 1;
	for (;;)
		pause();
}

#endif /* LABELLED_H */
