// SPDX-License-Identifier: GPL-2.0-only
/*
 * Partitions: each is a device of its own, which has its bytes and vectors of the whole one
 * and nothing beyond. A new table ends those that are not the same in it, and no other.
 */
/* rig: devices=doorbell,plain vectors=6 size=16M over=pci,memory timeout=120 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include "guarded.h"
#include "module.h"

#define BUS "/sys/bus/ivshmem/"
#define TABLE BUS "devices/ivshmem0/partitions"
#define CHARDEV BUS "drivers/ivshmem_chardev/"
#define CLASS "/sys/class/ivshmem/"
#define LOW "/dev/ivshmem0p1"
#define HIGH "/dev/ivshmem0p3"
#define SIZE (16UL << 20)
/* The first partition is not where huge pages are, the other is. */
#define LOW_OFFSET ((1UL << 20) + 65536)
#define LOW_SIZE (5UL << 20)
#define HIGH_OFFSET (8UL << 20)
#define HIGH_SIZE (4UL << 20)
#define LOW_ENTRY "low:1088K:5M:1:2"
#define HIGH_ENTRY "high:8M:4M"

static const int rw = PROT_READ | PROT_WRITE;
static int whole, low, high;
static char *all;	/* the whole device */

static void test_table(void)
{
	/* Each is refused as a whole. */
	static const char * const bad[] = {
		"a", "a:0", "a:0:", "a::1M", ":0:1M", "a:0:1M:", "a:0:1M:0", "a:0:1M:0:1:2",
		"a:x:1M", "a:0:-1M", "a:0:1M:250:7", "a:0:1M:65536:1", ".a:0:1M", "a/b:0:1M",
		"a b:0:1M", "a:100:1M", "a:0:100", "a:0:0", "a:0:17M", "a:16M:64K",
		"video:0:18014398509489152K", "a:16777216T:1M", "a:0:1P", "a:0xffffffffffff0000:128K", "a:0:1M,a:1M:1M", "a:0:1M,b:960K:1M",
		"a:0:1M:0:2,b:1M:1M:1:1", "good:0:1M,b:1M:1M:",
		"a234567890123456789012345678901b:0:1M",
	};
	char many[65 * 20] = "", *page = malloc(PAGE + 20);

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		tap_eq(file_write(TABLE, bad[i]), -EINVAL, "table \"%s\" is refused", bad[i]);
	for (unsigned int i = 0; i < 65; i++)
		snprintf(many + strlen(many), 20, "%sn%u:%uK:64K", i ? "," : "", i, i * 64);
	tap_eq(file_write(TABLE, many), -E2BIG, "so is one of 65 partitions");
	/* sysfs gives the driver a page of it, which ends with an entry. */
	snprintf(page, PAGE + 20, "%*s,more:1M:64K", (int)PAGE, "wide:0:64K");
	tap_eq(file_write(TABLE, page), -E2BIG, "and one that is longer than a page");
	tap_eq(access(LOW, F_OK), -1, "nothing of them is there");
	*strrchr(many, ',') = 0;
	tap_eq(file_write(TABLE, many), 0, "64 fit");
	tap_ok(file_comes("/dev/ivshmem0p64", true), "the last one has a node");
	tap_eq(file_write(TABLE, "\n"), 0, "an empty table");
	tap_ok(file_comes("/dev/ivshmem0p64", false), "removes all");
	tap_eq(file_write(TABLE, LOW_ENTRY ",," HIGH_ENTRY "\n"), 0, "a table with a gap");
	tap_ok(file_comes(LOW, true) && file_comes(HIGH, true), "its partitions are there");
	tap_eq(access("/dev/ivshmem0p2", F_OK), -1, "and none for the gap");
	free(page);
	tap_eq(access(BUS "devices/ivshmem0p1/partitions", F_OK), -1,
	       "a partition has no partitions");
	tap_eq(access(BUS "devices/ivshmem1/partitions", F_OK), 0, "a plain device can have some");
}

static void test_attributes(bool interrupts)
{
	struct stat st;

	dev_attribute_is("ivshmem0p1", "name", "low");
	dev_attribute_is("ivshmem0p1", "size", "5242880");
	dev_attribute_is("ivshmem0p1", "offset", "1114112");
	dev_attribute_is("ivshmem0p1", "partition", "1");
	dev_attribute_is("ivshmem0p1", "first_vector", "1");
	dev_attribute_is("ivshmem0p1", "vectors", interrupts ? "2" : "0");
	dev_attribute_is("ivshmem0p3", "name", "high");
	dev_attribute_is("ivshmem0p3", "partition", "3");
	dev_attribute_is("ivshmem0p3", "id", "unknown");
	tap_eq(access(CLASS "ivshmem0/partition", F_OK), -1, "the whole device is no partition");
	tap_ok(!stat(CLASS "ivshmem0p1/region", &st) && st.st_size == LOW_SIZE,
	       "the region in sysfs has the partition's size");
	if (interrupts)
		tap_ok(!access(CLASS "ivshmem0p1/interrupts/1", F_OK) &&
		       access(CLASS "ivshmem0p1/interrupts/2", F_OK),
		       "two vectors have counts");
	tap_eq(access(CLASS "ivshmem0p3/interrupts", F_OK), -1, "without vectors there are none");
}

static void test_info(bool interrupts)
{
	const uint64_t doorbells = IVSHMEM_FEATURE_DOORBELL | IVSHMEM_FEATURE_INTERRUPTS;
	struct ivshmem_info info = dev_info(low);

	tap_eq(info.vectors, interrupts ? 2 : 0, "INFO: two vectors");
	tap_eq(info.max_vector, 1, "INFO: two can be rung");
	tap_ok(!(info.features & IVSHMEM_FEATURE_REGISTERS), "INFO: no register page");
	tap_eq(dev_region(low, IVSHMEM_REGION_REGISTERS).size, 0, "REGION: no register page");
	tap_eq(dev_region(low, IVSHMEM_REGION_REGISTERS).flags, 0, "and no right to map it");
	tap_eq(dev_size(low), LOW_SIZE, "REGION: the partition's size");
	tap_ok(!(dev_info(high).features & doorbells), "INFO: no doorbells without vectors");
	refused(dev_ring(high, 0, 0), EOPNOTSUPP, "RING without vectors");
	refused(dev_wait_vector(high, 0, 0), EOPNOTSUPP, "WAIT without vectors");
	refused(dev_eventfd(high, 0, 0), EOPNOTSUPP, "EVENTFD without vectors");
}

/* Bytes that tell where they are. */
static void fill(void)
{
	uint32_t *words = (uint32_t *)all;

	for (uint32_t i = 0; i < SIZE / sizeof(*words); i++)
		words[i] = i;
}

static bool filled(const void *at, size_t offset, size_t size)
{
	const uint32_t *words = at;

	for (size_t i = 0; i < size / sizeof(*words); i++)
		if (words[i] != offset / sizeof(*words) + i)
			return false;
	return true;
}

static void test_read_write(void)
{
	char *buffer = malloc(SIZE);

	fill();
	tap_ok(pread(low, buffer, SIZE, 0) == LOW_SIZE && filled(buffer, LOW_OFFSET, LOW_SIZE),
	       "read: the partition's bytes, and no more");
	tap_eq(pread(low, buffer, 1, LOW_SIZE), 0, "read at the end");
	tap_eq(lseek(low, 0, SEEK_END), LOW_SIZE, "SEEK_END");
	memset(buffer, 0xff, SIZE);
	tap_eq(pwrite(low, buffer, SIZE, 4096), LOW_SIZE - 4096, "write up to the end");
	tap_ok(filled(all, 0, LOW_OFFSET + 4096) &&
	       filled(all + LOW_OFFSET + LOW_SIZE, LOW_OFFSET + LOW_SIZE,
		      SIZE - LOW_OFFSET - LOW_SIZE),
	       "nothing else changes");
	tap_ok(!memcmp(all + LOW_OFFSET + 4096, buffer, LOW_SIZE - 4096), "it is there");
	refused(pwrite(low, buffer, 1, LOW_SIZE), ENOSPC, "write at the end");
	fill();
	free(buffer);
}

static void test_region_file(void)
{
	int region = dev_open_at(CLASS "ivshmem0p1/region", O_RDWR);
	uint32_t word;
	char *p;

	tap_ok(pread(region, &word, sizeof(word), 8) == sizeof(word) &&
	       word == (LOW_OFFSET + 8) / sizeof(word), "region in sysfs: read");
	refused(pwrite(region, &word, sizeof(word), LOW_SIZE), EFBIG, "write at its end");
	p = dev_map_at(region, PAGE, LOW_SIZE - PAGE);
	tap_ok(filled(p, LOW_OFFSET + PAGE, LOW_SIZE - PAGE), "map it");
	munmap(p, LOW_SIZE - PAGE);
	refused(mmap(NULL, 2 * PAGE, rw, MAP_SHARED, region, LOW_SIZE - PAGE), EINVAL,
		"map more than it");
	close(region);
}

/*
 * The kernel counts pages of a mapping from the start of the device, programs from that of
 * the partition. It must not take the one for the other when mappings meet.
 */
static void test_neighbours(void)
{
	const size_t half = LOW_SIZE / 2, next = LOW_OFFSET + half;
	char *p = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;

	tap_ok(mmap(p, half, rw, MAP_SHARED | MAP_FIXED, low, half) == p, "map the second half");
	refused(mmap(p + half, PAGE, rw, MAP_SHARED | MAP_FIXED, low, LOW_SIZE), EINVAL,
		"beside it, what is behind the partition");
	refused(mmap(p + half, PAGE, rw, MAP_SHARED | MAP_FIXED, low, LOW_OFFSET + LOW_SIZE),
		EINVAL, "the same, as the kernel counts");
	tap_ok(mmap(p, half, rw, MAP_SHARED | MAP_FIXED, low, 0) == p, "map the first half");
	q = mmap(p + half, PAGE, rw, MAP_SHARED | MAP_FIXED, low, next);
	tap_ok(q == p + half && filled(q, LOW_OFFSET + next, PAGE),
	       "a page beside it is the one that was asked for");
	tap_ok(filled(p, LOW_OFFSET, half), "the half is, too");
	munmap(p, SIZE);
}

static void test_mmap(void)
{
	char *p = dev_map(low, LOW_SIZE), *q = dev_map(high, HIGH_SIZE);

	madvise(p, LOW_SIZE, MADV_HUGEPAGE);
	tap_ok(filled(p, LOW_OFFSET, LOW_SIZE), "map: the partition's bytes");
	tap_ok(filled(q, HIGH_OFFSET, HIGH_SIZE), "map: those of the other");
	if (map_huge_kb(all)) {
		tap_eq(map_huge_kb(p), 4096, "huge: as many as lie in the partition");
		tap_eq(map_huge_kb(q), 4096, "huge: all of the other");
	} else {
		tap_skip("huge pages", "the whole device has none");
	}
	p[LOW_SIZE - 1] = 77;
	tap_eq(all[LOW_OFFSET + LOW_SIZE - 1], 77, "what it writes is in the whole device");
	munmap(p, LOW_SIZE);
	munmap(q, HIGH_SIZE);
	fill();
	p = dev_map_at(low, LOW_SIZE - PAGE, PAGE);
	tap_ok(filled(p, LOW_OFFSET + LOW_SIZE - PAGE, PAGE), "map the last page");
	munmap(p, PAGE);
	refused(mmap(NULL, LOW_SIZE + PAGE, rw, MAP_SHARED, low, 0), EINVAL, "map more");
	refused(mmap(NULL, PAGE, rw, MAP_SHARED, low, LOW_SIZE), EINVAL, "map beyond the end");
	refused(mmap(NULL, 2 * PAGE, rw, MAP_SHARED, low, LOW_SIZE - PAGE), EINVAL, "over it");
	/* Where the whole device has the register page, nothing else is. */
	tap_ok(mmap(NULL, PAGE, rw, MAP_SHARED, low, 1LL << 43) == MAP_FAILED,
	       "map the register page");
	test_neighbours();
}

static void test_dmabuf(void)
{
	struct ivshmem_dmabuf d = { .offset = LOW_SIZE - 2 * PAGE, .size = 2 * PAGE };
	int buffer;
	char *p;

	if (!(dev_info(low).features & IVSHMEM_FEATURE_DMABUF)) {
		tap_skip("dma-bufs", "this kernel has none");
		return;
	}
	buffer = ioctl(low, IVSHMEM_IOC_DMABUF, &d);
	p = dev_map_at(buffer, PAGE, PAGE);
	tap_ok(filled(p, LOW_OFFSET + LOW_SIZE - PAGE, PAGE), "a dma-buf has its bytes");
	munmap(p, PAGE);
	close(buffer);
	d.size += PAGE;
	refused(ioctl(low, IVSHMEM_IOC_DMABUF, &d), EINVAL, "it cannot be larger");
}

/* The events that poll gives at once. */
static int poll_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	poll(&p, 1, 0);
	return p.revents;
}

static volatile sig_atomic_t sigios;

static void on_sigio(int signal)
{
	(void)signal;
	sigios++;
}

/* Ring a vector of all peers through @fd, until @seen has been told as its vector @as. */
static long long rung(int fd, uint32_t vector, int seen, uint32_t as)
{
	dev_ring_files(fd, vector);
	return dev_wait_vector(seen, as, 10 * SECOND);
}

static void test_doorbells(void)
{
	int other = dev_open(), efd = eventfd(0, EFD_NONBLOCK);
	const uint64_t both = 3;
	struct ivshmem_wait w = dev_set_wait(&both, 10 * SECOND);
	eventfd_t value;

	refused(dev_ring(low, 0, 2), EINVAL, "RING: no vector beyond the partition's");
	refused(dev_wait_vector(low, 2, 0), EINVAL, "WAIT: none, either");
	refused(dev_eventfd(low, 2, efd), EINVAL, "EVENTFD: none, either");
	tap_eq(dev_eventfd(low, 0, efd), 0, "bind an eventfd to its first vector");
	fcntl(low, F_SETOWN, getpid());
	signal(SIGIO, on_sigio);
	fcntl(low, F_SETFL, O_RDWR | O_ASYNC);
	tap_ok(rung(whole, 0, other, 0) > 0 && rung(whole, 3, other, 3) > 0,
	       "others ring vectors beside the partition's");
	tap_eq(poll_now(low), 0, "poll does not see them");
	refused(eventfd_read(efd, &value), EAGAIN, "nor do eventfds");
	tap_ok(rung(whole, 1, low, 0) > 0, "its vector 0 is the device's vector 1");
	tap_ok(rung(whole, 2, low, 1) > 0, "and 1 is 2");
	tap_ok(!eventfd_read(efd, &value) && value > 0, "an eventfd is signalled");
	for (int i = 0; i < 1000 && !sigios; i++)
		sleep_ms(10);
	tap_ok(sigios > 0, "SIGIO comes");
	fcntl(low, F_SETFL, O_RDWR);
	dev_wait_vector(other, 2, 0);
	tap_ok(rung(low, 1, other, 2) > 0, "it rings the device's vector 2 as its own 1");
	dev_ring_files(whole, 2);
	tap_eq(dev_wait(low, &w), 0, "WAIT for both");
	tap_ok(w.signalled_vector == 1 && w.count > 0, "tells which");
	close(efd);
	close(other);
}

static void test_interrupt_counts(void)
{
	long before = atol(dev_attribute("ivshmem0p1", "interrupts/1")), part, device;
	int other = dev_open();

	tap_ok(rung(whole, 2, low, 1) > 0, "ring vector 2");
	part = atol(dev_attribute("ivshmem0p1", "interrupts/1"));
	device = atol(dev_attribute("ivshmem0", "interrupts/2"));
	tap_ok(part > before && part == device, "it is counted once, for both");
	close(other);
}

static void test_word(void)
{
	struct ivshmem_wait w = { .flags = IVSHMEM_WAIT_WORD, .offset = 64, .timeout_ns = 0,
				  .expected = (LOW_OFFSET + 64) / 4 };

	fill();
	refused(dev_wait(low, &w), ETIMEDOUT, "WAIT for a word: it is as expected");
	w.expected--;
	tap_ok(!dev_wait(low, &w) && w.result == IVSHMEM_RESULT_CHANGED, "it is not");
	w.offset = LOW_SIZE;
	refused(dev_wait(low, &w), EINVAL, "there is no word at the end");
}

static volatile bool waiter_ready;

static void *waiter(void *arg)
{
	int fd = *(int *)arg;

	waiter_ready = true;
	return (void *)(long)dev_wait_vector(fd, 0, -1);
}

/* The low partition changes, the other does not. */
static void test_change(bool interrupts)
{
	char *p = dev_map(low, LOW_SIZE), *q = dev_map(high, HIGH_SIZE);
	char byte;
	pthread_t thread;
	void *ret;

	touch(p, true);
	touch(q, true);
	if (interrupts) {
		pthread_create(&thread, NULL, waiter, &low);
		while (!waiter_ready)
			sleep_ms(1);
	}
	tap_eq(file_write(TABLE, LOW_ENTRY ",," HIGH_ENTRY), 0, "the same table again");
	tap_ok(!touch(p, true) && !touch(q, true) && !dev_region(low, 0).offset,
	       "changes nothing");
	tap_eq(file_write(TABLE, "low:1088K:4M:1:2,new:0:64K," HIGH_ENTRY), 0, "another table");
	if (interrupts) {
		pthread_join(thread, &ret);
		tap_eq((long)ret, -ENODEV, "a sleeper wakes, as its partition has changed");
	}
	tap_eq(touch(p, false), SIGBUS, "its mappings end");
	refused(pread(low, &byte, 1, 0), ENODEV, "reading gives ENODEV");
	tap_eq(poll_now(low) & (POLLHUP | POLLERR), POLLHUP | POLLERR, "poll tells it");
	tap_ok(!touch(q, true) && pread(high, &byte, 1, 0) == 1,
	       "the partition that did not change goes on");
	tap_ok(!touch(all, true) && pread(whole, &byte, 1, 0) == 1, "so does the whole device");
	munmap(p, LOW_SIZE);
	munmap(q, HIGH_SIZE);
	close(low);
	low = dev_open_at(LOW, O_RDWR);
	tap_eq(dev_size(low), 4 << 20, "the changed partition has a new node");
	tap_ok(!access("/dev/ivshmem0p2", F_OK), "and a new partition has come");
	if (interrupts)
		tap_ok(rung(whole, 2, low, 1) > 0, "the changed one gets its doorbells");
}

/* Each node has a driver of its own. */
static void test_unbind(void)
{
	char byte;

	tap_eq(file_write(CHARDEV "unbind", "ivshmem0p1"), 0, "unbind a partition");
	refused(pread(low, &byte, 1, 0), ENODEV, "its files end");
	tap_ok(pread(whole, &byte, 1, 0) == 1 && pread(high, &byte, 1, 0) == 1,
	       "those of others do not");
	tap_eq(file_write(CHARDEV "bind", "ivshmem0p1"), 0, "bind it again");
	close(low);
	low = dev_open_at(LOW, O_RDWR);
	tap_eq(file_write(CHARDEV "unbind", "ivshmem0"), 0, "unbind the whole device");
	refused(pread(whole, &byte, 1, 0), ENODEV, "its files end");
	tap_ok(pread(low, &byte, 1, 0) == 1 && pread(high, &byte, 1, 0) == 1,
	       "its partitions stay");
	tap_eq(file_write(CHARDEV "bind", "ivshmem0"), 0, "bind it again");
}

static void test_removal(void)
{
	const char *pci = dev_pci(0);
	char *p = dev_map(low, PAGE), byte;

	touch(p, true);
	if (rig_over("memory"))
		tap_eq(file_write("/sys/kernel/config/ivshmem/ivshmem0/enable", "0"), 0,
		       "remove the device");
	else
		tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "unbind the device");
	tap_eq(touch(p, true), SIGBUS, "the mappings of a partition end");
	refused(pread(high, &byte, 1, 0), ENODEV, "so do its files");
	tap_ok(access(LOW, F_OK) && access(HIGH, F_OK), "its node has gone");
	close(whole);
	close(high);
	close(low);
	munmap(p, PAGE);
}

int main(void)
{
	bool interrupts;

	guard();
	whole = dev_open();
	interrupts = dev_info(whole).vectors;
	all = dev_map(whole, SIZE);
	test_table();
	low = dev_open_at(LOW, O_RDWR);
	high = dev_open_at(HIGH, O_RDWR);
	test_attributes(interrupts);
	test_info(interrupts);
	test_read_write();
	test_region_file();
	test_mmap();
	test_dmabuf();
	if (dev_interrupts(whole, "doorbells")) {
		test_word();
		test_doorbells();
		test_interrupt_counts();
	}
	test_change(interrupts);
	test_unbind();
	munmap(all, SIZE);
	test_removal();
	if (rig_over("pci"))
		module_clean();
	return tap_done();
}
