// SPDX-License-Identifier: GPL-2.0-only
/* Every ioctl: success, and each error. */
/* rig: devices=doorbell,plain vectors=4 size=16M over=pci,memory,polled */
#include <sys/eventfd.h>

#include "dev.h"

#define HUGE (2ULL << 20)
#define PLAIN "/dev/ivshmem1"

static void test_info(int fd)
{
	const uint64_t known = IVSHMEM_FEATURE_DOORBELL | IVSHMEM_FEATURE_INTERRUPTS |
			       IVSHMEM_FEATURE_REGISTERS | IVSHMEM_FEATURE_RESET |
			       IVSHMEM_FEATURE_PAGES | IVSHMEM_FEATURE_DMABUF |
			       IVSHMEM_FEATURE_POLLED | IVSHMEM_FEATURE_PEERS;
	struct ivshmem_info info;

	memset(&info, 0xff, sizeof(info));
	tap_eq(ioctl(fd, IVSHMEM_IOC_INFO, &info), 0, "INFO");
	if (dev_interrupts(fd, "INFO: vectors")) {
		tap_eq(info.vectors, 4, "INFO: vectors");
		tap_ok(info.features & IVSHMEM_FEATURE_INTERRUPTS, "INFO: has interrupts");
	}
	tap_eq(info.id, rig_over("polled") ? 0xff00 : 0, "INFO: the id of the first guest");
	tap_eq(!!(info.features & IVSHMEM_FEATURE_POLLED), rig_over("polled"),
	       "INFO: doorbells are polled or not");
	tap_ok(info.features & IVSHMEM_FEATURE_DOORBELL, "INFO: has a doorbell");
	tap_eq(info.features & ~known, 0, "INFO: no unknown features");
	tap_eq(info.regions, 2, "INFO: regions");
	tap_eq(info.max_peer, 65535, "INFO: highest peer");
	tap_eq(info.max_vector, rig_over("polled") ? 3 : 65535, "INFO: highest vector of a peer");
	tap_eq(info.reserved, 0, "INFO: reserved field is zero");
	refused(ioctl(fd, IVSHMEM_IOC_INFO, NULL), EFAULT, "INFO: bad address");
	refused(ioctl(fd, _IO(IVSHMEM_IOC_MAGIC, 0x7f)), ENOTTY, "unknown ioctl");
}

/* A device can be reset if the kernel offers that to the administrator. */
static void test_can_reset(int fd, const char *node)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/ivshmem/%s/device/reset", node);
	tap_eq(!!(dev_info(fd).features & IVSHMEM_FEATURE_RESET), !access(path, F_OK),
	       "INFO: %s can be reset if it has a file for that", node);
}

/* Kilobytes of huge entries when all of the region is mapped and touched. */
static long huge_kb(int fd)
{
	volatile char *p = dev_map(fd, 16 << 20);
	long kb;

	for (size_t at = 0; at < 16 << 20; at += PAGE)
		(void)p[at];
	kb = map_huge_kb((char *)p);
	munmap((void *)p, 16 << 20);
	return kb;
}

static void test_region(int fd, int ro)
{
	struct ivshmem_region region;

	memset(&region, 0xff, sizeof(region));
	region.index = IVSHMEM_REGION_MEMORY;
	tap_eq(ioctl(fd, IVSHMEM_IOC_REGION, &region), 0, "REGION: the memory");
	tap_eq(region.size, 16 << 20, "REGION: its size");
	tap_eq(region.offset, 0, "REGION: its offset");
	tap_eq(region.flags, IVSHMEM_REGION_READ | IVSHMEM_REGION_WRITE,
	       "REGION: it can be read and written");
	tap_eq(region.cache, IVSHMEM_CACHE_WB, "REGION: write-back by default");
	tap_eq(region.page_sizes & ~HUGE, PAGE, "REGION: of ordinary pages");
	if (rig_over("memory"))
		tap_eq(region.page_sizes & HUGE, HUGE, "REGION: and of huge ones");
	if (!(region.page_sizes & HUGE))
		tap_eq(huge_kb(fd), 0, "REGION: no huge ones, and there are none");
	tap_eq(region.reserved, 0, "REGION: reserved field is zero");
	tap_eq(dev_region(ro, IVSHMEM_REGION_MEMORY).flags, IVSHMEM_REGION_READ,
	       "REGION: a read-only file can read it");
	for (uint32_t i = 2; i < 34; i++) {
		region.index = i == 33 ? 0xffffffff : i;
		if (result(ioctl(fd, IVSHMEM_IOC_REGION, &region)) != -EINVAL)
			tap_bail("REGION: index %u is not refused", region.index);
	}
	refused(ioctl(fd, IVSHMEM_IOC_REGION, &region), EINVAL, "REGION: index out of range");
	refused(ioctl(fd, IVSHMEM_IOC_REGION, 8), EFAULT, "REGION: bad address");
}

/*
 * The sizes of structures: all zero but for what must be set, for calls that succeed.
 * @least is the shortest that is accepted. DMABUF is called with a read-only file.
 */
static const struct {
	const char *name;
	unsigned long command;
	unsigned int least;
	uint32_t first[2];
	int result;
} sizes[] = {
	{ "INFO", IVSHMEM_IOC_INFO, 16, {}, 0 },
	{ "REGION", IVSHMEM_IOC_REGION, 24, {}, 0 },
	{ "RING", IVSHMEM_IOC_RING, 8, { 60000 }, 0 },
	{ "DMABUF", IVSHMEM_IOC_DMABUF, 16, {}, -EACCES },
	{ "PEERS", IVSHMEM_IOC_PEERS, 32, {}, -EOPNOTSUPP },
	{ "WAIT", IVSHMEM_IOC_WAIT, 32, { 0, 1 }, -ETIMEDOUT },
	{ "EVENTFD", IVSHMEM_IOC_EVENTFD, 8, { 1, -1U }, -ENOENT },
};

/* A call with another size of structure; @garbage in its last byte. */
static int resized(int fd, unsigned int i, unsigned int size, char garbage)
{
	unsigned long command = sizes[i].command & ~IOCSIZE_MASK;
	char bytes[16384] = { 0 };

	memcpy(bytes, sizes[i].first, sizeof(sizes[i].first));
	if (garbage)
		bytes[size - 1] = garbage;
	return result(ioctl(fd, command | size << _IOC_SIZESHIFT, bytes));
}

/* The same at the end of a page, with nothing behind it but as much of the structure. */
static int cut_off(int fd, unsigned int i, unsigned int size, unsigned int missing)
{
	unsigned long command = sizes[i].command & ~IOCSIZE_MASK;
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	char *at = pages + PAGE - size + missing;
	int ret;

	munmap(pages + PAGE, PAGE);
	memcpy(at, sizes[i].first, sizeof(sizes[i].first));
	ret = result(ioctl(fd, command | size << _IOC_SIZESHIFT, at));
	munmap(pages, PAGE);
	return ret;
}

/* How many directions but its own does an ioctl have? */
static int wrong_directions(int fd, unsigned int i)
{
	const unsigned long command = sizes[i].command;
	char bytes[256] = { 0 };
	int n = 0;

	for (unsigned int dir = 0; dir < 4; dir++)
		n += dir != _IOC_DIR(command) &&
		     result(ioctl(fd, _IOC(dir, _IOC_TYPE(command), _IOC_NR(command),
					   _IOC_SIZE(command)), bytes)) != -ENOTTY;
	return n;
}

/* How many sizes about the known one are not treated as they should be? */
static int wrong_sizes(int fd, unsigned int i, int want)
{
	const unsigned int known = _IOC_SIZE(sizes[i].command);
	int n = 0;

	for (unsigned int size = 0; size <= known + 16; size++) {
		n += resized(fd, i, size, 0) != (size < sizes[i].least ? -EINVAL : want);
		n += size > known && resized(fd, i, size, 1) != -E2BIG;
	}
	return n;
}

static void test_sizes(int rw, int ro)
{
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		unsigned int known = _IOC_SIZE(sizes[i].command);
		const char *name = sizes[i].name;
		int want = sizes[i].result, fd = want == -EACCES ? ro : rw;

		/* A label has room for peers. */
		if (want == -EOPNOTSUPP && rig_over("polled"))
			want = 0;
		if (i > 4 && !dev_interrupts(fd, "sizes of WAIT and EVENTFD"))
			return;
		tap_eq(resized(fd, i, known, 0), want, "%s: as long as known", name);
		tap_eq(wrong_sizes(fd, i, want), 0, "%s: of all sizes up to 16 bytes more", name);
		tap_eq(resized(fd, i, 16383, 0), want, "%s: as long as can be", name);
		tap_eq(resized(fd, i, 16383, 1), -E2BIG, "%s: with garbage far away", name);
		tap_eq(cut_off(fd, i, sizes[i].least, 0), want, "%s: at the end of a page", name);
		tap_eq(cut_off(fd, i, known, 1), -EFAULT, "%s: one byte beyond it", name);
		tap_eq(cut_off(fd, i, known + 8, 8), -EFAULT, "%s: what is unknown beyond it", name);
		tap_eq(wrong_directions(fd, i), 0, "%s: in another direction", name);
	}
}

/* Call with the shortest structure, from @first; *@spilled is set if more is written. */
static int shortest(int fd, unsigned int i, const void *first, bool *spilled)
{
	const unsigned int least = sizes[i].least;
	unsigned long command = sizes[i].command & ~IOCSIZE_MASK;
	char bytes[256];
	int ret;

	memset(bytes, 0x5a, sizeof(bytes));
	memcpy(bytes, first, least);
	ret = result(ioctl(fd, command | least << _IOC_SIZESHIFT, bytes));
	for (unsigned int at = least; at < sizeof(bytes); at++)
		*spilled |= bytes[at] != 0x5a;
	return ret;
}

/* What is beyond a short structure stays as it was. */
static void test_short_outputs(int fd)
{
	const bool dmabufs = dev_info(fd).features & IVSHMEM_FEATURE_DMABUF;
	const bool vectors = dev_info(fd).vectors;
	const struct ivshmem_dmabuf d = { .size = PAGE };
	const int64_t end = now_ns() + 5 * SECOND;
	static const char zeros[64];
	bool spilled = false;
	int ret;

	tap_eq(shortest(fd, 0, zeros, &spilled), 0, "the shortest INFO");
	tap_eq(shortest(fd, 1, zeros, &spilled), 0, "REGION");
	tap_eq(shortest(fd, 2, zeros, &spilled), 0, "RING");
	ret = shortest(fd, 3, &d, &spilled);
	tap_ok(dmabufs ? ret >= 0 : ret == -EOPNOTSUPP, "DMABUF");
	if (ret >= 0)
		close(ret);
	tap_eq(shortest(fd, 4, zeros, &spilled), rig_over("polled") ? 0 : -EOPNOTSUPP, "PEERS");
	if (vectors) {
		dev_ring_self(fd, 0);
		do
			ret = shortest(fd, 5, zeros, &spilled);
		while (ret == -ETIMEDOUT && now_ns() < end);
		tap_eq(ret, 0, "WAIT");
	}
	tap_ok(!spilled, "writes nothing behind its end");
	while (vectors && dev_wait_vector(fd, 0, SECOND / 20) > 0)
		;
}

static int ring_raw(int fd, struct ivshmem_ring r)
{
	return ioctl(fd, IVSHMEM_IOC_RING, &r);
}

static void test_ring(int fd, int ro, int plain)
{
	tap_eq(dev_ring_self(fd, 0), 0, "RING: oneself");
	tap_eq(dev_ring(fd, MAX_PEER, dev_info(fd).max_vector), 0,
	       "RING: a peer that does not exist is no error");
	refused(ring_raw(fd, (struct ivshmem_ring){ .peer = 65536 }), EINVAL,
		"RING: peer 65536");
	refused(ring_raw(fd, (struct ivshmem_ring){ .vector = 65536 }), EINVAL,
		"RING: vector 65536");
	refused(ring_raw(fd, (struct ivshmem_ring){ .flags = 0x80000000 }), EINVAL,
		"RING: unknown flag");
	refused(ring_raw(fd, (struct ivshmem_ring){ .reserved = 1 }), EINVAL,
		"RING: reserved not 0");
	refused(ioctl(fd, IVSHMEM_IOC_RING, 8), EFAULT, "RING: bad address");
	refused(ring_raw(ro, (struct ivshmem_ring){}), EACCES, "RING: read-only file");
	refused(ring_raw(plain, (struct ivshmem_ring){}), EOPNOTSUPP,
		"RING: device without doorbells");
}

static const uint64_t no_vector[1024], one_vector[] = { 1 }, five_vectors[] = { 0x1f };
static const uint64_t last_vector[] = { 1, 0, 0, 1ULL << 63 };
static uint64_t outputs[1024];

#define AT(set)	(uintptr_t)(set)
#define SET(at, bits)	.flags = IVSHMEM_WAIT_SET, .set = AT(at), .nbits = (bits)

static const struct {
	const char *what;
	struct ivshmem_wait wait;
} bad_waits[] = {
	{ "unknown flag", { .flags = 0x20 } },
	{ "vector out of range", { .vector = 4 } },
	{ "empty set", { SET(no_vector, 4) } },
	{ "a large empty set", { SET(no_vector, 65536) } },
	{ "set of no bits", { SET(one_vector, 0) } },
	{ "set of too many bits", { SET(one_vector, 65537) } },
	{ "set at no address", { SET(NULL, 4) } },
	{ "set without its flag", { .set = AT(one_vector) } },
	{ "bits without a set", { .nbits = 4 } },
	{ "set with a vector too many", { SET(five_vectors, 5) } },
	{ "set with more bits than it says", { SET(five_vectors, 4) } },
	{ "set with vector 255", { SET(last_vector, 256) } },
	{ "set and vector", { SET(one_vector, 4), .vector = 1 } },
	{ "offset without its flag", { .offset = 4 } },
	{ "expected without its flag", { .expected = 1 } },
	{ "offset not a multiple of 4", { .flags = IVSHMEM_WAIT_WORD, .offset = 2 } },
	{ "offset at the end", { .flags = IVSHMEM_WAIT_WORD, .offset = 16 << 20 } },
	{ "offset that would wrap", { .flags = IVSHMEM_WAIT_WORD, .offset = -4ULL } },
	{ "spin budget over a second", { .spin_ns = IVSHMEM_MAX_SPIN_NS + 1 } },
	{ "counts without a set", { .counts = AT(outputs) } },
	{ "signalled set without a set", { .signalled_set = AT(outputs) } },
	{ "a peer to ring without its flag", { .ring_peer = 1 } },
	{ "a vector to ring without its flag", { .ring_vector = 1 } },
	{ "ring peer 65536", { .flags = IVSHMEM_WAIT_RING, .ring_peer = 65536 } },
	{ "ring vector 65536", { .flags = IVSHMEM_WAIT_RING, .ring_vector = 65536 } },
};

static void test_wait(int fd, int wo, int ro, int plain)
{
	struct ivshmem_wait w;
	int rung = 0;

	for (size_t i = 0; i < sizeof(bad_waits) / sizeof(*bad_waits); i++) {
		w = bad_waits[i].wait;
		tap_eq(dev_wait(fd, &w), -EINVAL, "WAIT: %s", bad_waits[i].what);
		if (w.ring_peer || w.ring_vector || w.flags & IVSHMEM_WAIT_RING)
			continue;
		dev_ring_wait(fd, dev_info(fd).id, 3, &w);
	}
	for (rung = 0; dev_wait_vector(fd, 3, SECOND / 20) > 0; rung++)
		;
	tap_eq(rung, 0, "WAIT: with a bad argument it does not ring");
	w = (struct ivshmem_wait){ .flags = IVSHMEM_WAIT_WORD };
	tap_eq(dev_wait(wo, &w), -EACCES, "WAIT: for a word, with a write-only file");
	w = (struct ivshmem_wait){ .flags = IVSHMEM_WAIT_RING };
	tap_eq(dev_wait(ro, &w), -EACCES, "WAIT: ring first, with a read-only file");
	tap_eq(dev_wait(plain, &w), -EOPNOTSUPP, "WAIT: ring first, without doorbells");
	w = (struct ivshmem_wait){ .flags = IVSHMEM_WAIT_NEWS, .timeout_ns = SECOND };
	tap_eq(dev_wait(wo, &w), rig_over("polled") ? -EINVAL : -EOPNOTSUPP,
	       "WAIT: for peers, before PEERS");
	w = (struct ivshmem_wait){};
	tap_eq(dev_wait(plain, &w), -EOPNOTSUPP, "WAIT: device without interrupts");
	refused(ioctl(fd, IVSHMEM_IOC_WAIT, 8), EFAULT, "WAIT: bad address");
	w = (struct ivshmem_wait){ SET(8, 4) };
	tap_eq(dev_wait(fd, &w), -EFAULT, "WAIT: set at a bad address");

	/* PREEMPT_RT counts in a thread, which may not have had its turn. */
	tap_eq(dev_wait_vector(fd, 0, 5 * SECOND), 1, "WAIT: the doorbell of RING");
	tap_eq(dev_wait_vector(fd, 0, 0), -ETIMEDOUT, "WAIT: timeout 0 and nothing was signalled");
	dev_ring_self(fd, 0);
	w = (struct ivshmem_wait){ SET(one_vector, 4), .timeout_ns = SECOND, .counts = 8 };
	tap_eq(dev_wait(fd, &w), -EFAULT, "WAIT: counts at a bad address");
	w = (struct ivshmem_wait){ SET(one_vector, 4), .timeout_ns = SECOND,
				   .signalled_set = 8 };
	tap_eq(dev_wait(fd, &w), -EFAULT, "WAIT: signalled set at a bad address");
	tap_eq(dev_wait_vector(fd, 0, SECOND), 1,
	       "WAIT: a result that could not be written is reported again");
}

static void test_large_set(int fd)
{
	struct ivshmem_wait w = { SET(last_vector, 65536), .timeout_ns = SECOND };
	static uint64_t set[1024] = { 2 }, counts[65536];

	memset(outputs, 0xff, sizeof(outputs));
	memset(counts, 0xff, sizeof(counts));
	w.set = AT(set);
	w.signalled_set = AT(outputs);
	w.counts = AT(counts);
	tap_eq(dev_ring_wait(fd, dev_info(fd).id, 1, &w), 0, "WAIT: a set of 65536 bits");
	tap_ok(outputs[0] == 2 && !outputs[3] && !outputs[4] && !outputs[1023],
	       "WAIT: all words of the signalled set are written");
	tap_ok(counts[1] == 1 && !counts[0] && !counts[4] && !counts[65535],
	       "WAIT: and all counts");
}

static void test_ring_wait(int fd)
{
	struct ivshmem_wait w = { .vector = 2, .timeout_ns = 5 * SECOND };
	uint32_t id = dev_info(fd).id;

	tap_eq(dev_ring_wait(fd, id, 2, &w), 0, "WAIT that rings: oneself");
	tap_eq(w.count, 1, "WAIT that rings: one interrupt");
	tap_eq(w.result, IVSHMEM_RESULT_SIGNALLED, "WAIT that rings: result");
	tap_eq(w.flags, IVSHMEM_WAIT_RING, "WAIT that rings: flags are unchanged");
	tap_eq(dev_wait(fd, &w), 0, "WAIT that rings: again with the same structure");
}

static void test_nonblock(int fd)
{
	int nonblock = dev_open_at(RIG_DEVICE, O_RDWR | O_NONBLOCK);
	struct ivshmem_wait w = { .timeout_ns = -1 };
	uint32_t id = dev_info(nonblock).id;

	tap_eq(dev_wait(nonblock, &w), -EAGAIN, "O_NONBLOCK: WAIT for ever does not wait");
	w.timeout_ns = 0;
	tap_eq(dev_wait(nonblock, &w), -EAGAIN, "O_NONBLOCK: nor with timeout 0");
	w = (struct ivshmem_wait){ .vector = 1, .timeout_ns = -1,
				   .spin_ns = IVSHMEM_MAX_SPIN_NS };
	tap_eq(dev_wait(nonblock, &w), -EAGAIN, "O_NONBLOCK: nor to spin");
	dev_ring(fd, id, 1);
	while (dev_wait(nonblock, &w) == -EAGAIN)
		sleep_ms(1);
	tap_eq(w.count, 1, "O_NONBLOCK: a doorbell is reported");
	close(nonblock);
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
	test_can_reset(fd, "ivshmem0");
	test_can_reset(plain, "ivshmem1");
	test_region(fd, ro);
	test_sizes(fd, ro);
	test_short_outputs(fd);
	test_ring(fd, ro, plain);
	if (dev_interrupts(fd, "WAIT, EVENTFD")) {
		test_wait(fd, dev_open_at(RIG_DEVICE, O_WRONLY), ro, plain);
		test_large_set(fd);
		test_ring_wait(fd);
		test_nonblock(fd);
		test_eventfd(fd, plain);
	}

	tap_eq(dev_info(ro).features & IVSHMEM_FEATURE_REGISTERS, 0,
	       "INFO: no register page for a read-only file");
	tap_eq(dev_info(plain).vectors, 0, "INFO: plain device has no vectors");
	tap_eq(dev_info(plain).features &
	       ~(uint64_t)(IVSHMEM_FEATURE_RESET | IVSHMEM_FEATURE_PAGES | IVSHMEM_FEATURE_DMABUF),
	       0, "INFO: plain device can be reset, has struct pages and dma-bufs at most");
	tap_eq(dev_info(plain).id, IVSHMEM_ID_UNKNOWN, "INFO: nor an id");
	return tap_done();
}
