/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's interface as tests like to call it: results are 0 or a negative
 * errno, and what a test does not care about has a default.
 */
#ifndef DEV_H
#define DEV_H

#include <errno.h>
#include <fcntl.h>
#include <linux/ivshmem.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "rig.h"

#define SECOND 1000000000LL
/* Not a constant: kernels of arm64 have pages of 4, 16 or 64 KiB. */
#define PAGE ((size_t)getpagesize())
#define PCI_DEVICES "/sys/bus/pci/devices/"
#define PCI_DRIVER "/sys/bus/pci/drivers/ivshmem/"

/* What a failed call says. */
#define result(call) ({ \
	long long r_ = (long long)(call); \
	r_ == -1 ? -errno : r_; \
})

/* A call must fail with that errno. */
#define refused(call, error, ...) tap_eq(result(call), -(error), __VA_ARGS__)

static inline int dev_open_at(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		tap_bail("open %s: %s", path, strerror(errno));
	return fd;
}

static inline int dev_open(void)
{
	return dev_open_at(RIG_DEVICE, O_RDWR);
}

static inline struct ivshmem_info dev_info(int fd)
{
	struct ivshmem_info info;

	if (ioctl(fd, IVSHMEM_IOC_INFO, &info))
		tap_bail("INFO: %s", strerror(errno));
	return info;
}

/*
 * Does the device have interrupts? A machine may have no vectors to give, as with
 * pci=nomsi: then what needs them is skipped.
 */
static inline bool dev_interrupts(int fd, const char *what)
{
	bool has = dev_info(fd).vectors;

	if (!has)
		tap_skip(what, "the device has no interrupt vectors");
	return has;
}

static inline void *dev_map_at(int fd, off_t offset, size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       offset);

	if (p == MAP_FAILED)
		tap_bail("mmap of %zu at %lld: %s", length, (long long)offset,
			 strerror(errno));
	return p;
}

static inline void *dev_map(int fd, size_t length)
{
	return dev_map_at(fd, 0, length);
}

static inline int dev_ring(int fd, uint32_t peer, uint32_t vector)
{
	struct ivshmem_ring r = { .peer = peer, .vector = vector };

	return result(ioctl(fd, IVSHMEM_IOC_RING, &r));
}

static inline int dev_ring_self(int fd, uint32_t vector)
{
	return dev_ring(fd, dev_info(fd).id, vector);
}

/* Ring all files that are open: they are one peer, or each is one of its own. */
#define DEV_PEERS 32

static inline void dev_ring_files(int fd, uint32_t vector)
{
	for (uint32_t peer = 0; peer < DEV_PEERS; peer++)
		dev_ring(fd, peer, vector);
}

static inline int dev_wait(int fd, struct ivshmem_wait *w)
{
	return result(ioctl(fd, IVSHMEM_IOC_WAIT, w));
}

/* Wait for one vector; gives the number of its interrupts. */
static inline long long dev_wait_vector(int fd, uint32_t vector, int64_t ns)
{
	struct ivshmem_wait w = { .vector = vector, .timeout_ns = ns };
	int ret = dev_wait(fd, &w);

	return ret ? ret : (long long)w.count;
}

static inline int dev_eventfd(int fd, uint32_t vector, int efd)
{
	struct ivshmem_eventfd e = { .vector = vector, .fd = efd };

	return result(ioctl(fd, IVSHMEM_IOC_EVENTFD, &e));
}

static inline int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static inline void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Which node belongs to a PCI device? -1 if none. */
static inline int dev_number_of(const char *pci)
{
	char path[128];

	for (int n = 0; n < 10; n++) {
		snprintf(path, sizeof(path), PCI_DEVICES "%s/ivshmem/ivshmem%d", pci, n);
		if (!access(path, F_OK))
			return n;
	}
	return -1;
}

/* Write a word to a file of sysfs or proc; 0 or a negative errno. */
static inline int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* How many lines of a file contain a word? They are noted. */
static inline int file_mentions(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char line[1024];
	int found = 0;

	while (file && fgets(line, sizeof(line), file))
		if (strstr(line, word)) {
			tap_note("%s: %.*s", path, (int)strcspn(line, "\n"), line);
			found++;
		}
	if (file)
		fclose(file);
	return found;
}

/* Wait up to ten seconds for a file to come (or to go); was it so in time? */
static inline bool file_comes(const char *path, bool come)
{
	for (int i = 0; i < 1000; i++) {
		if (!access(path, F_OK) == come)
			return true;
		sleep_ms(10);
	}
	return false;
}

#endif
