// SPDX-License-Identifier: GPL-2.0-only
/*
 * What mappings allow and refuse, through fork, mremap, mprotect and madvise too: of a
 * region of one page, of one page less than a page table maps, and of many tables.
 */
/* rig: devices=plain,plain,plain,plain size=16M,4K,2044K,1G mem=2560 */
/* rig: over=pci,window,memory */
#include <pthread.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "dev.h"
#include "guarded.h"

#define DEVICES 4
#define MIB (1UL << 20)
#define TABLE (2 * MIB)		/* what a page table maps, with pages of 4 KiB */
#define CHANGES 50

static const char *path;
static size_t size;		/* of the region */

static void *map(int fd, int prot, int flags, size_t length, off_t offset)
{
	return mmap(NULL, length, prot, flags, fd, offset);
}

static void test_bounds(int fd)
{
	const int rw = PROT_READ | PROT_WRITE;

	refused(map(fd, rw, MAP_SHARED, size + PAGE, 0), EINVAL, "longer than the region");
	refused(map(fd, rw, MAP_SHARED, PAGE, size), EINVAL, "at the end");
	refused(map(fd, rw, MAP_SHARED, 2 * PAGE, size - PAGE), EINVAL, "over the end");
	refused(map(fd, rw, MAP_SHARED, PAGE, 1LL << 50), EINVAL, "far beyond");
	refused(map(fd, rw, MAP_SHARED, PAGE, 123), EINVAL, "unaligned offset");
	refused(map(fd, rw, MAP_PRIVATE, PAGE, 0), EINVAL, "private and writable");
	refused(map(fd, PROT_READ, MAP_PRIVATE, PAGE, 0), EINVAL, "private");
	refused(map(fd, rw | PROT_EXEC, MAP_SHARED, PAGE, 0), EACCES, "executable");

	char *p = dev_map_at(fd, size - PAGE, PAGE);

	tap_eq(touch(p + PAGE - 1, true), 0, "the last byte can be mapped");
	refused(mprotect(p, PAGE, rw | PROT_EXEC), EACCES, "made executable later");
	tap_eq(mprotect(p, PAGE, PROT_READ), 0, "made read-only");
	tap_eq(touch(p, true), SIGSEGV, "then a write ends in SIGSEGV");
	munmap(p, PAGE);
}

/* The line of /proc/self/maps about a mapping. */
static const char *maps_line(const char *p)
{
	static char line[256];
	FILE *maps = fopen("/proc/self/maps", "r");
	char start[20];

	snprintf(start, sizeof(start), "%lx-", (unsigned long)p);
	while (fgets(line, sizeof(line), maps) && strncmp(line, start, strlen(start)))
		;
	fclose(maps);
	return line;
}

/* The kernel asks for more than the program does. */
static void test_implied(int fd)
{
	const int rw = PROT_READ | PROT_WRITE, before = personality(READ_IMPLIES_EXEC);
	char *p = map(fd, rw, MAP_SHARED, PAGE, 0);

	tap_ok(p != MAP_FAILED, "a program to which all that is readable is executable can map");
	if (p != MAP_FAILED) {
		tap_ok(strstr(maps_line(p), " rw-s "), "which is not executable: %.60s",
		       maps_line(p));
		tap_eq(touch(p, true), 0, "it can be written");
		tap_eq(mprotect(p, PAGE, PROT_READ), 0, "made read-only");
		tap_ok(strstr(maps_line(p), " r--s "), "it is no more than that");
		refused(mprotect(p, PAGE, rw | PROT_EXEC), EACCES, "made executable");
		munmap(p, PAGE);
	}
	refused(map(fd, PROT_EXEC, MAP_SHARED, PAGE, 0), EACCES, "executable alone");
	personality(before);
}

static void test_read_only(void)
{
	int fd = dev_open_at(path, O_RDONLY);
	char *p;

	refused(map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE, 0), EACCES,
		"a read-only file gives no writable mapping");
	p = map(fd, PROT_READ, MAP_SHARED, PAGE, 0);
	tap_ok(p != MAP_FAILED, "a read-only file can be mapped for reading");
	tap_eq(touch(p, false), 0, "the mapping of a read-only file can be read");
	refused(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES,
		"the mapping of a read-only file cannot be made writable later");
	munmap(p, PAGE);
	close(fd);
}

static void test_same_page_twice(int fd)
{
	const size_t last = size - PAGE;
	volatile char *a = dev_map(fd, size), *b = dev_map_at(fd, last, PAGE);

	a[last + 7] = 42;
	tap_eq(b[7], 42, "two mappings show the same page");
	b[8] = 43;
	tap_eq(a[last + 8], 43, "and the other way round");
	munmap((void *)a, size);
	tap_eq(touch(b + 8, true), 0, "unmapping one leaves the other");
	munmap((void *)b, PAGE);
}

/* Write its number at the start of each page. */
static void stamp(int fd, off_t start, size_t length)
{
	for (uint32_t page = 0; page < length / PAGE; page++)
		if (pwrite(fd, &page, sizeof(page), start + page * PAGE) != sizeof(page))
			tap_bail("pwrite of page %u: %s", page, strerror(errno));
}

static bool stamped(const char *p, size_t length)
{
	for (uint32_t page = 0; page < length / PAGE; page++)
		if (*(volatile uint32_t *)(p + page * PAGE) != page) {
			tap_note("page %u of %zu shows page %u", page, length / PAGE,
				 *(volatile uint32_t *)(p + page * PAGE));
			return false;
		}
	return true;
}

/* The last bytes of the region, and where they begin. */
static size_t tail(off_t *start)
{
	const size_t length = size < 4 * TABLE ? size : 4 * TABLE;

	*start = size - length;
	return length;
}

/*
 * A fault fills its page table as far as the mapping reaches: from any page, wherever
 * the mapping begins in the table, and not beyond its ends.
 */
static void test_tables(int fd)
{
	const size_t places[] = { 0, PAGE, TABLE / 2, TABLE - PAGE };
	off_t start;
	const size_t length = tail(&start), room_length = length + 4 * TABLE;
	char *room = mmap(NULL, room_length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *table = (char *)(((uintptr_t)room + 2 * TABLE - 1) / TABLE * TABLE);

	stamp(fd, start, length);
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		char *p = table + places[i];

		if (mmap(p, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 start) != p)
			tap_bail("mmap: %s", strerror(errno));
		tap_eq(touch(p + length / 2 / PAGE * PAGE + 8, true), 0,
		       "touch the middle of a mapping %zu pages into a table", places[i] / PAGE);
		tap_ok(stamped(p, length), "each page shows its own memory");
		tap_ok(touch(p - 1, false) == SIGSEGV && touch(p + length, false) == SIGSEGV,
		       "nothing beside the mapping is filled");
		mmap(p, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	munmap(room, room_length);
}

/* What the threads of test_flags() share. */
static struct {
	char *p;
	size_t length;
	volatile int running;
} changed;

/* Change pieces of the mapping, then all of it, so that VMAs split and merge. */
static void *change_protection(void *argument)
{
	static const int protections[] = { PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE };
	const size_t pages = changed.length / PAGE;

	for (unsigned int i = 0; i < CHANGES; i++) {
		size_t page = i * 37 % pages;

		mprotect(changed.p + page * PAGE, (pages - page + 1) / 2 * PAGE,
			 protections[i % 3]);
		if (i % 8 == 7)
			mprotect(changed.p, changed.length, PROT_READ | PROT_WRITE);
	}
	__atomic_fetch_sub(&changed.running, 1, __ATOMIC_RELEASE);
	return argument;
}

static void *change_advice(void *argument)
{
	const size_t pages = changed.length / PAGE;

	for (unsigned int i = 0; i < CHANGES; i++) {
		size_t page = i * 53 % pages;

		madvise(changed.p + page * PAGE, (pages - page + 1) / 2 * PAGE,
			i % 2 ? MADV_DOFORK : MADV_DONTFORK);
	}
	madvise(changed.p, changed.length, MADV_DOFORK);
	__atomic_fetch_sub(&changed.running, 1, __ATOMIC_RELEASE);
	return argument;
}

/* Two threads change the flags of the mapping that a third one touches. */
static void test_flags(int fd)
{
	void *(*const changes[])(void *) = { change_protection, change_advice };
	unsigned int touches = 0, wrong = 0;
	pthread_t threads[2];
	off_t start;

	changed.length = tail(&start);
	stamp(fd, start, changed.length);
	changed.p = dev_map_at(fd, start, changed.length);
	changed.running = 2;
	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, changes[i], NULL))
			tap_bail("pthread_create: %s", strerror(errno));
	for (size_t page = 0; changed.running || touches < CHANGES; touches++) {
		int signal;

		page = (page + 101) % (changed.length / PAGE);
		signal = touch(changed.p + page * PAGE + 8, touches % 2);
		if (signal && signal != SIGSEGV) {
			tap_note("touching page %zu ended in signal %d", page, signal);
			wrong++;
		}
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	tap_eq(wrong, 0, "two threads change the flags of what a third touches");
	tap_eq(mprotect(changed.p, changed.length, PROT_READ | PROT_WRITE), 0,
	       "all of it can be made writable again");
	tap_ok(stamped(changed.p, changed.length), "each page still shows its own memory");
	munmap(changed.p, changed.length);
}

/* The last 16 MiB of the region, mapped, and then changed piece by piece. */
static void test_parts(int fd)
{
	const size_t length = 16 * MIB;
	char *p = dev_map_at(fd, size - length, length);

	memset(p, 0x11, length);
	tap_eq(munmap(p + 3 * PAGE, 2 * PAGE), 0, "unmap two pages in the middle");
	tap_eq(touch(p + 3 * PAGE, false), SIGSEGV, "they are unmapped");
	tap_eq(p[5 * PAGE], 0x11, "the page after them is mapped");
	tap_eq(munmap(p + length - 4 * MIB, 4 * MIB), 0, "unmap the last 4 MiB");
	tap_eq(p[length - 4 * MIB - 1], 0x11, "the byte before them is mapped");
	munmap(p, length);
}

static void test_move(int fd)
{
	char *p = dev_map_at(fd, size - 8 * MIB, 8 * MIB), *moved, *room, *place;

	p[TABLE] = 0x22;
	/* The page after a mapping may be the vDSO, which cannot be unmapped in part. */
	room = mmap(NULL, 2 * TABLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	place = (char *)(((uintptr_t)room + TABLE - 1) & -TABLE);
	moved = mremap(p + TABLE, TABLE, TABLE, MREMAP_MAYMOVE | MREMAP_FIXED, place);
	tap_ok(moved == place && moved[0] == 0x22, "mremap moves a mapping");
	tap_eq(touch(p + TABLE, false), SIGSEGV, "the old address is unmapped");
	refused(mremap(moved, TABLE, 2 * TABLE, MREMAP_MAYMOVE), EFAULT,
		"mremap does not grow a mapping");
	tap_ok(mremap(moved, TABLE, TABLE / 2, 0) == moved, "mremap shrinks a mapping");
	munmap(p, 8 * MIB);
	munmap(room, 2 * TABLE);
}

static void test_fork(int fd)
{
	volatile char *p = dev_map(fd, size);
	int status;
	pid_t pid;

	p[100] = 1;
	pid = fork();
	if (!pid) {
		bool seen = p[100] == 1;

		p[size - 1] = 2;
		p[100] = 3;
		_exit(!seen);
	}
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "a child sees the memory through the mapping it inherits");
	tap_ok(p[size - 1] == 2 && p[100] == 3, "the parent sees what the child wrote");
	tap_eq(msync((void *)p, size, MS_SYNC), 0, "msync succeeds");
	munmap((void *)p, size);
}

static void test_madvise(int fd)
{
	char *p = dev_map(fd, size);
	int status;
	pid_t pid;

	p[0] = 77;
	if (dev_has_pages(fd))
		tap_eq(result(madvise(p, size, MADV_DONTNEED)), 0,
		       "MADV_DONTNEED succeeds, as for a file");
	else
		refused(madvise(p, size, MADV_DONTNEED), EINVAL,
			"MADV_DONTNEED is refused, as for all device memory");
	tap_eq(p[0], 77, "MADV_DONTNEED has lost nothing");
	madvise(p, size, MADV_NOHUGEPAGE);
	tap_eq(touch(p + size - 1, true), 0, "MADV_NOHUGEPAGE does no harm");
	tap_eq(madvise(p, size, MADV_DONTFORK), 0, "MADV_DONTFORK");
	pid = fork();
	if (!pid)
		_exit(touch(p, false));
	waitpid(pid, &status, 0);
	tap_eq(WEXITSTATUS(status), SIGSEGV, "after MADV_DONTFORK a child has no mapping");
	munmap(p, size);
}

/* On arm64 kernels before 6.0 cannot map device memory for a debugger. */
static bool has_access(void)
{
	struct utsname name;

	uname(&name);
	return strcmp(name.machine, "aarch64") || kernel_since(6, 0);
}

/* Access a mapping through /proc/self/mem, as a debugger does. */
static void test_access(int fd)
{
	if (!has_access()) {
		tap_skip("a debugger reads a mapping",
			 "this kernel does not show device memory to debuggers");
		return;
	}

	int mem = dev_open_at("/proc/self/mem", O_RDWR);
	const size_t at = size - 100;
	char *p = dev_map(fd, size), text[6] = "";

	strcpy(p + at, "shared");
	tap_eq(pread(mem, text, 6, (uintptr_t)p + at), 6, "a debugger reads a mapping");
	tap_ok(!memcmp(text, "shared", 6), "the debugger sees what is there");
	tap_eq(pwrite(mem, "S", 1, (uintptr_t)p + at), 1, "a debugger writes to a mapping");
	tap_eq(p[at], 'S', "the mapping shows what the debugger wrote");
	munmap(p, size);
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	tap_ok(pwrite(mem, "T", 1, (uintptr_t)p + at) < 0 && p[at] == 'S',
	       "a debugger cannot write to a read-only mapping");
	munmap(p, size);
	close(mem);
}

static void test_size(const char *node, size_t bytes)
{
	int fd = dev_open_at(node, O_RDWR);

	path = node;
	size = bytes;
	test_bounds(fd);
	test_implied(fd);
	test_read_only();
	test_same_page_twice(fd);
	test_tables(fd);
	test_flags(fd);
	if (size >= 16 * MIB) {
		test_parts(fd);
		test_move(fd);
	}
	test_fork(fd);
	test_madvise(fd);
	test_access(fd);

	char *p = dev_map(fd, size);

	close(fd);
	tap_eq(touch(p + size / 2, true), 0, "a mapping outlives its file");
	munmap(p, size);
}

int main(void)
{
	guard();
	dev_each_size(DEVICES, test_size);
	return tap_done();
}
