// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two ioctls of kvmfr, as Looking Glass calls them: the size, and a dma-buf of a range.
 * The second device of PCI is larger than an int can say.
 */
/* rig: devices=plain,plain size=16M,4G over=pci,memory mem=256 modargs=kvmfr=1 */
#include "dev.h"
#include "pattern.h"

#define LARGE "/dev/ivshmem1"
#define PART (4UL << 20)

struct create {
	uint8_t flags;
	uint64_t offset, size;
};

/* The same on 32-bit x86. */
struct packed_create {
	uint8_t flags;
	uint32_t offset[2], size[2];
};

#define KVMFR_SIZE _IO('u', 0x44)
#define KVMFR_CREATE _IOW('u', 0x42, struct create)

static int create(int fd, uint8_t flags, uint64_t offset, uint64_t size)
{
	struct create c;

	/* Programs leave anything in the holes. */
	memset(&c, 0xff, sizeof(c));
	c.flags = flags;
	c.offset = offset;
	c.size = size;
	return result(ioctl(fd, KVMFR_CREATE, &c));
}

static void test_buffer(int fd)
{
	int buffer = create(fd, 1, PART, PART);
	char *map = dev_map(fd, 2 * PART), *p = dev_map(buffer, PART);

	tap_eq(fcntl(buffer, F_GETFD), FD_CLOEXEC, "flag 1: exec() closes it");
	pattern_write(p, PART, 1);
	tap_ok(pattern_matches(map + PART, PART, 1), "it is the range of the region");
	munmap(p, PART);
	munmap(map, 2 * PART);
	close(buffer);
	buffer = create(fd, 0, 0, PART);
	tap_eq(fcntl(buffer, F_GETFD), 0, "no flag: exec() keeps it");
	close(buffer);
	tap_eq(create(fd, 0, 1, PART), -EINVAL, "an offset in a page");
	tap_eq(create(fd, 0, 16 << 20, PART), -EINVAL, "beyond the end");
	refused(ioctl(fd, KVMFR_CREATE, 8), EFAULT, "a bad address");
}

int main(void)
{
	int fd = dev_open(), large = open(LARGE, O_RDWR);

	tap_eq(result(ioctl(fd, KVMFR_SIZE)), 16 << 20, "the size");
	if (dev_info(fd).features & IVSHMEM_FEATURE_DMABUF)
		test_buffer(fd);
	else
		tap_eq(create(fd, 0, 0, PART), -EOPNOTSUPP, "no dma-buf of this device");
	if (large >= 0)
		refused(ioctl(large, KVMFR_SIZE), EOVERFLOW, "a size over 2 GiB");
	refused(ioctl(fd, _IOW('u', 0x42, struct packed_create), 8), ENOTTY,
		"another size of structure");
	refused(ioctl(fd, _IO('u', 0x45)), ENOTTY, "no ioctl of kvmfr");
	tap_eq(dev_info(fd).regions, 2, "the driver's own ioctls work besides");
	return tap_done();
}
