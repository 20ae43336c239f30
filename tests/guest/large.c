// SPDX-License-Identifier: GPL-2.0-only
/*
 * A region larger than 4 GiB. A page fault fills one page table with entries of single
 * pages. The driver once made huge entries, which need less memory and time; but kernels
 * crash on huge entries without a struct page. The tests of one call each are those that
 * once brought a kernel down, or left it with a wrong translation:
 *
 * - munmap(), mprotect(), MAP_FIXED and MADV_DONTFORK of one page split a 1 GiB entry: oops
 *   in __split_huge_pmd(), Linux 6.12 and 7.3
 * - mremap() left the old translation of a 1 GiB entry usable
 * - mbind() with MPOL_MF_STRICT over a 2 MiB entry: oops, Linux 6.12
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

/* The driver's page faults that were traced since faults_clear(). */
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

/* Map a GiB and touch its first page. If there were huge entries, that would fill it all. */
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
	tap_ok(p[2] == a, "a mapping at 5 GiB shows what was written");
	p[3] = ~a;
	tap_ok(pread(fd, &b, 8, 5 * GIB + 24) == 8 && b == ~a,
	       "read gives what was stored through the mapping");
	tap_eq(pread(fd, &b, 8, GIB + 16), 8, "read 4 GiB below");
	tap_eq(b, 0, "the write did not wrap at 4 GiB");
	munmap((void *)p, PAGE);
	p = dev_map(fd, 8 * GIB);
	tap_ok(p[(5 * GIB + 16) / 8] == a, "a mapping of all 8 GiB shows it at 5 GiB");
	p[8 * GIB / 8 - 1] = a;
	tap_ok(pread(fd, &b, 8, 8 * GIB - 8) == 8 && b == a,
	       "read gives what was stored in the last word of the mapping");
	munmap((void *)p, 8 * GIB);
}

/* How many page tables does a range of addresses need? */
static unsigned long tables(const char *p, size_t length)
{
	uintptr_t first = (uintptr_t)p / TABLE, last = ((uintptr_t)p + length - 1) / TABLE;

	return last - first + 1;
}

static void test_tables(int fd, off_t offset, size_t length, const char *what)
{
	char *p = dev_map_at(fd, offset, length);
	long before = page_tables_kb(), grown, least;

	faults_clear();
	touch_all(p, length);
	grown = page_tables_kb() - before;
	tap_eq(faults(), tables(p, length), "%s takes one fault for each page table", what);
	/*
	 * The first and the last table may be shared with a neighbour. Or each of the higher
	 * levels needs a new table at both ends.
	 */
	least = (tables(p, length) - 2) * 4;
	tap_ok(grown >= least && grown <= least + 24,
	       "%s has page-table entries of single pages only: %ld kB, expected %ld to %ld",
	       what, grown, least, least + 24);
	munmap(p, length);
}

static void test_unmap(int fd)
{
	char *p = map_touched(fd);

	tap_eq(result(munmap(p + PAGE, PAGE)), 0,
	       "unmap one page of a GiB (once oopsed: split of a huge entry)");
	tap_ok(!readable(p + PAGE), "the unmapped page cannot be read");
	tap_ok(p[0] == 1 && writable(p + 2 * PAGE), "its neighbours are still mapped");
	munmap(p, GIB);
}

static void test_protect(int fd)
{
	char *p = map_touched(fd);

	tap_eq(result(mprotect(p + PAGE, PAGE, PROT_READ)), 0,
	       "protect one page of a GiB (once oopsed: split of a huge entry)");
	tap_ok(readable(p + PAGE) && !writable(p + PAGE),
	       "the protected page can be read, not written");
	tap_ok(p[0] == 1 && writable(p + 2 * PAGE), "its neighbours can be written");
	munmap(p, GIB);
}

static void test_replace(int fd)
{
	char *p = map_touched(fd);

	tap_ok(mmap(p + PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	       p + PAGE, "replace one page of a GiB (once oopsed: split of a huge entry)");
	tap_eq(p[PAGE], 1, "the new mapping shows its own page of the region");
	tap_ok(p[0] == 1 && writable(p + 2 * PAGE), "its neighbours are still mapped");
	munmap(p, GIB);
}

static void test_dontfork(int fd)
{
	char *p = map_touched(fd);
	int status = -1;
	pid_t child;

	tap_eq(result(madvise(p + PAGE, PAGE, MADV_DONTFORK)), 0,
	       "MADV_DONTFORK on one page of a GiB (once oopsed: split of a huge entry)");
	child = fork();
	if (!child)
		_exit(p[0] == 1 && !readable(p + PAGE) && writable(p + 2 * PAGE) ? 0 : 1);
	waitpid(child, &status, 0);
	tap_eq(status, 0, "a child has its neighbours, but not the page");
	tap_ok(writable(p + PAGE), "the parent still has the page");
	munmap(p, GIB);
}

static void test_move(int fd)
{
	char *p = map_touched(fd), *room, *moved;

	/* The new address differs in its offset into a table, so no table can be moved whole. */
	room = mmap(NULL, GIB + 2 * TABLE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(p, GIB, GIB, MREMAP_MAYMOVE | MREMAP_FIXED,
		       (char *)((uintptr_t)room / TABLE * TABLE) + TABLE + PAGE);
	tap_ok(moved != MAP_FAILED, "move a GiB");
	tap_ok(!readable(p) && !readable(p + GIB - PAGE),
	       "the old address is unmapped (once readable: its huge entry stayed)");
	tap_ok(moved[0] == 1 && writable(moved + GIB - PAGE),
	       "the new address shows what was written");
	munmap(room, GIB + 2 * TABLE);
}

static void test_policy(int fd)
{
	char *p = map_touched(fd);
	unsigned long node = 1;

	tap_eq(result(syscall(SYS_mbind, p, GIB, 2, &node, 64, STRICT)), 0,
	       "mbind a GiB with MPOL_MF_STRICT (once oopsed on a huge entry)");
	tap_ok(p[0] == 1 && writable(p), "the bound GiB is still mapped");
	munmap(p, GIB);
}

static void test_clear_refs(int fd)
{
	static const char *const what[] = { "1", "3", "4" };
	char *p = map_touched(fd);

	for (int i = 0; i < 3; i++) {
		tap_eq(file_write("/proc/self/clear_refs", what[i]), 0, "write %s to clear_refs",
		       what[i]);
		/*
		 * clear_refs makes entries read-only. If the fault did not make this one
		 * writable again, the store would fault for ever.
		 */
		tap_ok(writable(p) && p[0] == 'w', "after %s to clear_refs the region is writable",
		       what[i]);
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
	test_tables(fd, PAGE, 4 * TABLE, "a mapping that begins inside a page table");
	test_unmap(fd);
	test_protect(fd);
	test_replace(fd);
	test_dontfork(fd);
	test_move(fd);
	test_policy(fd);
	test_clear_refs(fd);
	return tap_done();
}
