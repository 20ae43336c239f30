// SPDX-License-Identifier: GPL-2.0-only
/*
 * Programs that were not written for this driver and take a path: they map as much as
 * stat() says (scream, Looking Glass, ipc-bench), compare what they read with what they
 * map, map lengths that are no multiple of a page, or use Java's FileChannel.
 */
/* rig: devices=plain,plain,plain,plain size=1M,4K,2044K,8G over=pci,window,memory */
#include <sys/stat.h>

#include "dev.h"

#define DEVICES 4
#define GIB (1ULL << 30)
#define CHANNEL_MAX 0x7fffffffULL	/* bytes that FileChannel maps at once */

static const char *node, *region;
static size_t size;

/* Every word differs, and differs from what another round would write there. */
static void fill(size_t length, uint32_t round)
{
	int fd = dev_open_at(node, O_RDWR);
	uint32_t *p = dev_map(fd, length);

	for (size_t i = 0; i < length / sizeof(*p); i++)
		p[i] = (i + 1) * 0x9e3779b9u + round;
	munmap(p, length);
	close(fd);
}

/* FNV-1a, of any number of parts. */
static uint64_t hash(uint64_t before, const void *bytes, size_t length)
{
	const unsigned char *p = bytes;

	while (length--)
		before = (before ^ *p++) * 0x100000001b3;
	return before;
}

static uint64_t hash_by_reading(const char *path, size_t *length)
{
	static char buffer[60000];
	uint64_t sum = 0;
	int fd = dev_open_at(path, O_RDONLY);
	ssize_t n;

	for (*length = 0; (n = read(fd, buffer, sizeof(buffer))) > 0; *length += n)
		sum = hash(sum, buffer, n);
	if (n < 0)
		tap_note("read at %zu: %s", *length, strerror(errno));
	close(fd);
	return sum;
}

/* stat, open, map all, close: the mapping stays. */
static void test_stat(void)
{
	struct stat st;
	char *reader, *writer;
	int fd;

	tap_ok(!stat(region, &st) && st.st_size == (off_t)size, "stat gives the size");
	fd = open(region, O_RDONLY);
	reader = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	tap_ok(reader != MAP_FAILED, "a reader maps all of it: scream");
	fd = open(region, O_RDWR, 0600);
	writer = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	tap_ok(writer != MAP_FAILED, "a writer maps all of it: Looking Glass");
	if (reader == MAP_FAILED || writer == MAP_FAILED)
		return;
	writer[0] = 'a';
	writer[size - 1] = 'z';
	tap_ok(reader[0] == 'a' && reader[size - 1] == 'z', "the one shows what the other writes");
	munmap(reader, size);
	munmap(writer, size);
	fd = open(region, O_RDWR | O_CREAT, 0777);
	tap_ok(fd >= 0 && !fstat(fd, &st) && st.st_size == (off_t)size,
	       "O_CREAT changes nothing about it: ivshmem4j");
	close(fd);
}

/* What such programs say of the node: it has no size. */
static void test_node(void)
{
	int fd = dev_open_at(node, O_RDWR);
	struct stat st;

	tap_ok(!fstat(fd, &st) && !st.st_size, "the node has the size 0");
	refused(mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0), EINVAL, "which maps nothing");
	close(fd);
}

static void test_hash(uint32_t round)
{
	size_t of_region, of_node;
	uint64_t sum;
	int fd = dev_open_at(region, O_RDONLY);
	char *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	fill(size, round);
	sum = hash(0, p, size);
	tap_ok(hash_by_reading(region, &of_region) == sum && of_region == size,
	       "read gives what is mapped, to the last byte");
	tap_ok(hash_by_reading(node, &of_node) == sum && of_node == size, "of the node, too");
	munmap(p, size);
	close(fd);
}

/* Map an odd length; its last page is there as a whole. */
static void test_length(const char *path, off_t offset, size_t length)
{
	int fd = dev_open_at(path, O_RDWR);
	const size_t last = (length + PAGE - 1) / PAGE * PAGE - 1;
	char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	char byte = 0;

	if (tap_ok(p != MAP_FAILED, "%s: %zu bytes at %lld can be mapped", path, length,
		   (long long)offset)) {
		p[last] = 'L';
		tap_ok(pread(fd, &byte, 1, offset + last) == 1 && byte == 'L',
		       "with all of the last page");
		tap_eq(munmap(p, length), 0, "and unmapped");
	}
	close(fd);
}

static void test_lengths(const char *path)
{
	int fd = dev_open_at(path, O_RDWR);

	test_length(path, 0, 1);
	test_length(path, 0, size - 1);
	test_length(path, 0, size - PAGE + 1);
	test_length(path, size - PAGE, PAGE - 1);
	if (size > PAGE)
		test_length(path, PAGE, size - PAGE - 1);
	refused(mmap(NULL, size + 1, PROT_READ, MAP_SHARED, fd, 0), EINVAL,
		"%s: a byte more than there is", path);
	close(fd);
}

/* What FileChannel.map() makes of a position and a length. */
static char *channel_map(int fd, off_t position, size_t length)
{
	const size_t before = position % PAGE;
	char *p = mmap(NULL, length + before, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       position - before);

	if (p == MAP_FAILED)
		tap_bail("FileChannel.map(%lld, %zu): %s", (long long)position, length,
			 strerror(errno));
	return p + before;
}

static void channel_unmap(char *p, size_t length)
{
	const size_t before = (uintptr_t)p % PAGE;

	munmap(p - before, length + before);
}

/* All of the region in pieces as large as FileChannel can map them. */
static void test_pieces(int fd, int other)
{
	int pieces = 0, right = 0;
	char ends[2];

	for (off_t at = 0; at < (off_t)size; at += CHANNEL_MAX, pieces++) {
		const size_t left = size - at, length = left < CHANNEL_MAX ? left : CHANNEL_MAX;
		char *p = channel_map(fd, at, length);

		p[0] = pieces + 1;
		p[length - 1] = pieces + 101;
		right += pread(other, ends, 1, at) == 1 && ends[0] == pieces + 1 &&
			 pread(other, ends + 1, 1, at + length - 1) == 1 &&
			 ends[1] == pieces + 101;
		channel_unmap(p, length);
	}
	tap_eq(right, pieces, "FileChannel: all of it in %d pieces", pieces);
}

/* Before 6.7 lseek in sysfs goes no further than this. */
static bool can_seek(void)
{
	return size < 2 * GIB || kernel_since(6, 7);
}

/* size, position, read and write at a position, map from an odd one. */
static void test_channel(void)
{
	static char bytes[10000], back[10000];
	int fd = dev_open_at(region, O_RDWR), other = dev_open_at(node, O_RDWR);
	const size_t some = size > sizeof(bytes) ? sizeof(bytes) : size / 2;
	const off_t at = size - some - 1;
	size_t done = 0;
	ssize_t n;
	char *p;

	for (size_t i = 0; i < some; i++)
		bytes[i] = i * 7 + 1;
	if (can_seek())
		tap_eq(lseek(fd, 0, SEEK_END), size, "FileChannel: the end is where stat says");
	else
		tap_skip("FileChannel: position", "this kernel's sysfs seeks up to 2 GiB");
	/* It goes on after a short write. */
	while (done < some && (n = pwrite(fd, bytes + done, some - done, at + done)) > 0)
		done += n;
	tap_eq(done, some, "it writes %zu bytes at %lld", some, (long long)at);
	tap_ok(pread(other, back, some, at) == (ssize_t)some && !memcmp(bytes, back, some),
	       "they are there");
	tap_eq(pread(fd, back, 10, size), 0, "it reads nothing at the end");
	p = channel_map(fd, at, some);
	tap_ok(!memcmp(p, bytes, some), "a mapping at an odd position shows them");
	channel_unmap(p, some);
	test_pieces(fd, other);
	close(fd);
	close(other);
}

static void test_device(const char *path, size_t bytes)
{
	char file[64];

	snprintf(file, sizeof(file), "/sys/class/ivshmem/%s/region", basename(path));
	node = path;
	region = file;
	size = bytes;
	test_stat();
	test_node();
	test_channel();
	test_lengths(region);
	test_lengths(node);
	if (size < GIB)
		test_hash(size);
}

int main(void)
{
	/* Kernel-allocated memory has no room for the last one. */
	const bool all = !access("/dev/ivshmem3", F_OK);

	dev_each_size(all ? DEVICES : DEVICES - 1, test_device);
	if (!all)
		tap_skip("a region of 8 GiB", "it is larger than this guest's memory");
	return tap_done();
}
