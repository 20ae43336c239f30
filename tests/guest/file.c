// SPDX-License-Identifier: GPL-2.0-only
/* read, write, pread, pwrite and llseek see the shared memory, edge by edge. */
/* rig: devices=plain size=16M over=pci,window,memory */
#include <sys/uio.h>

#include "dev.h"

#define SIZE (16 << 20)

static char big[3 << 20], back[3 << 20];

static void test_edges(int fd)
{
	char byte = 1, two[2] = { 2, 3 };

	tap_eq(lseek(fd, 0, SEEK_END), SIZE, "SEEK_END gives the size");
	tap_eq(read(fd, &byte, 1), 0, "read at the end gives 0");
	refused(write(fd, &byte, 1), ENOSPC, "write at the end");
	tap_eq(write(fd, &byte, 0), 0, "writing nothing at the end is no error");
	tap_eq(pread(fd, &byte, 1, SIZE), 0, "pread at the end gives 0");
	tap_eq(pread(fd, &byte, 1, (off_t)1 << 60), 0, "pread far beyond gives 0");
	refused(pwrite(fd, &byte, 1, SIZE), ENOSPC, "pwrite at the end");
	refused(pwrite(fd, &byte, 1, (off_t)1 << 60), ENOSPC, "pwrite far beyond");
	refused(pread(fd, &byte, 1, -1), EINVAL, "pread before the start");
	tap_eq(pwrite(fd, two, 2, SIZE - 1), 1, "write over the end is cut there");
	tap_eq(pread(fd, two, 2, SIZE - 1), 1, "read over the end is cut there");
	tap_eq(two[0], 2, "the last byte was written");
	refused(lseek(fd, SIZE + 1, SEEK_SET), EINVAL, "seek beyond the end");
	refused(lseek(fd, -1, SEEK_SET), EINVAL, "seek before the start");
	tap_eq(lseek(fd, 7, SEEK_SET), 7, "seek");
	tap_eq(lseek(fd, 3, SEEK_CUR), 10, "seek from here");
	tap_eq(read(fd, two, 2), 2, "read");
	tap_eq(lseek(fd, 0, SEEK_CUR), 12, "read moves on");
}

static void test_content(int fd)
{
	struct iovec parts[2] = { { back, 1000 }, { back + 1000, 2000 } };

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = i * 31 + (i >> 10);
	tap_eq(pwrite(fd, big, sizeof(big), 12345), sizeof(big), "write 3 MiB, unaligned");
	tap_eq(pread(fd, back, sizeof(back), 12345), sizeof(back), "read them back");
	tap_ok(!memcmp(big, back, sizeof(big)), "they are equal");
	tap_eq(preadv(fd, parts, 2, 12345), 3000, "preadv");
	tap_ok(!memcmp(big, back, 3000), "preadv reads the same");

	char *p = dev_map(fd, SIZE);

	tap_ok(!memcmp(p + 12345, big, sizeof(big)), "a mapping shows the same");
	p[5] = 0x5a;
	tap_eq(pread(fd, back, 1, 5), 1, "read what a mapping wrote");
	tap_eq(back[0], 0x5a, "it is there");
	munmap(p, SIZE);
}

static void test_addresses(int fd)
{
	char *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = dev_map(fd, 2 << 20);

	refused(pread(fd, nowhere, 10, 0), EFAULT, "read to a bad address");
	refused(pwrite(fd, nowhere, 10, 0), EFAULT, "write from a bad address");
	/* The copy faults on a mapping of the same device. */
	tap_eq(pwrite(fd, p + (1 << 20), 1 << 20, 0), 1 << 20,
	       "write from a mapping of the device itself");
	madvise(p, 2 << 20, MADV_DONTNEED);
	munmap(p, 2 << 20);
	p = dev_map_at(fd, 8 << 20, 2 << 20);
	tap_eq(pread(fd, p, 2 << 20, 0), 2 << 20,
	       "read into a mapping of the device itself");
	munmap(p, 2 << 20);
}

static void test_modes(void)
{
	int ro = dev_open_at(RIG_DEVICE, O_RDONLY);
	int wo = dev_open_at(RIG_DEVICE, O_WRONLY);
	char byte = 1;

	refused(pwrite(ro, &byte, 1, 0), EBADF, "write to a read-only file");
	refused(pread(wo, &byte, 1, 0), EBADF, "read from a write-only file");
	tap_eq(pread(ro, &byte, 1, 0), 1, "read from a read-only file");
	tap_eq(pwrite(wo, &byte, 1, 0), 1, "write to a write-only file");
	close(ro);
	close(wo);
}

int main(void)
{
	int fd = dev_open();

	test_edges(fd);
	test_content(fd);
	test_addresses(fd);
	test_modes();

	if (rig_over("memory"))
		return tap_done();	/* no part of the host */
	tap_eq(pwrite(fd, "host", 4, 4096), 4, "write what the host reads");
	tap_ok(!strcmp(rig_ask("memory-read 4096 4"), "686f7374"),
	       "the host sees what was written");
	rig_ask("memory-write 8192 6775657374");
	tap_eq(pread(fd, back, 5, 8192), 5, "read what the host wrote");
	tap_ok(!memcmp(back, "guest", 5), "the guest sees it");
	return tap_done();
}
