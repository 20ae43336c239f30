// SPDX-License-Identifier: GPL-2.0-only
/*
 * The shared memory: a POSIX shared memory object, an unlinked file in a directory (a
 * hugetlbfs mount, for example) or a memfd.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../size.h"
#include "lock.h"
#include "memory.h"
#include "restore.h"

/* The largest power of two in an off_t. The memory becomes a PCI BAR. */
#define MAX_SIZE	(1ULL << 62)

const char *readable(uint64_t size, char text[32])
{
	int unit = -1;

	while (size && size % 1024 == 0 && unit < 3) {
		size /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, 32, "%llu", (unsigned long long)size);
	else
		snprintf(text, 32, "%llu%c", (unsigned long long)size,
			 size_units[unit]);
	return text;
}

static uint64_t next_power(uint64_t size)
{
	uint64_t power = sysconf(_SC_PAGESIZE);

	while (power < size)
		power *= 2;
	return power;
}

int memory_size(const char *text, uint64_t *size)
{
	char would[32];
	int error = parse_size(text, size);

	if (error == -EINVAL) {
		warnx("invalid size \"%s\": use a number with an optional suffix K, M, G or T, such as 4M",
		      text);
		return -1;
	}
	if (error || *size > MAX_SIZE) {
		warnx("size %s is too large: the maximum is %s", text,
		      readable(MAX_SIZE, would));
		return -1;
	}
	if (*size == next_power(*size))
		return 0;
	warnx("size %s is not a power of two of at least one page, as a PCI device needs; use %s",
	      text, readable(next_power(*size), would));
	return -1;
}

static const char *object_name(const struct memory *memory)
{
	return memory->name + (*memory->name == '/');
}

int memory_name(const struct memory *memory)
{
	const char *name;

	if (memory->kind != MEMORY_SHM)
		return 0;
	name = object_name(memory);
	if (*name && !strchr(name, '/') && strcmp(name, ".") &&
	    strcmp(name, "..") && strlen(name) <= NAME_MAX)
		return 0;
	warnx("invalid name \"%s\" of a shared memory object: use letters, digits, - and _",
	      memory->name);
	return -1;
}

static int failed(const struct memory *memory, const char *what)
{
	char size[32];

	warnx("cannot %s %s bytes of shared memory (%s): %s; use less (-l) or another memory (-M, -m, --memfd)",
	      what, readable(memory->size, size),
	      memory->name ? memory->name : "memfd", strerror(errno));
	return -1;
}

static int create_memfd(struct memory *memory)
{
	memory->fd = memfd_create("ivshmem", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memory->fd < 0 || ftruncate(memory->fd, memory->size) < 0)
		return failed(memory, "create");
	/* Prevent peers from shrinking the memory: others would get SIGBUS. */
	if (fcntl(memory->fd, F_ADD_SEALS, MEMORY_SEALS) < 0)
		return failed(memory, "seal");
	return 0;
}

/* Reserve huge pages now: a lack of them would be a SIGBUS in peers later. */
static int reserve_huge_pages(struct memory *memory, uint64_t page)
{
	char size[32];
	void *map = mmap(NULL, memory->size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, memory->fd, 0);

	if (map != MAP_FAILED)
		return munmap(map, memory->size);
	warn("not enough free huge pages in %s: need %llu of %s (see /proc/sys/vm/nr_hugepages)",
	     memory->name, (unsigned long long)(memory->size / page),
	     readable(page, size));
	return -1;
}

static int size_file(struct memory *memory)
{
	char size[32];
	struct statfs fs;

	if (fstatfs(memory->fd, &fs) < 0)
		return failed(memory, "create");
	if (fs.f_type == HUGETLBFS_MAGIC && memory->size % fs.f_bsize) {
		warnx("%s has pages of %s: use at least that size (-l)",
		      memory->name, readable(fs.f_bsize, size));
		return -1;
	}
	if (ftruncate(memory->fd, memory->size) < 0)
		return failed(memory, "create");
	if (fs.f_type == HUGETLBFS_MAGIC)
		return reserve_huge_pages(memory, fs.f_bsize);
	return 0;
}

static int create_in_directory(struct memory *memory)
{
	char *path;

	if (asprintf(&path, "%s/ivshmem.XXXXXX", memory->name) < 0)
		return failed(memory, "create");
	memory->fd = mkostemp(path, O_CLOEXEC);
	if (memory->fd < 0) {
		warnx("cannot create a file in %s: %s; use another directory (-m)",
		      memory->name, strerror(errno));
		free(path);
		return -1;
	}
	/* Unlink at once, so that nothing is left after a crash. */
	unlink(path);
	free(path);
	return size_file(memory);
}

/*
 * An unlocked object of the right size is left over from a killed server. Take it over
 * with its contents, because guests may still use it. An empty object is new.
 */
static int check_object(const struct memory *memory, const struct stat *st)
{
	char there[32], wanted[32];

	if (st->st_size == 0 || (uint64_t)st->st_size == memory->size)
		return 0;
	warnx("%s exists and has %s bytes, not %s; remove it or use another name (-M)",
	      memory->path, readable(st->st_size, there),
	      readable(memory->size, wanted));
	return -1;
}

/* Lock the object. On failure, unlock but do not remove it: it is not ours. */
static int own_object(struct memory *memory)
{
	struct stat st;

	memory->lock = lock_file(memory->path, "shared memory",
				 "use another name (-M)");
	if (memory->lock < 0)
		return -1;
	if (fstat(memory->lock, &st) == 0 && check_object(memory, &st) == 0) {
		memory->taken_over = st.st_size > 0;
		return 0;
	}
	close(memory->lock);
	memory->lock = -1;
	return -1;
}

static int create_shm(struct memory *memory)
{
	char self[64];

	if (asprintf(&memory->path, "/dev/shm/%s", object_name(memory)) < 0) {
		memory->path = NULL;
		return failed(memory, "create");
	}
	if (own_object(memory) < 0)
		return -1;
	if (ftruncate(memory->lock, memory->size) < 0)
		return failed(memory, "create");
	/* Peers get a separate open file, which does not hold the lock. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", memory->lock);
	memory->fd = open(self, O_RDWR | O_CLOEXEC);
	return memory->fd < 0 ? failed(memory, "open") : 0;
}

int memory_create(struct memory *memory, int stored)
{
	memory->fd = -1;
	memory->lock = -1;
	memory->path = NULL;
	if (stored >= 0 && memory_restore(memory, stored)) {
		memory->fd = stored;
		memory->taken_over = true;
		return 0;
	}
	switch (memory->kind) {
	case MEMORY_MEMFD:
		return create_memfd(memory);
	case MEMORY_DIRECTORY:
		return create_in_directory(memory);
	default:
		return create_shm(memory);
	}
}

void memory_remove(struct memory *memory, bool served)
{
	if (memory->fd >= 0)
		close(memory->fd);
	if (memory->lock >= 0 && memory->taken_over && !served)
		close(memory->lock);
	else if (memory->lock >= 0)
		lock_remove(memory->path, memory->lock);
	free(memory->path);
}
