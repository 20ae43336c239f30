// SPDX-License-Identifier: GPL-2.0-only
/* What mappings allow, refuse, and keep to through fork, mremap and madvise. */
/* rig: devices=plain size=16M over=pci,window,memory */
#include <setjmp.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "dev.h"

#define SIZE (16 << 20)

static sigjmp_buf escape;

static void on_signal(int signal)
{
	siglongjmp(escape, signal);
}

/* Touch an address; gives the signal that it ended in, or 0. */
static int touch(volatile char *p, bool write)
{
	int caught = sigsetjmp(escape, 1);

	if (caught)
		return caught;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

static void *map(int fd, int prot, int flags, size_t length, off_t offset)
{
	return mmap(NULL, length, prot, flags, fd, offset);
}

static void test_bounds(int fd)
{
	const int rw = PROT_READ | PROT_WRITE;

	refused(map(fd, rw, MAP_SHARED, SIZE + PAGE, 0), EINVAL, "longer than the region");
	refused(map(fd, rw, MAP_SHARED, PAGE, SIZE), EINVAL, "at the end");
	refused(map(fd, rw, MAP_SHARED, 2 * PAGE, SIZE - PAGE), EINVAL, "over the end");
	refused(map(fd, rw, MAP_SHARED, PAGE, 1LL << 50), EINVAL, "far beyond");
	refused(map(fd, rw, MAP_SHARED, PAGE, 123), EINVAL, "unaligned offset");
	refused(map(fd, rw, MAP_PRIVATE, PAGE, 0), EINVAL, "private and writable");
	refused(map(fd, PROT_READ, MAP_PRIVATE, PAGE, 0), EINVAL, "private");
	refused(map(fd, rw | PROT_EXEC, MAP_SHARED, PAGE, 0), EACCES, "executable");

	char *p = dev_map_at(fd, SIZE - PAGE, PAGE);

	tap_eq(touch(p + PAGE - 1, true), 0, "the last byte can be mapped");
	refused(mprotect(p, PAGE, rw | PROT_EXEC), EACCES, "made executable later");
	tap_eq(mprotect(p, PAGE, PROT_READ), 0, "made read-only");
	tap_eq(touch(p, true), SIGSEGV, "then a write ends in SIGSEGV");
	munmap(p, PAGE);
}

static void test_read_only(void)
{
	int fd = dev_open_at(RIG_DEVICE, O_RDONLY);
	char *p;

	refused(map(fd, PROT_READ | PROT_WRITE, MAP_SHARED, PAGE, 0), EACCES,
		"a read-only file gives no writable mapping");
	p = map(fd, PROT_READ, MAP_SHARED, PAGE, 0);
	tap_ok(p != MAP_FAILED, "a read-only file can be mapped for reading");
	tap_eq(touch(p, false), 0, "and read");
	refused(mprotect(p, PAGE, PROT_READ | PROT_WRITE), EACCES,
		"but not made writable later");
	munmap(p, PAGE);
	close(fd);
}

static void test_same_page_twice(int fd)
{
	volatile char *a = dev_map(fd, SIZE), *b = dev_map_at(fd, 5 * PAGE, PAGE);

	a[5 * PAGE + 7] = 42;
	tap_eq(b[7], 42, "two mappings show the same page");
	b[8] = 43;
	tap_eq(a[5 * PAGE + 8], 43, "both ways");
	munmap((void *)a, SIZE);
	tap_eq(touch(b + 8, true), 0, "one goes, the other stays");
	munmap((void *)b, PAGE);
}

static void test_parts(int fd)
{
	char *p = dev_map(fd, SIZE), *moved, *room, *place;

	memset(p, 0x11, SIZE);
	tap_eq(munmap(p + 3 * PAGE, 2 * PAGE), 0, "unmap two pages in the middle");
	tap_eq(touch(p + 3 * PAGE, false), SIGSEGV, "they are gone");
	tap_eq(p[5 * PAGE], 0x11, "the rest is there");
	tap_eq(munmap(p + SIZE - (4 << 20), 4 << 20), 0, "unmap the last 4 MiB");
	tap_eq(p[SIZE - (4 << 20) - 1], 0x11, "what is before is there");

	p[8 << 20] = 0x22;
	/* What is behind the mapping may be the vDSO, which cannot be unmapped in part. */
	room = mmap(NULL, 4 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	place = (char *)(((uintptr_t)room + (2 << 20) - 1) & -(2UL << 20));
	moved = mremap(p + (8 << 20), 2 << 20, 2 << 20, MREMAP_MAYMOVE | MREMAP_FIXED,
		       place);
	tap_ok(moved == place && moved[0] == 0x22, "mremap moves");
	tap_eq(touch(p + (8 << 20), false), SIGSEGV, "away from where it was");
	refused(mremap(moved, 2 << 20, 4 << 20, MREMAP_MAYMOVE), EFAULT,
		"mremap does not grow");
	tap_ok(mremap(moved, 2 << 20, 1 << 20, 0) == moved, "mremap shrinks");
	munmap(p, SIZE);
	munmap(room, 4 << 20);
}

static void test_fork(int fd)
{
	volatile char *p = dev_map(fd, SIZE);
	int status;
	pid_t pid;

	p[100] = 1;
	pid = fork();
	if (!pid) {
		bool seen = p[100] == 1;

		p[SIZE - 1] = 2;
		p[100] = 3;
		_exit(!seen);
	}
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "a child sees the memory");
	tap_ok(p[SIZE - 1] == 2 && p[100] == 3, "the parent sees what it wrote");
	tap_eq(msync((void *)p, SIZE, MS_SYNC), 0, "msync succeeds");
	munmap((void *)p, SIZE);
}

static void test_madvise(int fd)
{
	char *p = dev_map(fd, SIZE);
	int status;
	pid_t pid;

	p[0] = 77;
	refused(madvise(p, SIZE, MADV_DONTNEED), EINVAL,
		"MADV_DONTNEED is refused, as for all device memory");
	tap_eq(p[0], 77, "nothing was lost");
	madvise(p, SIZE, MADV_NOHUGEPAGE);
	tap_eq(touch(p + SIZE - 1, true), 0, "MADV_NOHUGEPAGE does no harm");
	tap_eq(madvise(p, SIZE, MADV_DONTFORK), 0, "MADV_DONTFORK");
	pid = fork();
	if (!pid)
		_exit(touch(p, false));
	waitpid(pid, &status, 0);
	tap_eq(WEXITSTATUS(status), SIGSEGV, "then a child does not have it");
	munmap(p, SIZE);
}

/* On arm64 kernels before 6.0 cannot map device memory for a debugger. */
static bool has_access(void)
{
	struct utsname name;

	uname(&name);
	return strcmp(name.machine, "aarch64") || atoi(name.release) >= 6;
}

/* A debugger's way to a program's memory. */
static void test_access(int fd)
{
	if (!has_access()) {
		tap_skip("a debugger", "this kernel shows it no device memory");
		return;
	}

	int mem = dev_open_at("/proc/self/mem", O_RDWR);
	char *p = dev_map(fd, SIZE), text[6] = "";

	strcpy(p + 9000, "shared");
	tap_eq(pread(mem, text, 6, (uintptr_t)p + 9000), 6, "a debugger reads a mapping");
	tap_ok(!memcmp(text, "shared", 6), "what is there");
	tap_eq(pwrite(mem, "S", 1, (uintptr_t)p + 9000), 1, "and writes it");
	tap_eq(p[9000], 'S', "it is there");
	munmap(p, SIZE);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	tap_ok(pwrite(mem, "T", 1, (uintptr_t)p + 9000) < 0 && p[9000] == 'S',
	       "but not one that is read-only");
	munmap(p, SIZE);
	close(mem);
}

int main(void)
{
	int fd = dev_open();

	signal(SIGSEGV, on_signal);
	signal(SIGBUS, on_signal);
	test_bounds(fd);
	test_read_only();
	test_same_page_twice(fd);
	test_parts(fd);
	test_fork(fd);
	test_madvise(fd);
	test_access(fd);

	char *p = dev_map(fd, SIZE);

	close(fd);
	tap_eq(touch(p + SIZE / 2, true), 0, "a mapping outlives its file");
	return tap_done();
}
