// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of 32-bit programs. Their structures are the same, but they come through the
 * kernel's compat entry, which a 64-bit program reaches by int 0x80.
 */
/* rig: devices=doorbell vectors=2 size=1M over=pci,memory */
#include <sys/eventfd.h>

#include "dev.h"

#define SYS32_IOCTL 54
#define SYS32_MMAP2 192

#ifdef __x86_64__
static long ioctl32(int fd, unsigned int cmd, void *arg)
{
	long ret;

	asm volatile("int $0x80" : "=a"(ret)
		     : "a"((long)SYS32_IOCTL), "b"((long)fd), "c"((long)cmd), "d"(arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

/* Its offset is in pages, in a register that the compiler keeps for itself. */
static long mmap32(size_t size, int prot, int flags, int fd, uint64_t offset)
{
	uint32_t page = offset / 4096;
	long ret;

	asm volatile("mov %%rbp, %%r12; mov %[page], %%ebp; int $0x80; mov %%r12, %%rbp"
		     : "=a"(ret)
		     : "a"((long)SYS32_MMAP2), "b"(0L), "c"(size), "d"((long)prot),
		       "S"((long)flags), "D"((long)fd), [page] "r"(page)
		     : "memory", "r8", "r9", "r10", "r11", "r12");
	return (int)ret;
}

/* Structures of other sizes, and what has no vectors. */
static void test_sizes(int fd, void *low)
{
	const bool peers = dev_info(fd).features & IVSHMEM_FEATURE_PEERS;
	const bool dmabufs = dev_info(fd).features & IVSHMEM_FEATURE_DMABUF;
	struct ivshmem_dmabuf *d = low;
	char *bytes = low;
	int ret;

	memset(bytes, 0, 64);
	tap_eq(ioctl32(fd, _IOWR(IVSHMEM_IOC_MAGIC, 0, char[16]), low), 0, "a short INFO");
	tap_eq(ioctl32(fd, _IOWR(IVSHMEM_IOC_MAGIC, 0, char[15]), low), -EINVAL, "a shorter one");
	memset(bytes, 0, 64);
	tap_eq(ioctl32(fd, _IOWR(IVSHMEM_IOC_MAGIC, 0, char[40]), low), 0, "a long one");
	bytes[39] = 1;
	tap_eq(ioctl32(fd, _IOWR(IVSHMEM_IOC_MAGIC, 0, char[40]), low), -E2BIG,
	       "one that is not zero at its end");
	memset(bytes, 0, 64);
	tap_eq(ioctl32(fd, IVSHMEM_IOC_PEERS, low), peers ? 0 : -EOPNOTSUPP, "a 32-bit PEERS");
	*d = (struct ivshmem_dmabuf){ .size = PAGE, .flags = IVSHMEM_DMABUF_CLOEXEC };
	ret = ioctl32(fd, IVSHMEM_IOC_DMABUF, d);
	tap_ok(dmabufs ? ret >= 0 : ret == -EOPNOTSUPP, "a 32-bit DMABUF (%d)", ret);
	if (ret >= 0)
		close(ret);
	*d = (struct ivshmem_dmabuf){ .size = PAGE - 1 };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_DMABUF, d), dmabufs ? -EINVAL : -EOPNOTSUPP,
	       "one of no whole page");
}

static void test_registers(int fd)
{
	const struct ivshmem_region region = dev_region(fd, IVSHMEM_REGION_REGISTERS);
	const int rw = PROT_READ | PROT_WRITE;
	volatile uint32_t *registers;
	long at;

	at = mmap32(PAGE, rw, MAP_SHARED, fd, region.offset);
	if (!region.size) {
		tap_eq(at, -EACCES, "a 32-bit mmap2 of a register page that there is not");
		return;
	}
	registers = (void *)(uintptr_t)(uint32_t)at;
	if (!tap_ok(at > 0 || at < -4096, "a 32-bit mmap2 of the register page (%ld)", at))
		return;
	if (dev_info(fd).vectors) {
		registers[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(dev_info(fd).id, 1);
		tap_eq(dev_wait_vector(fd, 1, 5 * SECOND), 1, "it rings");
	}
	munmap((void *)registers, PAGE);
}

static void test_eventfd(int fd, void *low)
{
	struct ivshmem_eventfd *e = low;
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	*e = (struct ivshmem_eventfd){ .vector = 1, .fd = -1 };
	tap_eq(ioctl32(fd, IVSHMEM_IOC_EVENTFD, e), -ENOENT, "a 32-bit EVENTFD unbinds nothing");
	e->fd = efd;
	tap_eq(ioctl32(fd, IVSHMEM_IOC_EVENTFD, e), 0, "one binds");
	e->fd = -1;
	tap_eq(ioctl32(fd, IVSHMEM_IOC_EVENTFD, e), 0, "and the next one unbinds");
	close(efd);
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
	test_sizes(fd, low);
	test_registers(fd);
	if (!dev_interrupts(fd, "32-bit RING and WAIT"))
		return;
	test_eventfd(fd, low);
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
