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
	struct ivshmem_ring_wait *rw = low;
	struct ivshmem_ring *r = low;
	struct ivshmem_wait *w = low;
	uint64_t *counts = low + 2048;
	uint32_t id;

	if (ioctl32(fd, IVSHMEM_IOC_INFO, info) == -ENOSYS) {
		tap_skip("32-bit ioctls", "this kernel runs no 32-bit programs");
		return;
	}
	tap_eq(info->size, 1 << 20, "a 32-bit INFO gives the size");
	id = info->id;
	if (!dev_interrupts(fd, "32-bit RING, WAIT and RING_WAIT"))
		return;
	*r = (struct ivshmem_ring){ .peer = id, .vector = 1 };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_RING, r), 0, "a 32-bit RING");
	*w = (struct ivshmem_wait){ .vector = 1, .timeout_ns = 5 * SECOND,
				    .counts = (uintptr_t)counts, .ncounts = 2 };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_WAIT, w), 0, "a 32-bit WAIT");
	if (!tap_ok(w->count == 1 && counts[1] == 1 && counts[0] == 0,
		    "a 32-bit WAIT gives the counts of all vectors"))
		tap_note("count %llu, counts of vector 0: %llu, of vector 1: %llu",
			 (unsigned long long)w->count, (unsigned long long)counts[0],
			 (unsigned long long)counts[1]);
	*rw = (struct ivshmem_ring_wait){
		.ring = { .peer = id, .vector = 0 },
		.wait = { .timeout_ns = 5 * SECOND },
	};
	tap_eq(ioctl32(fd, IVSHMEM_IOC_RING_WAIT, rw), 0, "a 32-bit RING_WAIT");
	*w = (struct ivshmem_wait){ .flags = 8 };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_WAIT, w), -EINVAL,
	       "a 32-bit WAIT with an unknown flag is refused");
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
