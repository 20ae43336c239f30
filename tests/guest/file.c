// SPDX-License-Identifier: GPL-2.0-only
/*
 * read, write, pread, pwrite and llseek, with offsets and lengths around each limit: in a
 * region of one page, of 2 MiB less a page, and of many times what the driver copies at
 * once.
 */
/* rig: devices=plain,plain,plain,plain size=16M,4K,2044K,1G mem=2560 */
/* rig: over=pci,window,memory */
#include <signal.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "dev.h"

#define DEVICES 4
#define MIB (1UL << 20)
#define SIGNALLED 20	/* reads and writes */
#define BUFFER (64UL << 10)	/* what the driver copies at once */

static const char *path;
static size_t size;		/* of the region */
static char big[3 * MIB], back[3 * MIB];

static void test_edges(int fd)
{
	char byte = 1, two[2] = { 2, 3 };

	tap_eq(lseek(fd, 0, SEEK_END), size, "SEEK_END gives the size");
	tap_eq(read(fd, &byte, 1), 0, "read at the end gives 0");
	refused(write(fd, &byte, 1), ENOSPC, "write at the end");
	tap_eq(write(fd, &byte, 0), 0, "writing nothing at the end is no error");
	tap_eq(pread(fd, &byte, 1, size), 0, "pread at the end gives 0");
	tap_eq(pread(fd, &byte, 1, (off_t)1 << 60), 0, "pread far beyond gives 0");
	refused(pwrite(fd, &byte, 1, size), ENOSPC, "pwrite at the end");
	refused(pwrite(fd, &byte, 1, (off_t)1 << 60), ENOSPC, "pwrite far beyond");
	refused(pread(fd, &byte, 1, -1), EINVAL, "pread before the start");
	tap_eq(pwrite(fd, two, 2, size - 1), 1, "write over the end is cut there");
	tap_eq(pread(fd, two, 2, size - 1), 1, "read over the end is cut there");
	tap_eq(two[0], 2, "the last byte was written");
	refused(lseek(fd, size + 1, SEEK_SET), EINVAL, "seek beyond the end");
	refused(lseek(fd, -1, SEEK_SET), EINVAL, "seek before the start");
	tap_eq(lseek(fd, 7, SEEK_SET), 7, "seek to an offset");
	tap_eq(lseek(fd, 3, SEEK_CUR), 10, "seek from the current position");
	tap_eq(read(fd, two, 2), 2, "read at the current position");
	tap_eq(lseek(fd, 0, SEEK_CUR), 12, "read advances the position");
}

/* Write and read 3 MiB, or as much as the region has room for, at an odd offset. */
static void test_content(int fd)
{
	struct iovec parts[2] = { { back, 1000 }, { back + 1000, 2000 } };
	const size_t at = size > MIB ? 12345 : size / 4 + 1;
	const size_t length = size - at < sizeof(big) ? size - at : sizeof(big);

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i * 31 + (i >> 10);
	tap_eq(pwrite(fd, big, length, at), length, "write %zu bytes, unaligned", length);
	tap_eq(pread(fd, back, length, at), length, "read %zu bytes, unaligned", length);
	tap_ok(!memcmp(big, back, length), "unaligned: read gives what was written");
	tap_eq(preadv(fd, parts, 2, at), 3000, "preadv into two buffers");
	tap_ok(!memcmp(big, back, 3000), "preadv gives what was written");

	char *p = dev_map(fd, size);

	tap_ok(!memcmp(p + at, big, length), "a mapping shows what was written");
	p[5] = 0x5a;
	tap_eq(pread(fd, back, 1, 5), 1, "read a byte that was stored through a mapping");
	tap_eq(back[0], 0x5a, "read gives what was stored through the mapping");
	munmap(p, size);
}

/* Write and read one, two and three of the driver's buffers, and a byte less and more. */
static void test_buffers(int fd)
{
	for (size_t n = 1; n <= 3; n++)
		for (size_t length = n * BUFFER - 1; length <= n * BUFFER + 1; length++) {
			const size_t at = size - length;

			memset(back, 0, length + 1);
			tap_eq(pwrite(fd, big + n, length, at), length,
			       "write the last %zu bytes", length);
			tap_eq(pread(fd, back, length + 1, at), length,
			       "read the last %zu bytes, asking for one more", length);
			tap_ok(!memcmp(big + n, back, length) && !back[length],
			       "the last %zu bytes are what was written, and no more", length);
		}
}

static void test_addresses(int fd)
{
	char *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = dev_map(fd, 2 * MIB);

	refused(pread(fd, nowhere, 10, 0), EFAULT, "read to a bad address");
	refused(pwrite(fd, nowhere, 10, 0), EFAULT, "write from a bad address");
	/* The driver's copy to or from user space faults on a mapping of the same device. */
	tap_eq(pwrite(fd, p + MIB, MIB, 0), MIB,
	       "write from a mapping of the device itself");
	madvise(p, 2 * MIB, MADV_DONTNEED);
	munmap(p, 2 * MIB);
	p = dev_map_at(fd, size - 2 * MIB, 2 * MIB);
	tap_eq(pread(fd, p, 2 * MIB, 0), 2 * MIB,
	       "read into a mapping of the device itself");
	munmap(p, 2 * MIB);
}

static void on_alarm(int number)
{
	(void)number;
}

/* A signal cuts nothing short: who reads a regular file counts on that. */
static void test_signals(int fd)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { };
	const struct sigaction action = { .sa_handler = on_alarm };
	const size_t length = sizeof(big) - 1000;
	int whole = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < SIGNALLED; i++) {
		whole += pwrite(fd, big, length, i) == (ssize_t)length;
		whole += pread(fd, back, length, i) == (ssize_t)length;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	tap_eq(whole, 2 * SIGNALLED, "signals cut neither read nor write short");
	tap_ok(!memcmp(big, back, length), "signals: read gives what was written");
}

static void test_modes(void)
{
	int ro = dev_open_at(path, O_RDONLY);
	int wo = dev_open_at(path, O_WRONLY);
	char byte = 1;

	refused(pwrite(ro, &byte, 1, 0), EBADF, "write to a read-only file");
	refused(pread(wo, &byte, 1, 0), EBADF, "read from a write-only file");
	tap_eq(pread(ro, &byte, 1, 0), 1, "read from a read-only file");
	tap_eq(pwrite(wo, &byte, 1, 0), 1, "write to a write-only file");
	close(ro);
	close(wo);
}

static void test_host(int fd)
{
	tap_eq(pwrite(fd, "host", 4, 4096), 4, "write for the host");
	tap_ok(!strcmp(rig_ask("memory-read 4096 4"), "686f7374"),
	       "the host sees what the guest wrote");
	rig_ask("memory-write 8192 6775657374");
	tap_eq(pread(fd, back, 5, 8192), 5, "read from the host");
	tap_ok(!memcmp(back, "guest", 5), "the guest sees what the host wrote");
}

static void test_size(const char *node, size_t bytes)
{
	int fd = dev_open_at(node, O_RDWR);

	path = node;
	size = bytes;
	test_edges(fd);
	test_content(fd);
	if (size > 4 * BUFFER)
		test_buffers(fd);
	if (size >= 16 * MIB) {
		test_addresses(fd);
		test_signals(fd);
	}
	test_modes();
	close(fd);
}

int main(void)
{
	dev_each_size(DEVICES, test_size);
	if (!rig_over("memory"))	/* the host does not share that */
		test_host(dev_open());
	return tap_done();
}
