// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes never wait for a doorbell: by io_uring, with RWF_NOWAIT, or after
 * select(). Once io_uring waited for POLLIN first, so a read hung until a doorbell fired, on
 * a plain device for ever. slow_reset.c tests them during a reset.
 */
/* rig: devices=doorbell,plain vectors=4 size=4M over=pci,memory,polled timeout=240 */
#include <poll.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "uring.h"

#define PLAIN "/dev/ivshmem1"
#define LARGE (1 << 20)	/* more than the driver copies at once */

static char bytes[LARGE], back[LARGE];

static void test_uring(const char *path)
{
	int fd = dev_open_at(path, O_RDWR), ret;
	struct uring ring;

	ret = uring_open(&ring, 0, 0);
	if (ret) {
		tap_note("io_uring_setup: %s", strerror(-ret));
		tap_skip("io_uring", "this kernel has none");
		return;
	}
	memset(bytes, 0x5a, LARGE);
	memset(back, 0, LARGE);
	tap_eq(uring_do(&ring, uring_request(IORING_OP_WRITE, fd, bytes, 16, 4096)), 16,
	       "%s: io_uring writes without a doorbell (once hung)", path);
	tap_eq(uring_do(&ring, uring_request(IORING_OP_READ, fd, back, 16, 4096)), 16,
	       "%s: io_uring reads without a doorbell (once hung)", path);
	tap_ok(!memcmp(back, bytes, 16), "%s: io_uring reads what was written", path);
	tap_eq(uring_do(&ring, uring_request(IORING_OP_WRITE, fd, bytes, LARGE, 0)), LARGE,
	       "%s: io_uring writes 1 MiB in one request", path);
	tap_eq(uring_do(&ring, uring_request(IORING_OP_READ, fd, back, LARGE, 0)), LARGE,
	       "%s: io_uring reads 1 MiB in one request", path);
	tap_ok(!memcmp(back, bytes, LARGE), "%s: io_uring reads the 1 MiB that was written", path);
	tap_eq(uring_do(&ring, uring_request(IORING_OP_READ, fd, back, 16, 4 << 20)), 0,
	       "%s: io_uring reads nothing at the end of the region", path);
	close(ring.fd);
	close(fd);
}

/* A poll request of io_uring still waits for a doorbell. */
static void test_uring_poll(void)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_POLL_ADD, .poll_events = POLLIN };
	struct uring ring;
	int res = 0;

	if (uring_open(&ring, 0, 0))
		return;
	sqe.fd = dev_open();
	uring_submit(&ring, &sqe);
	sleep_ms(50);
	tap_ok(!uring_done(&ring, &res), "a poll request waits while nothing fires");
	dev_ring_self(sqe.fd, 2);
	tap_eq(uring_wait(&ring), POLLIN, "a doorbell completes the poll request");
	close(ring.fd);
	close(sqe.fd);
}

static void test_nowait(const char *path)
{
	int fd = dev_open_at(path, O_RDWR);
	struct iovec parts[2] = { { bytes, 1000 }, { bytes + 1000, LARGE - 1000 } };

	tap_eq(result(pwritev2(fd, parts, 2, 0, RWF_NOWAIT)), LARGE,
	       "%s: pwritev2 with RWF_NOWAIT writes everything", path);
	parts[0].iov_base = back;
	parts[1].iov_base = back + 1000;
	memset(back, 0, LARGE);
	tap_eq(result(preadv2(fd, parts, 2, 0, RWF_NOWAIT)), LARGE,
	       "%s: preadv2 with RWF_NOWAIT reads everything", path);
	tap_ok(!memcmp(back, bytes, LARGE), "%s: preadv2 reads what was written", path);
	close(fd);
}

/* Does select() say at once that the file is readable? */
static bool selectable(int fd)
{
	struct timeval now = { 0, 0 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return select(fd + 1, &set, NULL, NULL, &now) == 1;
}

static int poll_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLRDNORM };

	poll(&p, 1, 0);
	return p.revents;
}

static void test_readable(void)
{
	int doorbell = dev_open(), plain = dev_open_at(PLAIN, O_RDWR);

	tap_ok(selectable(plain), "select() says that a plain device is readable, like a file");
	tap_eq(poll_now(plain), POLLIN | POLLRDNORM, "poll() says that as well");
	tap_eq(read(plain, back, 16), 16, "a plain device can be read");
	tap_ok(selectable(plain), "a plain device stays readable");
	tap_ok(!selectable(doorbell), "a doorbell device is not readable while nothing fired");
	dev_ring_self(doorbell, 1);
	for (int i = 0; i < URING_PATIENCE * 100 && !selectable(doorbell); i++)
		sleep_ms(10);
	tap_ok(selectable(doorbell), "a doorbell device is readable when a vector has fired");
	tap_eq(read(doorbell, back, 16), 16, "a doorbell device can be read");
	tap_ok(selectable(doorbell), "read does not take the doorbell");
	tap_eq(dev_wait_vector(doorbell, 1, 0), 1, "WAIT takes the doorbell");
	tap_ok(!selectable(doorbell), "after WAIT the device is no longer readable");
	close(doorbell);
	close(plain);
}

int main(void)
{
	const char *const paths[] = { RIG_DEVICE, PLAIN };

	for (int i = 0; i < 2; i++) {
		test_uring(paths[i]);
		test_nowait(paths[i]);
	}
	if (dev_interrupts(dev_open(), "POLLIN after a doorbell")) {
		test_uring_poll();
		test_readable();
	}
	return tap_done();
}
