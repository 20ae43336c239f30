// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region over 4 GiB, in few page tables: huge entries where the kernel has
 * them for device memory, whole page tables at a time elsewhere.
 */
/* rig: devices=plain size=8G mem=1024 */
#include <sys/utsname.h>

#include "dev.h"

#define GIB (1ULL << 30)
#define TRACING "/sys/kernel/tracing/"
#define THP "/sys/kernel/mm/transparent_hugepage/enabled"

/* Kilobytes that this process has in page tables. */
static long page_tables(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmPTE: %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

/* The trace of page faults since it was last cleared. */
static const char *fault_trace(void)
{
	static char text[1 << 20];
	FILE *f = fopen(TRACING "trace", "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f)
		fclose(f);
	return text;
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	while ((text = strstr(text, what))) {
		text += strlen(what);
		n++;
	}
	return n;
}

static void trace_clear(void)
{
	close(open(TRACING "trace", O_WRONLY | O_TRUNC));
}

static void touch_all(volatile char *p, size_t length)
{
	for (size_t i = 0; i < length; i += 4096)
		(void)p[i];
}

static void test_offsets(int fd)
{
	uint64_t a = 0x1122334455667788, b = 0;
	volatile uint64_t *p;

	tap_eq(lseek(fd, 0, SEEK_END), 8 * GIB, "SEEK_END gives 8 GiB");
	tap_eq(pwrite(fd, &a, 8, 5 * GIB + 16), 8, "write at 5 GiB");
	p = dev_map_at(fd, 5 * GIB, 4096);
	tap_ok(p[2] == a, "a mapping there shows it");
	p[3] = ~a;
	tap_ok(pread(fd, &b, 8, 5 * GIB + 24) == 8 && b == ~a, "and back");
	tap_eq(pread(fd, &b, 8, GIB + 16), 8, "4 GiB below");
	tap_eq(b, 0, "there is nothing");
	munmap((void *)p, 4096);
	p = dev_map(fd, 8 * GIB);
	tap_ok(p[(5 * GIB + 16) / 8] == a, "a mapping of all 8 GiB shows it too");
	p[8 * GIB / 8 - 1] = a;
	tap_ok(pread(fd, &b, 8, 8 * GIB - 8) == 8 && b == a, "up to its last word");
	munmap((void *)p, 8 * GIB);
}

/* With huge entries by the gigabyte, two megabytes and page. */
static void test_huge(int fd)
{
	static const struct {
		size_t length;
		off_t offset;
		const char *order, *what;
	} cases[] = {
		{ 64 << 20, 4 << 20, "order=9", "2 MiB at a time" },
		{ 2 * GIB, 0, "order=18", "1 GiB at a time" },
	};
	long before;
	char *p;

#ifndef __x86_64__
	const int possible = 1;

	tap_skip("1 GiB at a time", "only x86 has such entries for device memory");
#else
	const int possible = 2;
#endif
	for (int i = 0; i < possible; i++) {
		before = page_tables();
		p = dev_map_at(fd, cases[i].offset, cases[i].length);
		trace_clear();
		touch_all(p, cases[i].length);
		tap_ok(count(fault_trace(), cases[i].order) > 0, "mapped %s",
		       cases[i].what);
		tap_ok(page_tables() - before <= 16, "with hardly any page table");
		munmap(p, cases[i].length);
	}

	p = dev_map_at(fd, 0, 8 << 20);
	tap_eq(munmap(p + 4096, 4096), 0, "unmap one page of a huge one");
	tap_eq(p[0], 0, "the rest is still there");
	munmap(p, 8 << 20);
}

static void test_single_pages(int fd)
{
	char *p;

	p = mmap(NULL, 8 << 20, PROT_READ, MAP_SHARED, fd, 4096);
	trace_clear();
	touch_all(p, 8 << 20);
	tap_ok(count(fault_trace(), "ivshmem_fault:") <= 5 + 4,
	       "an unaligned mapping takes one fault for 512 pages");
	munmap(p, 8 << 20);
	file_write(THP, "never");
	p = dev_map(fd, 64 << 20);
	trace_clear();
	touch_all(p, 64 << 20);
	tap_ok(count(fault_trace(), "ivshmem_fault:") <= 33,
	       "so does one where huge pages are switched off");
	munmap(p, 64 << 20);
}

int main(void)
{
	int fd = dev_open(), major = 0, minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%d.%d", &major, &minor);
	file_write(TRACING "events/ivshmem/ivshmem_fault/enable", "1");
	test_offsets(fd);
	if (major > 6 || (major == 6 && minor >= 12)) {
		file_write(THP, "always");
		test_huge(fd);
		file_write(THP, "madvise");
		test_huge(fd);
	} else {
		tap_skip("huge entries", "this kernel has none for device memory");
	}
	test_single_pages(fd);
	return tap_done();
}
