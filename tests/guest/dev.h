/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The driver's interface, short: results are 0 or a negative errno, and most parameters
 * have a default.
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
/* Limits of this driver; the interface has room for more. */
#define MAX_PEER 65535
#define MAX_VECTORS 256
#define PCI_DEVICES "/sys/bus/pci/devices/"
#define PCI_DRIVER "/sys/bus/pci/drivers/ivshmem/"

/* The result of a call, or a negative errno. */
#define result(call) ({ \
	long long r_ = (long long)(call); \
	r_ == -1 ? -errno : r_; \
})

/* A call that cannot fail here; if it does, end with its text and error. */
#define must(call) ({ \
	long long must_ = (long long)(call); \
	if (must_ < 0) \
		tap_bail("%s: %s", #call, strerror(errno)); \
	must_; \
})

/* A call must fail with that errno. */
#define refused(call, error, ...) tap_eq(result(call), -(error), __VA_ARGS__)

int dev_open_at(const char *path, int flags);

static inline int dev_open(void)
{
	return dev_open_at(RIG_DEVICE, O_RDWR);
}

struct ivshmem_info dev_info(int fd);
struct ivshmem_region dev_region(int fd, uint32_t index);

/* Bytes of shared memory. */
static inline uint64_t dev_size(int fd)
{
	return dev_region(fd, IVSHMEM_REGION_MEMORY).size;
}

/*
 * Run a test on each of the first devices, by the size of its region, which becomes the
 * subject of its points.
 */
void dev_each_size(unsigned int count, void (*run)(const char *path, size_t size));

/*
 * Does the device have interrupts? If not, @what is skipped: some machines have no
 * vectors, as with pci=nomsi.
 */
bool dev_interrupts(int fd, const char *what);

static inline bool dev_has_pages(int fd)
{
	return dev_info(fd).features & IVSHMEM_FEATURE_PAGES;
}

/* Can it have some? If not, @what is skipped: some kernels have none for devices. */
bool dev_pages(int fd, const char *what);

/* Is this in the kernel's log, from before the test as well? */
bool kernel_said(const char *what);

/* Is the kernel of this release or a later one? */
bool kernel_since(int major, int minor);

/* Must there be a disk, as the kernel has QEMU's? */
static inline bool disk_should_be(void)
{
	return !access("/sys/bus/virtio/drivers/virtio_blk", F_OK);
}

/* Has the kernel huge pages of 2 MiB? */
bool huge_pages_exist(void);

/*
 * Can mappings of a region with struct pages have huge entries, of 2 MiB? If not, @what is
 * skipped: some kernels have no such pages, or no page maps of them.
 */
bool dev_huge_entries(const char *what);

void *dev_map_at(int fd, off_t offset, size_t length);

static inline void *dev_map(int fd, size_t length)
{
	return dev_map_at(fd, 0, length);
}

/* The register page; the test ends if it cannot be mapped. */
volatile uint32_t *dev_map_registers(int fd);

static inline int dev_ring(int fd, uint32_t peer, uint32_t vector)
{
	struct ivshmem_ring r = { .peer = peer, .vector = vector };

	return result(ioctl(fd, IVSHMEM_IOC_RING, &r));
}

static inline int dev_ring_self(int fd, uint32_t vector)
{
	return dev_ring(fd, dev_info(fd).id, vector);
}

/* Ring every peer that an open file may be: all files are one, or each is its own. */
#define DEV_PEERS 32

void dev_ring_files(int fd, uint32_t vector);

static inline int dev_wait(int fd, struct ivshmem_wait *w)
{
	return result(ioctl(fd, IVSHMEM_IOC_WAIT, w));
}

/* Ring, then wait, in one call. */
static inline int dev_ring_wait(int fd, uint32_t peer, uint32_t vector, struct ivshmem_wait *w)
{
	w->flags |= IVSHMEM_WAIT_RING;
	w->ring_peer = peer;
	w->ring_vector = vector;
	return dev_wait(fd, w);
}

/* The arguments to wait for several of the first 64 vectors. */
static inline struct ivshmem_wait dev_set_wait(const uint64_t *set, int64_t ns)
{
	return (struct ivshmem_wait){
		.flags = IVSHMEM_WAIT_SET, .set = (uintptr_t)set, .nbits = 64,
		.timeout_ns = ns,
	};
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

/* The number of a PCI device's node; -1 if it has none. */
int dev_number_of(const char *pci);

/* The PCI device of a node, valid until the next call; "" if there is none. */
const char *dev_pci(int number);

/* The address of the first window that the rig has made; "" over another transport. */
const char *dev_window_address(void);

/* The value of a file of a node in /sys/class/ivshmem, valid until the next call. */
const char *dev_attribute(const char *node, const char *name);

/* It must have this value. */
void dev_attribute_is(const char *node, const char *name, const char *expected);

/* Write to a file of sysfs or proc; 0 or a negative errno. */
int file_write(const char *path, const char *text);

/* Kilobytes that a file of proc gives for a name; -1 if it has none. */
long file_kb(const char *path, const char *name);

static inline long meminfo_kb(const char *name)
{
	return file_kb("/proc/meminfo", name);
}

/* Is so much memory free, in kB, before long? Some is given back by work of the kernel. */
bool memory_comes_back(long kb);

/* Kilobytes of all regions with struct pages that are mapped by huge entries. */
long huge_entries_kb(void);

/* Kilobytes of this process's page tables. */
static inline long page_tables_kb(void)
{
	return file_kb("/proc/self/status", "VmPTE");
}

/* Kilobytes of the mapping that begins at @p that are in huge entries. */
long map_huge_kb(const char *p);

/* Count the lines of a file that contain a word, and note them. */
int file_mentions(const char *path, const char *word);

/* Wait up to ten seconds until a file exists, or no longer exists; false if it timed out. */
bool file_comes(const char *path, bool come);

#endif
