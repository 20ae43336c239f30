// SPDX-License-Identifier: GPL-2.0-only
/* The operations of mm_fuzz.c: see mm_fuzz_ops.h. */
#include <linux/futex.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../mm_fuzz_ops.h"

/*
 * The mappings are far below where the kernel puts others, so that no other mapping lands
 * in their holes. There are two areas, each with room for the whole region, between which
 * mappings move. Their addresses are aligned so that entries of 1 GiB are possible.
 */
#define AREA(n) ((char *)(((n) + 256ULL) * (64 * GIB)))
#define BUFFER (64 << 10)

struct op {
	char *p, *to;		/* in an area */
	size_t length;		/* from p or to, within the area */
	uint64_t offset;	/* of a page of the region */
	uint32_t bits;
};

struct mm_shared *shared;

/* Shared by the threads of a process. */
static uint64_t size;		/* of the region */
static int fd, own_memory, ends[2];

static __thread char buffer[BUFFER];

static uint64_t draw_page(void)
{
	const uint64_t edges[] = { 0, 2 * MIB, GIB, size / 2, size - 2 * MIB };
	uint64_t pages = size / PAGE;

	if (once_in(4))
		return draw() % pages;
	return (edges[below(5)] / PAGE + pages + below(1200) - 600) % pages;
}

static char *draw_address(uint64_t *left)
{
	uint64_t at = draw_page() * PAGE;

	if (once_in(3))
		at &= -(2 * MIB);
	if (once_in(6))
		at &= -GIB;
	if (*left > size - at)
		*left = size - at;
	return AREA(once_in(3)) + at;
}

static size_t draw_length(void)
{
	switch (below(8)) {
	case 0:
		return UINT64_MAX;	/* up to the end */
	case 1:
		return GIB;
	case 2:
		return 2 * MIB;
	case 3:
		return (1 + below(1200)) * PAGE;
	default:
		return PAGE;
	}
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

int mm_open_device(uint64_t bytes)
{
	struct ivshmem_region memory;
	char path[32];
	int found;

	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "/dev/ivshmem%d", i);
		found = open(path, O_RDWR | O_CLOEXEC);
		memory = (struct ivshmem_region){ .index = IVSHMEM_REGION_MEMORY };
		if (found >= 0 && !ioctl(found, IVSHMEM_IOC_REGION, &memory) &&
		    memory.size == bytes)
			return found;
		close(found);
	}
	return -1;
}

/* Open the device again if the open file's has been unregistered. */
static void op_open(const struct op *o)
{
	struct ivshmem_info info;
	int again = ioctl(fd, IVSHMEM_IOC_INFO, &info) ? mm_open_device(size) : -1;

	(void)o;
	if (again >= 0) {
		dup2(again, fd);
		close(again);
	}
}

static void op_map_all(const struct op *o)
{
	mmap(AREA(o->bits & 1), size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
}

/* Replace a part of the mapping. */
static void op_map_part(const struct op *o)
{
	static const struct {
		int prot, flags;
	} ways[] = {
		{ PROT_READ | PROT_WRITE, MAP_SHARED },
		{ PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE },
		{ PROT_READ | PROT_WRITE, MAP_SHARED | MAP_LOCKED },
		{ PROT_READ, MAP_SHARED },
		{ PROT_NONE, MAP_SHARED },
		{ PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS },
		{ PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS },
	};
	unsigned int way = o->bits % 7;
	size_t length = o->length;

	/* Anonymous memory may get populated, and the guest does not have much: keep it small. */
	if (ways[way].flags & MAP_ANONYMOUS)
		length = smaller(length, 2 * MIB);
	mmap(o->p, length, ways[way].prot, ways[way].flags | MAP_FIXED, fd, o->offset);
}

static void op_unmap(const struct op *o)
{
	munmap(o->p, o->length);
}

static void op_protect(const struct op *o)
{
	mprotect(o->p, o->length, o->bits % 4);
}

static void op_move(const struct op *o)
{
	size_t half = o->length / 2 & -PAGE;

	switch (o->bits % 4) {
	case 0:		/* shrink */
		mremap(o->p, o->length, half ? half : PAGE, 0);
		break;
	case 1:		/* map the same memory a second time */
		mremap(o->p, 0, o->length, MREMAP_MAYMOVE | MREMAP_FIXED, o->to);
		break;
	case 2:
		mremap(o->p, o->length, o->length,
		       MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, o->to);
		break;
	default:
		mremap(o->p, o->length, o->length, MREMAP_MAYMOVE | MREMAP_FIXED, o->to);
	}
}

static void op_advise(const struct op *o)
{
	/* All but those that poison memory. The last two install and remove guard pages. */
	static const uint8_t advices[] = {
		0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
		24, 25, 102, 103,
	};

	madvise(o->p, o->length, advices[o->bits % sizeof(advices)]);
}

static void op_policy(const struct op *o)
{
	unsigned long node = 1, flags = o->bits >> 8 & 7;
	void *pages[64];
	int nodes[64] = { 0 }, status[64];

	switch (o->bits % 4) {
	case 0:
	case 1:
		syscall(SYS_mbind, o->p, o->length, o->bits >> 4 & 3, &node, 64, flags);
		break;
	case 2:
		for (int i = 0; i < 64; i++)
			pages[i] = o->p + smaller(o->length - 1, i * PAGE);
		syscall(SYS_move_pages, 0, 64, pages, o->bits & 16 ? nodes : NULL, status,
			o->bits & 32 ? MPOL_MF_MOVE_ALL : MPOL_MF_MOVE);
		break;
	default:
		syscall(SYS_set_mempolicy, o->bits >> 4 & 3, &node, 64);
		syscall(SYS_get_mempolicy, nodes, NULL, 0, o->p, MPOL_F_NODE | MPOL_F_ADDR);
	}
}

static void op_lock(const struct op *o)
{
	switch (o->bits % 3) {
	case 0:
		mlock(o->p, o->length);
		break;
	case 1:
		syscall(SYS_mlock2, o->p, o->length, 1);
		break;
	default:
		munlock(o->p, o->length);
	}
}

static void op_look(const struct op *o)
{
	if (o->bits & 1)
		mincore(o->p, smaller(o->length, BUFFER * PAGE), (void *)buffer);
	else
		msync(o->p, o->length, o->bits >> 1 & 7);
}

/* Read the files in which the kernel describes all mappings. */
static void op_show(const struct op *o)
{
	static const char *const names[] = { "smaps", "smaps_rollup", "numa_maps", "maps" };
	char path[32];
	int file;

	snprintf(path, sizeof(path), "/proc/self/%s", names[o->bits % 4]);
	file = open(path, O_RDONLY | O_CLOEXEC);
	while (read(file, buffer, BUFFER) > 0)
		;
	close(file);
}

static void op_clear_refs(const struct op *o)
{
	const char what[] = { '1' + o->bits % 5, '\0' };

	file_write("/proc/self/clear_refs", what);
}

static void op_pagemap(const struct op *o)
{
	/* PAGEMAP_SCAN: size, flags, start, end, walk_end, vec, vec_len, max_pages,
	 * category_inverted, category_mask, category_anyof_mask, return_mask
	 */
	uint64_t scan[12] = { sizeof(scan), o->bits >> 4 & 3, (uintptr_t)o->p,
			      (uintptr_t)o->p + o->length, 0, (uintptr_t)buffer, 64, 0,
			      0, 0, 0xff, 0xff };
	int file = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (o->bits & 1)
		ioctl(file, _IOWR('f', 16, scan), scan);
	else if (pread(file, buffer, BUFFER, (uintptr_t)o->p / PAGE * 8) < 0)
		buffer[0] = 0;
	close(file);
}

static void op_huge(const struct op *o)
{
	prctl(PR_SET_THP_DISABLE, o->bits & 1, 0, 0, 0);
}

/* A touch of a page registered with userfaultfd waits until the file is closed. */
static void op_userfault(const struct op *o)
{
	struct uffdio_api api = { .api = UFFD_API, .features = o->bits & 1 ? 1 << 15 : 0 };
	struct uffdio_register range = {
		.range = { (uintptr_t)o->p, o->length }, .mode = 1 + o->bits % 7,
	};
	struct uffdio_writeprotect protect = { range.range, UFFDIO_WRITEPROTECT_MODE_WP };
	int file = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	ioctl(file, UFFDIO_API, &api);
	if (!ioctl(file, UFFDIO_REGISTER, &range))
		ioctl(file, UFFDIO_WRITEPROTECT, &protect);
	close(file);
}

/* Access a mapping of this process or another one as a debugger does. */
static void op_peek(const struct op *o)
{
	size_t length = smaller(o->length, BUFFER);
	struct iovec here = { buffer, length }, there = { o->p, length };
	pid_t pid = o->bits & 4 ? shared->pids[o->bits >> 3 & (PROCESSES - 1)] : getpid();

	switch (o->bits % 4) {
	case 0:
		process_vm_readv(pid, &here, 1, &there, 1, 0);
		break;
	case 1:
		process_vm_writev(pid, &here, 1, &there, 1, 0);
		break;
	case 2:
		length = pread(own_memory, buffer, length, (uintptr_t)o->p);
		break;
	default:
		length = pwrite(own_memory, buffer, length, (uintptr_t)o->p);
	}
}

static void op_splice(const struct op *o)
{
	struct iovec part = { o->p, smaller(o->length, BUFFER) };

	vmsplice(ends[1], &part, 1, SPLICE_F_NONBLOCK | (o->bits & SPLICE_F_GIFT));
	if (o->bits & 1)
		while (read(ends[0], buffer, BUFFER) > 0)
			;
}

static void op_futex(const struct op *o)
{
	struct timespec soon = { .tv_nsec = 50000 };

	syscall(SYS_futex, o->p, o->bits & 1 ? FUTEX_WAIT : FUTEX_WAKE, o->bits >> 1 & 3, &soon);
}

static void op_remap(const struct op *o)
{
	syscall(SYS_remap_file_pages, o->p, o->length, 0, o->offset / PAGE, 0);
}

static void op_touch(const struct op *o)
{
	size_t step = PAGE << o->bits % 10;
	char *p = o->p;

	for (int i = 0; i < 16 && p < o->p + o->length; i++, p += step)
		if (o->bits & 1 << 16)
			put(p, &o->offset, sizeof(o->offset));
		else
			put(buffer, p, sizeof(o->offset));
}

/* Fork; the child does operations of its own. */
static void op_fork(const struct op *o)
{
	pid_t child = fork();

	if (!child) {
		op_touch(o);
		for (int i = 0; i < 4; i++)
			mm_run_one();
		_exit(0);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static const struct kind kinds[] = {
	{ op_touch, 30 }, { op_map_all, 6 }, { op_map_part, 6 }, { op_unmap, 6 },
	{ op_protect, 6 }, { op_move, 6 }, { op_advise, 10 }, { op_policy, 6 },
	{ op_lock, 3 }, { op_look, 4 }, { op_show, 1 }, { op_clear_refs, 2 },
	{ op_pagemap, 3 }, { op_huge, 3 }, { op_userfault, 2 }, { op_peek, 6 },
	{ op_splice, 2 }, { op_futex, 2 }, { op_remap, 2 }, { op_fork, 1 }, { op_open, 3 },
};

void mm_run_one(void)
{
	struct op o = { .length = draw_length(), .offset = draw_page() * PAGE, .bits = draw() };

	o.p = draw_address(&o.length);
	o.to = draw_address(&o.length);
	kinds[draw_kind(kinds, sizeof(kinds) / sizeof(*kinds))].run(&o);
	__atomic_fetch_add(&shared->operations, 1, __ATOMIC_RELAXED);
}

void mm_begin(uint64_t bytes)
{
	guard();
	size = bytes;
	fd = mm_open_device(size);
	if (fd < 0)	/* unbound just now: op_open() replaces this one */
		fd = open("/dev/null", O_RDWR);
	own_memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (own_memory < 0 || pipe2(ends, O_NONBLOCK | O_CLOEXEC))
		_exit(2);
}
