// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the library asks of the driver, without one: the device is /dev/random, and its
 * ioctl() and mmap() are those below (lib/backend_device.c). As the interface allows, the
 * shared memory is not the first that the file has.
 */
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/ivshmem.h>

#include "common/harness.h"
#include "ivshmem.h"

#define SECOND		1000000000LL
#define BEGIN		(1 << 16)	/* of the memory in the file: pages of any size */
#define SIZE		(2 << 16)

static off_t mapped_at;			/* by the last mmap() of the device */
static struct ivshmem_wait asked;	/* by the last WAIT */
static unsigned int rings;
static int wait_error;
static bool gone;

/* What the driver says of peers, if it has the feature; it numbers what it says. */
static struct ivshmem_peer_info present[3];
static unsigned int npresent;
static uint64_t generation = 1;
static bool has_peers;
static unsigned int lists;		/* how often it was asked for all */

static int fail(int error)
{
	errno = error;
	return error ? -1 : 0;
}

static int tell_peers(struct ivshmem_peers *peers)
{
	if (!has_peers)
		return fail(EOPNOTSUPP);
	if (peers->room) {
		memcpy((void *)(uintptr_t)peers->peers, present, npresent * sizeof(*present));
		lists++;
	}
	peers->generation = generation;
	peers->nr = npresent;
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	(void)fd;
	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (gone)
		return fail(ENODEV);
	switch (request) {
	case IVSHMEM_IOC_INFO:
		*(struct ivshmem_info *)argument = (struct ivshmem_info){
			.features = IVSHMEM_FEATURE_DOORBELL | IVSHMEM_FEATURE_INTERRUPTS |
				    (has_peers ? IVSHMEM_FEATURE_PEERS : 0),
			.id = 5,
			.vectors = 2,
		};
		return 0;
	case IVSHMEM_IOC_REGION:
		((struct ivshmem_region *)argument)->offset = BEGIN;
		((struct ivshmem_region *)argument)->size = SIZE;
		return 0;
	case IVSHMEM_IOC_RING:
		rings++;
		return 0;
	case IVSHMEM_IOC_WAIT:
		memcpy(&asked, argument, sizeof(asked));
		rings += !!(asked.flags & IVSHMEM_WAIT_RING);
		return fail(wait_error);
	case IVSHMEM_IOC_PEERS:
		return tell_peers(argument);
	default:
		return fail(ENOTTY);
	}
}

/* Of the device, memory that belongs to no file. */
void *mmap(void *hint, size_t length, int protection, int flags, int fd, off_t offset)
{
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && S_ISCHR(st.st_mode)) {
		mapped_at = offset;
		flags |= MAP_ANONYMOUS;
		fd = -1;
		offset = 0;
	}
	return (void *)syscall(SYS_mmap, hint, length, protection, flags, fd, offset);
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

/* The driver restarts calls of SA_RESTART unless the timeout is a duration. */
static void test_timeouts(struct ivshmem *handle)
{
	struct ivshmem_wait_options options = { .timeout_ns = IVSHMEM_FOREVER };

	wait_error = EINTR;
	tap_eq(ivshmem_wait(handle, &options, NULL), -EINTR, "a signal interrupts a wait");
	tap_ok(asked.timeout_ns == INT64_MAX && !asked.flags, "for ever is a long duration");
	options.timeout_ns = SECOND;
	ivshmem_wait(handle, &options, NULL);
	tap_ok(asked.timeout_ns == SECOND && !asked.flags, "a duration stays as it is");
	options.flags = IVSHMEM_WAIT_ABSTIME;
	options.timeout_ns = now() + 100 * SECOND;
	ivshmem_wait(handle, &options, NULL);
	tap_ok(asked.timeout_ns > 0 && asked.timeout_ns <= 100 * SECOND && !asked.flags,
	       "an absolute time becomes a duration");
	options.timeout_ns = 1;
	ivshmem_wait(handle, &options, NULL);
	tap_ok(!asked.timeout_ns && !asked.flags, "a time that is over becomes a look");
}

/* Offsets count from where the region begins, not from where the file does. */
static void test_offsets(struct ivshmem *handle)
{
	struct ivshmem_wait_options options = { .flags = IVSHMEM_WAIT_WORD, .offset = 64 };
	void *mapping;

	wait_error = 0;
	tap_eq(ivshmem_wait(handle, &options, NULL), 0, "wait for a word");
	tap_eq(asked.offset, BEGIN + 64, "which is asked for where it is in the file");
	tap_eq(ivshmem_ring_wait(handle, 1, 0, &options, NULL), 0, "ring and wait for a word");
	tap_eq(asked.offset, BEGIN + 64, "which is the same one");
	rings = 0;
	tap_eq(ivshmem_map(handle, 0, 0, &mapping), 0, "map all");
	tap_eq(mapped_at, BEGIN, "from the beginning of the region on");
	ivshmem_unmap(handle, mapping, SIZE);
	tap_eq(ivshmem_map(handle, SIZE / 2, 0, &mapping), 0, "map a half");
	tap_eq(mapped_at, BEGIN + SIZE / 2, "that is the second one");
	ivshmem_unmap(handle, mapping, SIZE / 2);
}

static void test_ring_wait(struct ivshmem *handle)
{
	struct ivshmem_wait_options options = {
		.flags = IVSHMEM_WAIT_ABSTIME,
		.timeout_ns = now() + 100 * SECOND,
	};

	wait_error = EINTR;
	tap_eq(ivshmem_ring_wait(handle, 1, 0, &options, NULL), -EINTR,
	       "a signal interrupts ring_wait");
	wait_error = 0;
	tap_eq(ivshmem_wait(handle, &options, NULL), 0, "it continues by wait");
	tap_eq(rings, 1, "which rings once");
}

static void *be_cancelled(void *handle)
{
	struct ivshmem_wait_options options = { .timeout_ns = IVSHMEM_FOREVER };

	pthread_cancel(pthread_self());
	ivshmem_wait(handle, &options, NULL);
	return NULL;
}

/* Whether a cancelled thread ends in a wait that the driver ends so. */
static bool is_cancelled(struct ivshmem *handle, int error)
{
	pthread_t thread;
	void *result;

	wait_error = error;
	pthread_create(&thread, NULL, be_cancelled, handle);
	pthread_join(thread, &result);
	return result == PTHREAD_CANCELED;
}

static void test_cancel(struct ivshmem *handle)
{
	tap_ok(is_cancelled(handle, EINTR), "a cancelled thread ends when a signal ends its wait");
	tap_ok(is_cancelled(handle, ETIMEDOUT), "or the time is over");
	tap_ok(!is_cancelled(handle, 0), "but not with a doorbell, which would be lost");
}

/* The device is readable, which tells of doorbells, but not of its end. */
static void test_fd(struct ivshmem *handle)
{
	struct pollfd ready = { .fd = ivshmem_fd(handle), .events = POLLIN };

	tap_ok(ready.fd >= 0, "a descriptor for news");
	tap_eq(poll(&ready, 1, 0), 0, "there is none from a device that is there");
	ivshmem_peer_gone(handle, 1);
	tap_eq(poll(&ready, 1, 0), 1, "it is news that a peer is gone");
	tap_eq(ivshmem_peers(handle, NULL, 0), -EOPNOTSUPP,
	       "a device without a peer area does not report peers");
	tap_eq(ivshmem_list_peers(handle, NULL, 0), -EOPNOTSUPP, "nor list them");
	tap_eq(poll(&ready, 1, 0), 0, "then there is no news");
}

static void add_peer(unsigned int slot, uint32_t id, unsigned int flags)
{
	present[npresent++] = (struct ivshmem_peer_info){
		.owner = 100 + slot, .generation = 3, .id = id, .slot = slot,
		.kind = IVSHMEM_PEER_GUEST, .flags = flags, .silent_ms = 20, .name = "guest",
	};
	generation++;
}

static void test_peers(void)
{
	struct ivshmem_peer peers[4];
	struct ivshmem *handle;
	uint32_t ids[4];

	tap_about("peers");
	has_peers = true;
	add_peer(0, 9, 0);
	add_peer(3, 5, IVSHMEM_PEER_SELF);
	if (ivshmem_open(&handle, "/dev/random", 0))
		tap_bail("cannot open the device");
	tap_eq(ivshmem_peers(handle, ids, 4), 1, "there is one other");
	tap_eq(ids[0], 9, "its id");
	tap_eq(ivshmem_list_peers(handle, peers, 4), 2, "both are listed");
	tap_ok(peers[0].id == 9 && !peers[0].slot && !peers[0].self &&
	       peers[0].kind == IVSHMEM_KIND_GUEST && peers[0].owner == 100 &&
	       peers[0].generation == 3 && peers[0].silent_ns == 20000000 &&
	       !strcmp(peers[0].name, "guest"), "all is said about the other");
	tap_ok(peers[1].id == 5 && peers[1].slot == 3 && peers[1].self, "and this one is known");
	lists = 0;
	tap_eq(ivshmem_peers(handle, ids, 4), 1, "nothing has changed");
	tap_eq(lists, 0, "so they are not asked for");
	add_peer(1, 2, 0);
	memset(present[2].name, 'x', sizeof(present[2].name));
	tap_ok(ivshmem_peers(handle, ids, 4) == 2 && ids[0] == 2 && ids[1] == 9,
	       "another comes, and ids ascend");
	tap_ok(ivshmem_list_peers(handle, peers, 4) == 3 && strlen(peers[1].name) == 32,
	       "its name is as long as names are");
	has_peers = false;
	tap_eq(ivshmem_peers(handle, ids, 4), -EOPNOTSUPP, "then the label is gone");
	tap_eq(ivshmem_get_properties(handle, &(struct ivshmem_properties){ 0 }), 0,
	       "the device is not");
	ivshmem_close(handle);
	tap_about("");
}

static int call_wait(struct ivshmem *handle)
{
	struct ivshmem_wait_options look = { .timeout_ns = 0 };

	return ivshmem_wait(handle, &look, NULL);
}

static void test_unplug(struct ivshmem *handle)
{
	struct ivshmem_properties properties;

	gone = true;
	tap_eq(call_wait(handle), -ENODEV, "without the device: wait");
	tap_eq(ivshmem_ring(handle, 1, 0), -ENODEV, "without the device: ring");
	tap_eq(ivshmem_get_properties(handle, &properties), -ENODEV,
	       "without the device: properties");
	tap_eq(ivshmem_peers(handle, NULL, 0), -ENODEV, "without the device: count peers");
	tap_eq(ivshmem_eventfd(handle, 0), -ENODEV, "without the device: eventfd");
	tap_ok(!strcmp(ivshmem_error(-ENODEV), "the device is unplugged or without its driver"),
	       "without the device: the reason");
}

int main(void)
{
	struct ivshmem *handle;

	if (ivshmem_open(&handle, "/dev/random", 0))
		tap_bail("cannot open the device");
	test_timeouts(handle);
	test_offsets(handle);
	test_ring_wait(handle);
	test_cancel(handle);
	test_fd(handle);
	test_unplug(handle);
	ivshmem_close(handle);
	gone = false;
	test_peers();
	return tap_done();
}
