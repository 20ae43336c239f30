// SPDX-License-Identifier: GPL-2.0-only
/* Every ioctl: success, and each error. */
/* rig: devices=doorbell,plain vectors=4 size=16M over=pci,memory */
#include <sys/eventfd.h>

#include "dev.h"

#define PLAIN "/dev/ivshmem1"

static void test_info(int fd)
{
	struct ivshmem_info info, zero = {};

	memset(&info, 0xff, sizeof(info));
	tap_eq(ioctl(fd, IVSHMEM_IOC_INFO, &info), 0, "INFO");
	tap_eq(info.abi, IVSHMEM_ABI_VERSION, "INFO: ABI version");
	tap_eq(info.size, 16 << 20, "INFO: size");
	if (dev_interrupts(fd, "INFO: vectors"))
		tap_eq(info.vectors, 4, "INFO: vectors");
	tap_eq(info.id, 0, "INFO: the first guest has id 0");
	tap_eq(info.cache, IVSHMEM_CACHE_WB, "INFO: write-back by default");
	tap_ok(info.flags & IVSHMEM_INFO_DOORBELL, "INFO: has a doorbell");
	tap_eq(info.flags & ~(IVSHMEM_INFO_DOORBELL | IVSHMEM_INFO_REGISTERS), 0,
	       "INFO: no unknown flags");
	tap_ok(!memcmp(info.reserved, zero.reserved, sizeof(info.reserved)),
	       "INFO: reserved fields are zero");
	refused(ioctl(fd, IVSHMEM_IOC_INFO, NULL), EFAULT, "INFO: bad address");
	refused(ioctl(fd, _IO(IVSHMEM_IOC_MAGIC, 0x7f)), ENOTTY, "unknown ioctl");
	refused(ioctl(fd, _IOR(IVSHMEM_IOC_MAGIC, 0, char), &info), ENOTTY,
		"known number, wrong size");
}

static int ring_raw(int fd, struct ivshmem_ring r)
{
	return ioctl(fd, IVSHMEM_IOC_RING, &r);
}

static void test_ring(int fd, int ro, int plain)
{
	tap_eq(dev_ring_self(fd, 0), 0, "RING: oneself");
	tap_eq(dev_ring(fd, IVSHMEM_MAX_PEER, 255), 0,
	       "RING: a peer that does not exist is no error");
	refused(ring_raw(fd, (struct ivshmem_ring){ .peer = 65536 }), EINVAL,
		"RING: peer 65536");
	refused(ring_raw(fd, (struct ivshmem_ring){ .vector = 256 }), EINVAL,
		"RING: vector 256");
	refused(ring_raw(fd, (struct ivshmem_ring){ .flags = IVSHMEM_RING_DONE }),
		EINVAL, "RING: flag of RING_WAIT");
	refused(ring_raw(fd, (struct ivshmem_ring){ .flags = 0x80000000 }), EINVAL,
		"RING: unknown flag");
	refused(ring_raw(fd, (struct ivshmem_ring){ .reserved = 1 }), EINVAL,
		"RING: reserved not 0");
	refused(ioctl(fd, IVSHMEM_IOC_RING, 8), EFAULT, "RING: bad address");
	refused(ring_raw(ro, (struct ivshmem_ring){}), EACCES, "RING: read-only file");
	refused(ring_raw(plain, (struct ivshmem_ring){}), EOPNOTSUPP,
		"RING: device without doorbells");
}

static const struct {
	const char *what;
	struct ivshmem_wait wait;
} bad_waits[] = {
	{ "unknown flag", { .flags = 0x8 } },
	{ "vector out of range", { .vector = 4 } },
	{ "reserved not 0", { .reserved = { 1 } } },
	{ "the other reserved not 0", { .reserved = { 0, 1 } } },
	{ "empty set", { .flags = IVSHMEM_WAIT_SET } },
	{ "set without its flag", { .set = { 1 } } },
	{ "set with a vector too many", { .flags = IVSHMEM_WAIT_SET, .set = { 0x11 } } },
	{ "set with vector 255", { .flags = IVSHMEM_WAIT_SET, .set = { 1, 0, 0, 1ULL << 63 } } },
	{ "set and vector", { .flags = IVSHMEM_WAIT_SET, .set = { 2 }, .vector = 1 } },
	{ "offset without its flag", { .offset = 4 } },
	{ "expected without its flag", { .expected = 1 } },
	{ "offset not a multiple of 4", { .flags = IVSHMEM_WAIT_WORD, .offset = 2 } },
	{ "offset at the end", { .flags = IVSHMEM_WAIT_WORD, .offset = 16 << 20 } },
	{ "offset that would wrap", { .flags = IVSHMEM_WAIT_WORD, .offset = -4ULL } },
	{ "spin budget over a second", { .spin_ns = IVSHMEM_MAX_SPIN_NS + 1 } },
	{ "257 counts", { .counts = 4096, .ncounts = 257 } },
	{ "counts at no address", { .ncounts = 1 } },
	{ "an address but no counts", { .counts = 4096 } },
};

static void test_wait(int fd, int wo, int plain)
{
	struct ivshmem_ring_wait rw;
	struct ivshmem_wait w;

	for (size_t i = 0; i < sizeof(bad_waits) / sizeof(*bad_waits); i++) {
		w = bad_waits[i].wait;
		tap_eq(dev_wait(fd, &w), -EINVAL, "WAIT: %s",
		       bad_waits[i].what);
		rw = (struct ivshmem_ring_wait){ .wait = bad_waits[i].wait };
		refused(ioctl(fd, IVSHMEM_IOC_RING_WAIT, &rw), EINVAL,
			"RING_WAIT: %s", bad_waits[i].what);
	}
	w = (struct ivshmem_wait){ .flags = IVSHMEM_WAIT_WORD };
	refused(ioctl(wo, IVSHMEM_IOC_WAIT, &w), EACCES,
		"WAIT: for a word, with a write-only file");
	w = (struct ivshmem_wait){};
	refused(ioctl(plain, IVSHMEM_IOC_WAIT, &w), EOPNOTSUPP,
		"WAIT: device without interrupts");
	refused(ioctl(fd, IVSHMEM_IOC_WAIT, 8), EFAULT, "WAIT: bad address");

	/* PREEMPT_RT counts in a thread, which may not have had its turn. */
	tap_eq(dev_wait_vector(fd, 0, 5 * SECOND), 1, "WAIT: the doorbell of RING");
	refused(ioctl(fd, IVSHMEM_IOC_WAIT, &w), ETIMEDOUT,
		"WAIT: timeout 0 and nothing fired");
	dev_ring_self(fd, 0);
	w = (struct ivshmem_wait){ .timeout_ns = SECOND, .counts = 8, .ncounts = 1 };
	refused(ioctl(fd, IVSHMEM_IOC_WAIT, &w), EFAULT, "WAIT: counts at a bad address");
	tap_eq(dev_wait_vector(fd, 0, SECOND), 1,
	       "WAIT: a result that could not be written is reported again");
}

static void test_ring_wait(int fd, int ro, int plain)
{
	struct ivshmem_ring_wait rw = {
		.ring = { .peer = dev_info(fd).id, .vector = 2 },
		.wait = { .vector = 2, .timeout_ns = 5 * SECOND },
	};
	struct ivshmem_ring_wait bad = rw;

	tap_eq(ioctl(fd, IVSHMEM_IOC_RING_WAIT, &rw), 0, "RING_WAIT: oneself");
	tap_eq(rw.wait.count, 1, "RING_WAIT: one interrupt");
	tap_eq(rw.wait.result, IVSHMEM_RESULT_FIRED, "RING_WAIT: result");
	tap_eq(rw.ring.flags, 0, "RING_WAIT: ring flags are clear");
	bad.ring.peer = 65536;
	refused(ioctl(fd, IVSHMEM_IOC_RING_WAIT, &bad), EINVAL, "RING_WAIT: peer 65536");
	bad.ring = (struct ivshmem_ring){ .vector = 256 };
	refused(ioctl(fd, IVSHMEM_IOC_RING_WAIT, &bad), EINVAL, "RING_WAIT: vector 256");
	bad.ring = (struct ivshmem_ring){ .flags = 2 };
	refused(ioctl(fd, IVSHMEM_IOC_RING_WAIT, &bad), EINVAL,
		"RING_WAIT: unknown ring flag");
	bad.ring = (struct ivshmem_ring){ .reserved = 1 };
	refused(ioctl(fd, IVSHMEM_IOC_RING_WAIT, &bad), EINVAL,
		"RING_WAIT: reserved not 0");
	refused(ioctl(ro, IVSHMEM_IOC_RING_WAIT, &rw), EACCES, "RING_WAIT: read-only file");
	refused(ioctl(plain, IVSHMEM_IOC_RING_WAIT, &rw), EOPNOTSUPP,
		"RING_WAIT: device without doorbells");
	refused(ioctl(fd, IVSHMEM_IOC_RING_WAIT, 8), EFAULT, "RING_WAIT: bad address");

	rw.ring.flags = IVSHMEM_RING_DONE;
	rw.wait = (struct ivshmem_wait){ .vector = 2 };
	refused(ioctl(fd, IVSHMEM_IOC_RING_WAIT, &rw), ETIMEDOUT,
		"RING_WAIT: does not ring again with IVSHMEM_RING_DONE");
	tap_eq(rw.ring.flags, 0, "RING_WAIT: the next one rings again");
	tap_eq(dev_wait_vector(fd, 2, SECOND / 10), -ETIMEDOUT,
	       "RING_WAIT: and nothing fired");
}

static int eventfd_raw(int fd, struct ivshmem_eventfd e)
{
	return ioctl(fd, IVSHMEM_IOC_EVENTFD, &e);
}

static void test_eventfd(int fd, int plain)
{
	int efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	eventfd_t value;

	refused(eventfd_raw(fd, (struct ivshmem_eventfd){ .vector = 4, .fd = efd }),
		EINVAL, "EVENTFD: vector out of range");
	refused(eventfd_raw(fd, (struct ivshmem_eventfd){ .flags = 1, .fd = efd }),
		EINVAL, "EVENTFD: unknown flag");
	refused(eventfd_raw(fd, (struct ivshmem_eventfd){ .reserved = 1, .fd = efd }),
		EINVAL, "EVENTFD: reserved not 0");
	refused(eventfd_raw(fd, (struct ivshmem_eventfd){ .fd = 999 }), EBADF,
		"EVENTFD: closed descriptor");
	refused(eventfd_raw(fd, (struct ivshmem_eventfd){ .fd = -2 }), EBADF,
		"EVENTFD: descriptor -2");
	refused(eventfd_raw(fd, (struct ivshmem_eventfd){ .fd = fd }), EINVAL,
		"EVENTFD: no eventfd");
	refused(eventfd_raw(fd, (struct ivshmem_eventfd){ .fd = -1 }), ENOENT,
		"EVENTFD: nothing to unbind");
	refused(eventfd_raw(plain, (struct ivshmem_eventfd){ .fd = efd }), EOPNOTSUPP,
		"EVENTFD: device without interrupts");
	refused(ioctl(fd, IVSHMEM_IOC_EVENTFD, 8), EFAULT, "EVENTFD: bad address");

	tap_eq(dev_eventfd(fd, 1, efd), 0, "EVENTFD: bind");
	tap_eq(dev_eventfd(fd, 1, efd), 0, "EVENTFD: bind again replaces");
	dev_ring_self(fd, 1);
	dev_wait_vector(fd, 1, 5 * SECOND);
	sleep_ms(20);
	tap_ok(!eventfd_read(efd, &value) && value == 1, "EVENTFD: is signalled once");
	tap_eq(dev_eventfd(fd, 1, -1), 0, "EVENTFD: unbind");
	dev_ring_self(fd, 1);
	dev_wait_vector(fd, 1, 5 * SECOND);
	sleep_ms(20);
	refused(eventfd_read(efd, &value), EAGAIN, "EVENTFD: no signal when unbound");
	close(efd);
}

int main(void)
{
	int fd = dev_open(), ro = dev_open_at(RIG_DEVICE, O_RDONLY);
	int plain = dev_open_at(PLAIN, O_RDWR);

	test_info(fd);
	test_ring(fd, ro, plain);
	if (dev_interrupts(fd, "WAIT, RING_WAIT, EVENTFD")) {
		test_wait(fd, dev_open_at(RIG_DEVICE, O_WRONLY), plain);
		test_ring_wait(fd, ro, plain);
		test_eventfd(fd, plain);
	}

	tap_eq(dev_info(ro).flags & IVSHMEM_INFO_REGISTERS, 0,
	       "INFO: no register page for a read-only file");
	tap_eq(dev_info(plain).vectors, 0, "INFO: plain device has no vectors");
	tap_eq(dev_info(plain).flags, 0, "INFO: plain device has no flags");
	tap_eq(dev_info(plain).id, IVSHMEM_ID_UNKNOWN, "INFO: nor an id");
	return tap_done();
}
