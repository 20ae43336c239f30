// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region over 4 GiB: a page fault fills a page table, with entries of single pages
 * only. Huge ones took less memory and time, but they have no struct page, and the
 * kernel dies of such entries in each of the calls that are tried here.
 */
/* rig: devices=plain size=8G mem=1024 over=pci,window */
#include <sys/syscall.h>
#include <sys/wait.h>

#include "dev.h"
#include "guarded.h"

#define TABLE (2ULL << 20)	/* what one page table maps */
#define GIB (1ULL << 30)
#define TRACING "/sys/kernel/tracing/"
#define STRICT 1		/* MPOL_MF_STRICT */

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

/* The page faults that were traced since it was last cleared. */
static unsigned int faults(void)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[256];
	unsigned int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, "ivshmem_fault:") != NULL;
	if (f)
		fclose(f);
	return n;
}

static void faults_clear(void)
{
	close(open(TRACING "trace", O_WRONLY | O_TRUNC));
}

static void touch_all(volatile char *p, size_t length)
{
	for (size_t i = 0; i < length; i += PAGE)
		(void)p[i];
}

static bool readable(const char *p)
{
	char c;

	return put(&c, p, 1);
}

static bool writable(char *p)
{
	return put(p, "w", 1);
}

/* A GiB of which something is mapped already: where there are huge entries, all. */
static char *map_touched(int fd)
{
	char *p = dev_map(fd, GIB);

	p[0] = 1;
	return p;
}

static void test_offsets(int fd)
{
	uint64_t a = 0x1122334455667788, b = 0;
	volatile uint64_t *p;

	tap_eq(lseek(fd, 0, SEEK_END), 8 * GIB, "SEEK_END gives 8 GiB");
	tap_eq(pwrite(fd, &a, 8, 5 * GIB + 16), 8, "write at 5 GiB");
	p = dev_map_at(fd, 5 * GIB, PAGE);
	tap_ok(p[2] == a, "a mapping there shows it");
	p[3] = ~a;
	tap_ok(pread(fd, &b, 8, 5 * GIB + 24) == 8 && b == ~a, "and back");
	tap_eq(pread(fd, &b, 8, GIB + 16), 8, "4 GiB below");
	tap_eq(b, 0, "there is nothing");
	munmap((void *)p, PAGE);
	p = dev_map(fd, 8 * GIB);
	tap_ok(p[(5 * GIB + 16) / 8] == a, "a mapping of all 8 GiB shows it too");
	p[8 * GIB / 8 - 1] = a;
	tap_ok(pread(fd, &b, 8, 8 * GIB - 8) == 8 && b == a, "up to its last word");
	munmap((void *)p, 8 * GIB);
}

/* How many page tables does a range of addresses take? */
static unsigned long tables(const char *p, size_t length)
{
	uintptr_t first = (uintptr_t)p / TABLE, last = ((uintptr_t)p + length - 1) / TABLE;

	return last - first + 1;
}

static void test_tables(int fd, off_t offset, size_t length, const char *what)
{
	char *p = dev_map_at(fd, offset, length);
	long before = page_tables(), grown, least;

	faults_clear();
	touch_all(p, length);
	grown = page_tables() - before;
	tap_eq(faults(), tables(p, length), "%s takes one fault for each page table", what);
	/* At either end one may be shared with a neighbour, or one of each level above new. */
	least = (tables(p, length) - 2) * 4;
	tap_ok(grown >= least && grown <= least + 24, "and page tables of single pages: %ld kB",
	       grown);
	munmap(p, length);
}

static void test_unmap(int fd)
{
	char *p = map_touched(fd);

	tap_eq(result(munmap(p + PAGE, PAGE)), 0, "unmap one page of a GiB");
	tap_ok(!readable(p + PAGE), "it is gone");
	tap_ok(p[0] == 1 && writable(p + 2 * PAGE), "those beside it are there");
	munmap(p, GIB);
}

static void test_protect(int fd)
{
	char *p = map_touched(fd);

	tap_eq(result(mprotect(p + PAGE, PAGE, PROT_READ)), 0, "protect one page of a GiB");
	tap_ok(readable(p + PAGE) && !writable(p + PAGE), "it can only be read");
	tap_ok(p[0] == 1 && writable(p + 2 * PAGE), "those beside it can be written to");
	munmap(p, GIB);
}

static void test_replace(int fd)
{
	char *p = map_touched(fd);

	tap_ok(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	       p + PAGE, "map the first page of the region in the place of the second");
	tap_eq(p[PAGE], 1, "it is there");
	tap_ok(p[0] == 1 && writable(p + 2 * PAGE), "so are those beside it");
	munmap(p, GIB);
}

static void test_dontfork(int fd)
{
	char *p = map_touched(fd);
	int status = -1;
	pid_t child;

	tap_eq(result(madvise(p + PAGE, PAGE, MADV_DONTFORK)), 0,
	       "keep one page of a GiB from children");
	child = fork();
	if (!child)
		_exit(p[0] == 1 && !readable(p + PAGE) && writable(p + 2 * PAGE) ? 0 : 1);
	waitpid(child, &status, 0);
	tap_eq(status, 0, "a child has those beside it only");
	tap_ok(writable(p + PAGE), "its parent has it");
	munmap(p, GIB);
}

static void test_move(int fd)
{
	char *p = map_touched(fd), *room, *moved;

	/* Nothing of the old page tables fits at the new address. */
	room = mmap(NULL, GIB + 2 * TABLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(p, GIB, GIB, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (char *)((uintptr_t)room / TABLE * TABLE) + TABLE + PAGE);
	tap_ok(moved != MAP_FAILED, "move a GiB");
	tap_ok(!readable(p) && !readable(p + GIB - PAGE), "the old address cannot be read");
	tap_ok(moved[0] == 1 && writable(moved + GIB - PAGE), "the new one shows what was written");
	munmap(room, GIB + 2 * TABLE);
}

static void test_policy(int fd)
{
	char *p = map_touched(fd);
	unsigned long node = 1;

	tap_eq(result(syscall(SYS_mbind, p, GIB, 2, &node, 64, STRICT)), 0,
	       "bind a GiB to a node of memory");
	tap_ok(p[0] == 1 && writable(p), "it is still there");
	munmap(p, GIB);
}

static void test_clear_refs(int fd)
{
	static const char *const what[] = { "1", "3", "4" };
	char *p = map_touched(fd);

	for (int i = 0; i < 3; i++) {
		tap_eq(file_write("/proc/self/clear_refs", what[i]), 0, "write %s to clear_refs",
		       what[i]);
		/* Where an entry that was made read-only stays so, this never ends. */
		tap_ok(writable(p) && p[0] == 'w', "and then to the region");
	}
	munmap(p, GIB);
}

int main(void)
{
	int fd = dev_open();

	guard();
	file_write(TRACING "events/ivshmem/ivshmem_fault/enable", "1");
	file_write("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	test_offsets(fd);
	test_tables(fd, 0, GIB, "a GiB");
	test_tables(fd, PAGE, 4 * TABLE, "a mapping that begins inside of one");
	test_unmap(fd);
	test_protect(fd);
	test_replace(fd);
	test_dontfork(fd);
	test_move(fd);
	test_policy(fd);
	test_clear_refs(fd);
	return tap_done();
}
