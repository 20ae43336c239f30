// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the library asks of the driver, without one: the device is /dev/random, and its
 * ioctl() is the one below (lib/backend_device.c).
 */
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include <linux/ivshmem.h>

#include "common/harness.h"
#include "ivshmem.h"

#define SECOND		1000000000LL

static struct ivshmem_wait asked;	/* by the last WAIT */
static unsigned int rings;
static int wait_error;
static bool gone;

static int fail(int error)
{
	errno = error;
	return error ? -1 : 0;
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
			.features = IVSHMEM_FEATURE_DOORBELL | IVSHMEM_FEATURE_INTERRUPTS,
			.vectors = 2,
		};
		return 0;
	case IVSHMEM_IOC_REGION:
		((struct ivshmem_region *)argument)->size = 4096;
		return 0;
	case IVSHMEM_IOC_RING:
		rings++;
		return 0;
	case IVSHMEM_IOC_WAIT:
		memcpy(&asked, argument, sizeof(asked));
		rings += !!(asked.flags & IVSHMEM_WAIT_RING);
		return fail(wait_error);
	default:
		return fail(ENOTTY);
	}
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

/* The device is readable, which tells of doorbells, but not of its end. */
static void test_fd(struct ivshmem *handle)
{
	struct pollfd ready = { .fd = ivshmem_fd(handle), .events = POLLIN };

	tap_ok(ready.fd >= 0, "a descriptor for news");
	tap_eq(poll(&ready, 1, 0), 0, "there is none from a device that is there");
	ivshmem_peer_gone(handle, 1);
	tap_eq(poll(&ready, 1, 0), 1, "it is news that a peer is gone");
	tap_eq(ivshmem_peers(handle, NULL, 0), -EOPNOTSUPP, "a device does not report peers");
	tap_eq(poll(&ready, 1, 0), 0, "then there is no news");
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
	test_ring_wait(handle);
	test_fd(handle);
	test_unplug(handle);
	ivshmem_close(handle);
	return tap_done();
}
