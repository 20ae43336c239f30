// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of 32-bit programs. Their structures are the same, but they come through the
 * kernel's compat entry, which a 64-bit program reaches by int 0x80.
 */
/* rig: devices=doorbell vectors=2 size=1M over=pci,memory */
#include "dev.h"

#define SYS32_IOCTL 54

#ifdef __x86_64__
static long ioctl32(int fd, unsigned int cmd, void *arg)
{
	long ret;

	asm volatile("int $0x80" : "=a"(ret)
		     : "a"((long)SYS32_IOCTL), "b"((long)fd), "c"((long)cmd), "d"(arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

static void test_ioctls(void)
{
	int fd = dev_open();
	/* At an address that fits a 32-bit pointer. */
	void *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct ivshmem_info *info = low;
	struct ivshmem_region *region = low;
	struct ivshmem_ring *r = low;
	struct ivshmem_wait *w = low;
	uint64_t *counts = low + 2048, *set = low + 1024;
	uint32_t id;

	if (ioctl32(fd, IVSHMEM_IOC_INFO, info) == -ENOSYS) {
		tap_skip("32-bit ioctls", "this kernel runs no 32-bit programs");
		return;
	}
	tap_eq(info->regions, 2, "a 32-bit INFO");
	id = info->id;
	*region = (struct ivshmem_region){ .index = IVSHMEM_REGION_MEMORY };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_REGION, region), 0, "a 32-bit REGION");
	tap_eq(region->size, 1 << 20, "it gives the size");
	if (!dev_interrupts(fd, "32-bit RING and WAIT"))
		return;
	*r = (struct ivshmem_ring){ .peer = id, .vector = 1 };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_RING, r), 0, "a 32-bit RING");
	*set = 2;
	*w = (struct ivshmem_wait){
		.flags = IVSHMEM_WAIT_SET, .timeout_ns = 5 * SECOND, .nbits = 2,
		.set = (uintptr_t)set, .counts = (uintptr_t)counts,
	};
	tap_eq(ioctl32(fd, IVSHMEM_IOC_WAIT, w), 0, "a 32-bit WAIT");
	tap_ok(w->count == 1 && counts[1] == 1 && counts[0] == 0, "a 32-bit WAIT gives the counts of all vectors");
	*w = (struct ivshmem_wait){ .flags = IVSHMEM_WAIT_RING, .ring_peer = id,
				    .timeout_ns = 5 * SECOND };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_WAIT, w), 0, "a 32-bit WAIT that rings first");
	*w = (struct ivshmem_wait){ .flags = 32 };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_WAIT, w), -EINVAL, "a 32-bit WAIT with an unknown flag is refused");
}
#else
static void test_ioctls(void)
{
	tap_skip("32-bit ioctls", "only x86 reaches them from a 64-bit program");
}
#endif

int main(void)
{
	test_ioctls();
	return tap_done();
}
