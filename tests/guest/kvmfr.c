// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two ioctls of kvmfr, as Looking Glass calls them: the size, and a dma-buf of a range.
 * PCI has two more devices: one of a size that takes an unsigned int, and one that is larger.
 */
/* rig: devices=plain,plain,plain size=16M,2G,4G over=pci,memory mem=256 modargs=kvmfr=1 */
#include "dev.h"
#include "pattern.h"

#define UNSIGNED "/dev/ivshmem1"
#define LARGE "/dev/ivshmem2"
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
	int buffer = create(fd, 1, PART, PART), ro = dev_open_at(RIG_DEVICE, O_RDONLY);
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
	tap_eq(create(fd, 0, PART, 0), -EINVAL, "no bytes");
	tap_eq(create(fd, 0, PART, -(uint64_t)PART), -EINVAL, "an end that wraps to 0");
	tap_eq(create(ro, 0, 0, PART), -EACCES, "a read-only file");
	refused(ioctl(fd, KVMFR_CREATE, 8), EFAULT, "a bad address");
	close(ro);
}

/* The client has the size of what it maps from the ioctl, in an unsigned int. */
static void test_client(const char *path)
{
	int fd = dev_open_at(path, O_RDWR);
	unsigned int size = ioctl(fd, KVMFR_SIZE);
	char *p = dev_map(fd, size), last = 0;

	tap_ok(size == dev_size(fd), "%s: the size as an unsigned int", path);
	p[size - 1] = 'x';
	tap_ok(pread(fd, &last, 1, size - 1) == 1 && last == 'x', "%s: a mapping of it", path);
	munmap(p, size);
	close(fd);
}

int main(void)
{
	int fd = dev_open(), large = open(LARGE, O_RDWR);

	test_client(RIG_DEVICE);
	if (large >= 0)
		test_client(UNSIGNED);
	if (dev_info(fd).features & IVSHMEM_FEATURE_DMABUF)
		test_buffer(fd);
	else
		tap_eq(create(fd, 0, 0, PART), -EOPNOTSUPP, "no dma-buf of this device");
	if (large >= 0)
		refused(ioctl(large, KVMFR_SIZE), EOVERFLOW, "a size that no int can say");
	refused(ioctl(fd, _IOW('u', 0x42, struct packed_create), 8), ENOTTY,
		"another size of structure");
	refused(ioctl(fd, _IO('u', 0x45)), ENOTTY, "no ioctl of kvmfr");
	tap_eq(dev_info(fd).regions, 2, "the driver's own ioctls work besides");
	return tap_done();
}
