// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that are pinned when their device in software is removed count towards the limit for
 * all such devices until they are unpinned, and are free before long then. They do not
 * keep the module.
 */
/* rig: devices=none modules=configfs mem=512 timeout=240 */
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "module.h"
#include "pattern.h"

#define CONFIG "/sys/kernel/config/ivshmem/"
#define SLOTS 256	/* of a pipe, each for a page */
#define PIPES 256

static int pipes[PIPES][2];
static size_t used_pipes;
static char bytes[4096];	/* what each page of a device begins with */

/* A device of so many pages, or a negative errno. */
static int make(const char *name, size_t pages)
{
	char path[128], size[32];
	int ret;

	snprintf(path, sizeof(path), CONFIG "%s", name);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), CONFIG "%s/size", name);
	snprintf(size, sizeof(size), "%zu", pages * PAGE);
	ret = file_write(path, size);
	snprintf(path, sizeof(path), CONFIG "%s/enable", name);
	return ret ? ret : file_write(path, "1");
}

static void destroy(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), CONFIG "%s", name);
	must(rmdir(path));
}

/* All pages of a device into pipes, and the device is removed. */
static void leave_pinned(const char *name, size_t pages)
{
	size_t size = pages * PAGE;
	char *map;
	int fd;

	if (make(name, pages) || !file_comes(RIG_DEVICE, true))
		tap_bail("there is no device of %zu pages", pages);
	fd = dev_open();
	map = dev_map(fd, size);
	for (size_t at = 0; at < size; at += PAGE)
		memcpy(map + at, bytes, sizeof(bytes));
	for (used_pipes = 0; pages; used_pipes++) {
		size_t n = pages < SLOTS ? pages : SLOTS;
		struct iovec part = { map + size - pages * PAGE, n * PAGE };

		if (used_pipes == PIPES)
			tap_bail("too many pages");
		must(pipe(pipes[used_pipes]));
		must(fcntl(pipes[used_pipes][1], F_SETPIPE_SZ, SLOTS * PAGE));
		if (vmsplice(pipes[used_pipes][1], &part, 1, 0) != (ssize_t)part.iov_len)
			tap_bail("vmsplice: %s", strerror(errno));
		pages -= n;
	}
	munmap(map, size);
	close(fd);
	destroy(name);
}

static bool pipe_has_bytes(int fd)
{
	char there[sizeof(bytes)];

	return read(fd, there, sizeof(there)) == (ssize_t)sizeof(there) &&
	       !memcmp(there, bytes, sizeof(there));
}

static void unpin(void)
{
	for (size_t i = 0; i < used_pipes; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

int main(void)
{
	size_t half, third;
	long before;

	mount("configfs", "/sys/kernel/config", "configfs", 0, NULL);
	tap_eq(system("insmod /lib/ivshmem_soft.ko"), 0, "the module loads");
	pattern_write(bytes, sizeof(bytes), 1);
	/* The kernel counts all of its memory in pages, and takes half, rounded down. */
	half = (size_t)meminfo_kb("MemTotal") * 1024 / PAGE / 2;
	third = half / 3;

	leave_pinned("old", third);
	tap_eq(make("new", half), -ENOMEM, "half of the memory is refused while a third is pinned");
	tap_eq(system("grep -q 'pinned pages' " CONFIG "new/reason"), 0, "the reason tells");
	tap_eq(make("new", half - third + 1), -ENOMEM, "so is a page more than the rest");
	tap_eq(make("new", half - third), 0, "the rest is not");
	destroy("new");
	tap_ok(pipe_has_bytes(pipes[0][0]) && pipe_has_bytes(pipes[used_pipes - 1][0]),
	       "the pinned pages have their bytes");
	unpin();
	tap_eq(make("new", half), 0, "half of the memory can be had when they are unpinned");
	destroy("new");

	before = meminfo_kb("MemFree");
	leave_pinned("old", third);
	unpin();
	tap_ok(memory_comes_back(before - (16 << 10)), "what is unpinned is free before long");

	leave_pinned("old", third);
	tap_eq(system("rmmod ivshmem_soft"), 0, "the module can be unloaded with pages pinned");
	tap_ok(pipe_has_bytes(pipes[0][0]), "they have their bytes");
	unpin();
	tap_ok(memory_comes_back(before - (16 << 10)), "they are free then");
	module_clean();
	return tap_done();
}
