// SPDX-License-Identifier: GPL-2.0-only
/*
 * What else programs do to an open file: flags of each read and write, appending, seeking,
 * truncating, reserving room, and copying by the kernel. The region is a file that can
 * neither grow nor shrink and has no holes.
 */
/* rig: devices=plain size=1M over=pci,memory */
#include <sys/syscall.h>
#include <sys/uio.h>

#include "dev.h"

#define SIZE (1L << 20)
#define FAR (1LL << 60)
#define FLAGS (sizeof(flags) / sizeof(*flags))

static const struct {
	const char *name;
	int flag;
} flags[] = {
	{ "RWF_NOWAIT", RWF_NOWAIT },
	{ "RWF_HIPRI", RWF_HIPRI },
	{ "RWF_DSYNC", RWF_DSYNC },
	{ "RWF_SYNC", RWF_SYNC },
	{ "all of them", RWF_NOWAIT | RWF_HIPRI | RWF_DSYNC | RWF_SYNC },
};

static int fd;
static char bytes[8192], back[8192];

/* What is written at the start, and must stay there. */
static bool kept(void)
{
	return pread(fd, back, 4, 0) == 4 && !memcmp(back, "kept", 4);
}

static void test_flags(void)
{
	struct iovec from[2] = { { bytes, 1000 }, { bytes + 1000, 7000 } };
	struct iovec to[2] = { { back, 3000 }, { back + 3000, 5000 } };

	for (size_t i = 0; i < FLAGS; i++) {
		memset(bytes, 'a' + i, sizeof(bytes));
		tap_eq(result(pwritev2(fd, from, 2, 100, flags[i].flag)), 8000,
		       "pwritev2 with %s", flags[i].name);
		tap_eq(result(preadv2(fd, to, 2, 100, flags[i].flag)), 8000,
		       "preadv2 with %s", flags[i].name);
		tap_ok(!memcmp(bytes, back, 8000), "reads what was written");
		tap_eq(result(pwritev2(fd, from, 2, SIZE - 10, flags[i].flag)), 10,
		       "is cut at the end");
		refused(pwritev2(fd, from, 2, SIZE, flags[i].flag), ENOSPC, "and fails there");
	}
	lseek(fd, 50, SEEK_SET);
	tap_eq(result(pwritev2(fd, from, 1, -1, RWF_DSYNC)), 1000, "pwritev2 at the position");
	tap_eq(lseek(fd, 0, SEEK_CUR), 1050, "which moves on");
}

static void test_append(void)
{
	int appending = dev_open_at(RIG_DEVICE, O_RDWR | O_APPEND);
	struct iovec part = { bytes, 4 };

	tap_eq(pwrite(fd, "kept", 4, 0), 4, "write at the start");
	refused(pwritev2(fd, &part, 1, 0, RWF_APPEND), ENOSPC, "RWF_APPEND is at the end");
	refused(write(appending, bytes, 4), ENOSPC, "so is a write with O_APPEND");
	refused(pwrite(appending, bytes, 4, 0), ENOSPC, "and a pwrite");
	tap_eq(write(appending, bytes, 0), 0, "writing nothing there is no error");
	tap_ok(kept(), "none of them changes the region");
	tap_eq(lseek(appending, 0, SEEK_CUR), 0, "nor the position");
	tap_eq(read(appending, back, 4), 4, "reading begins at the start");
	tap_eq(fcntl(appending, F_SETFL, O_RDWR), 0, "without O_APPEND");
	tap_eq(pwrite(appending, bytes, 4, 8), 4, "it can be written");
	close(appending);
}

static void test_seek(void)
{
	tap_eq(lseek(fd, 0, SEEK_END), SIZE, "SEEK_END gives the size");
	tap_eq(lseek(fd, -10, SEEK_END), SIZE - 10, "and seeks from there");
	refused(lseek(fd, 11, SEEK_CUR), EINVAL, "beyond the end");
	refused(lseek(fd, 1, SEEK_END), EINVAL, "beyond the end, from there");
	refused(lseek(fd, FAR, SEEK_SET), EINVAL, "far beyond");
	refused(lseek(fd, -SIZE - 1, SEEK_END), EINVAL, "before the start");
	refused(lseek(fd, INT64_MAX, SEEK_CUR), EINVAL, "an offset that overflows");
	tap_eq(lseek(fd, 0, SEEK_CUR), SIZE - 10, "none of these moves");
	tap_eq(lseek(fd, 100, SEEK_DATA), 100, "all of it is data");
	tap_eq(lseek(fd, 100, SEEK_HOLE), SIZE, "up to the hole that every file ends with");
	refused(lseek(fd, SIZE, SEEK_DATA), ENXIO, "there is no data at the end");
	refused(lseek(fd, SIZE, SEEK_HOLE), ENXIO, "nor a hole");
	refused(lseek(fd, 0, 99), EINVAL, "an unknown way to seek");
}

static void test_size(void)
{
	int file = open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0600), truncated;
	loff_t in = 0, out = 0;

	tap_eq(pwrite(fd, "kept", 4, 0), 4, "write at the start");
	refused(ftruncate(fd, 0), EINVAL, "ftruncate to nothing");
	refused(ftruncate(fd, SIZE), EINVAL, "to the same size");
	refused(ftruncate(fd, 2 * SIZE), EINVAL, "to more");
	refused(truncate(RIG_DEVICE, 0), EINVAL, "truncate");
	truncated = dev_open_at(RIG_DEVICE, O_RDWR | O_TRUNC);
	tap_ok(kept(), "O_TRUNC changes nothing");
	close(truncated);
	refused(fallocate(fd, 0, 0, SIZE), ENODEV, "fallocate");
	refused(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 2 * SIZE), ENODEV, "beyond the end");
	refused(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), ENODEV,
		"a hole");
	refused(copy_file_range(fd, &in, file, &out, 4096, 0), EINVAL,
		"copy_file_range from the region");
	refused(copy_file_range(file, &in, fd, &out, 4096, 0), EINVAL, "to it");
	refused(copy_file_range(fd, &in, fd, &(loff_t){ 8192 }, 4096, 0), EINVAL, "within it");
	tap_ok(kept() && lseek(fd, 0, SEEK_END) == SIZE, "nothing has changed");
	tap_eq(fsync(fd), 0, "fsync");
	tap_eq(fdatasync(fd), 0, "fdatasync");
	close(file);
}

/* A buffer of which a part is there: that part is moved, and the position moves with it. */
static void test_straddle(void)
{
	char *page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			  0), *at = page + PAGE - 100;

	mprotect(page + PAGE, PAGE, PROT_NONE);
	memset(page, 's', PAGE);
	memset(bytes, 'o', sizeof(bytes));
	pwrite(fd, bytes, 1000, 0);
	lseek(fd, 10, SEEK_SET);
	tap_eq(result(write(fd, at, 200)), 100, "write from a buffer that ends too early");
	tap_eq(lseek(fd, 0, SEEK_CUR), 110, "moves on as far");
	tap_ok(pread(fd, back, 1000, 0) == 1000 && back[9] == 'o' && back[10] == 's' &&
	       back[109] == 's' && back[110] == 'o', "has written that, and no more");
	memset(page, 0, PAGE);
	lseek(fd, 60, SEEK_SET);
	tap_eq(result(read(fd, at, 200)), 100, "read into such a buffer");
	tap_eq(lseek(fd, 0, SEEK_CUR), 160, "moves on as far");
	tap_ok(!at[-1] && at[0] == 's' && at[49] == 's' && at[50] == 'o' && at[99] == 'o',
	       "has read that, and no more");
	refused(read(fd, page + PAGE, 10), EFAULT, "into nothing");
	refused(write(fd, page + PAGE, 10), EFAULT, "from nothing");
	tap_eq(lseek(fd, 0, SEEK_CUR), 160, "moves nothing");
	munmap(page, 2 * PAGE);
}

static void test_removed(void)
{
	const char *pci = dev_pci(0);
	const int ways[] = { SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE };
	struct iovec part = { bytes, 4 };

	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "unbind the device");
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++)
		refused(lseek(fd, 0, ways[i]), ENODEV, "lseek then, whence %d", ways[i]);
	refused(pwritev2(fd, &part, 1, 0, RWF_NOWAIT), ENODEV, "pwritev2");
	refused(pwritev2(fd, &part, 1, 0, RWF_APPEND), ENODEV, "with RWF_APPEND");
	refused(preadv2(fd, &part, 1, 0, RWF_NOWAIT), ENODEV, "preadv2");
	refused(ftruncate(fd, 0), EINVAL, "ftruncate, as before");
	refused(fallocate(fd, 0, 0, SIZE), ENODEV, "fallocate");
	file_write(PCI_DRIVER "bind", pci);
}

int main(void)
{
	fd = dev_open();
	test_flags();
	test_append();
	test_seek();
	test_size();
	test_straddle();
	if (rig_over("pci"))
		test_removed();
	return tap_done();
}
