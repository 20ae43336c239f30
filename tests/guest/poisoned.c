// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel finds a page of a device in software broken (memory_failure): mappings end in
 * SIGBUS there, and what the kernel accesses for a program in EIO. The other pages and the next
 * device are well. Pages of other devices cannot be broken so, and stay as they are.
 */
/* rig: devices=doorbell size=4M over=pci,window,memory modargs=pages=yes */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guarded.h"
#include "module.h"
#include "pattern.h"

#define SIZE (4UL << 20)
#define BROKEN (1UL << 20)
#define REGION "/sys/class/ivshmem/ivshmem0/region"
#define CONFIG "/sys/kernel/config/ivshmem/ivshmem0"

static char bytes[SIZE];

/* In another process, which may be killed for it. */
static void break_page(int fd)
{
	pid_t pid = fork();

	if (!pid) {
		char *p = dev_map(fd, SIZE);

		*(volatile char *)(p + BROKEN);
		_exit(-result(madvise(p + BROKEN, PAGE, MADV_HWPOISON)));
	}
	must(waitpid(pid, NULL, 0));
}

static int read_at(int fd, size_t at, size_t n)
{
	static char there[SIZE];
	int ret = result(pread(fd, there, n, at));

	return ret < 0 ? ret : memcmp(there, bytes + at, n) ? -EBADMSG : ret;
}

static void test_broken(int fd)
{
	int region = dev_open_at(REGION, O_RDWR);
	struct ivshmem_wait word = { .flags = IVSHMEM_WAIT_WORD, .offset = BROKEN };
	char *p = dev_map(fd, SIZE);

	memcpy(&word.expected, bytes + BROKEN, sizeof(word.expected));
	tap_eq(touch(p + BROKEN, false), SIGBUS, "the page: a new mapping");
	tap_eq(read_at(fd, BROKEN, PAGE), -EIO, "the page: pread");
	tap_eq(read_at(fd, BROKEN + PAGE - 1, 2), -EIO, "its last byte and one more: pread");
	tap_eq(read_at(fd, BROKEN - 1, 2), -EIO, "its first byte and one before: pread");
	refused(pwrite(fd, bytes, PAGE, BROKEN), EIO, "the page: pwrite");
	tap_eq(read_at(region, BROKEN, 8), -EIO, "the page: the file in sysfs");
	refused(pwrite(region, bytes, 8, BROKEN), EIO, "the page: a write to that");
	tap_eq(dev_wait(fd, &word), -EIO, "a word of the page: WAIT");
	word.spin_ns = 1000000;
	tap_eq(dev_wait(fd, &word), -EIO, "a word of the page: WAIT that spins");
	tap_eq(read_at(fd, 0, BROKEN), BROKEN, "all before it: pread");
	tap_eq(read_at(fd, BROKEN + PAGE, 64), 64, "behind it: pread");
	tap_ok(!touch(p + BROKEN - 1, true) && !touch(p + BROKEN + PAGE, true),
	       "the pages beside it: a mapping");
	munmap(p, SIZE);
	close(region);
}

static void test_whole(int fd, const char *what)
{
	char *p = dev_map(fd, SIZE);

	tap_ok(put(p, bytes, SIZE) && !memcmp(p, bytes, SIZE), "%s: a mapping", what);
	tap_eq(read_at(fd, 0, SIZE), SIZE, "%s: pread", what);
	munmap(p, SIZE);
}

static void renew(void)
{
	must(rmdir(CONFIG));
	must(mkdir(CONFIG, 0755));
	tap_ok(!file_write(CONFIG "/size", "4M") && !file_write(CONFIG "/enable", "1") &&
	       file_comes(RIG_DEVICE, true), "another device can be made");
}

int main(void)
{
	int fd = dev_open();

	guard();
	pattern_write(bytes, SIZE, 1);
	must(pwrite(fd, bytes, SIZE, 0));
	if (madvise(NULL, 0, MADV_HWPOISON)) {
		tap_skip("a broken page", "this kernel knows of none");
		return tap_done();
	}
	break_page(fd);
	if (rig_over("memory")) {
		test_broken(fd);
		close(fd);
		renew();
		fd = dev_open();
	}
	test_whole(fd, "all");
	close(fd);
	return tap_done();
}
