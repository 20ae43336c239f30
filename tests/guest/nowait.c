// SPDX-License-Identifier: GPL-2.0-only
/*
 * read and write never wait for a doorbell, by io_uring, with RWF_NOWAIT or after
 * select(). Only a reset delays them, and then RWF_NOWAIT gives EAGAIN.
 */
/* rig: bridges=yes devices=doorbell,plain vectors=4 size=4M over=pci,memory timeout=240 */
#include <poll.h>
#include <pthread.h>
#include <sys/select.h>
#include <sys/uio.h>

#include "uring.h"

#define DOORBELL_RESET PCI_DEVICES "0000:01:01.0/reset"
#define PLAIN_RESET PCI_DEVICES "0000:02:01.0/reset"
#define PLAIN "/dev/ivshmem1"
#define PATIENCE 10	/* seconds */
#define LARGE (1 << 20)	/* more than the driver moves at once */

static char bytes[LARGE], back[LARGE];

static struct io_uring_sqe request(int opcode, int fd, void *buffer, unsigned int size,
				   off_t offset)
{
	return (struct io_uring_sqe){ .opcode = opcode, .fd = fd, .len = size,
				      .addr = (uintptr_t)buffer, .off = offset };
}

/* Do one request; its result, or -ETIME. */
static int uring_do(struct uring *ring, struct io_uring_sqe sqe)
{
	int ret = uring_submit(ring, &sqe);

	return ret < 0 ? ret : uring_wait(ring, PATIENCE);
}

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
	tap_eq(uring_do(&ring, request(IORING_OP_WRITE, fd, bytes, 16, 4096)), 16,
	       "%s: io_uring writes without a doorbell", path);
	tap_eq(uring_do(&ring, request(IORING_OP_READ, fd, back, 16, 4096)), 16,
	       "%s: and reads", path);
	tap_ok(!memcmp(back, bytes, 16), "%s: what was written", path);
	tap_eq(uring_do(&ring, request(IORING_OP_WRITE, fd, bytes, LARGE, 0)), LARGE,
	       "%s: io_uring writes 1 MiB at once", path);
	tap_eq(uring_do(&ring, request(IORING_OP_READ, fd, back, LARGE, 0)), LARGE,
	       "%s: and reads it", path);
	tap_ok(!memcmp(back, bytes, LARGE), "%s: all bytes are equal", path);
	tap_eq(uring_do(&ring, request(IORING_OP_READ, fd, back, 16, 4 << 20)), 0,
	       "%s: at the end there is nothing to read", path);
	close(ring.fd);
	close(fd);
}

/* A poll request does wait for a doorbell. */
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
	tap_ok(!uring_done(&ring, &res), "a poll by io_uring waits");
	dev_ring_self(sqe.fd, 2);
	tap_eq(uring_wait(&ring, PATIENCE), POLLIN, "until a doorbell fires");
	close(ring.fd);
	close(sqe.fd);
}

static void test_nowait(const char *path)
{
	int fd = dev_open_at(path, O_RDWR);
	struct iovec parts[2] = { { bytes, 1000 }, { bytes + 1000, LARGE - 1000 } };

	tap_eq(result(pwritev2(fd, parts, 2, 0, RWF_NOWAIT)), LARGE,
	       "%s: pwritev2 with RWF_NOWAIT", path);
	parts[0].iov_base = back;
	parts[1].iov_base = back + 1000;
	memset(back, 0, LARGE);
	tap_eq(result(preadv2(fd, parts, 2, 0, RWF_NOWAIT)), LARGE,
	       "%s: preadv2 with RWF_NOWAIT", path);
	tap_ok(!memcmp(back, bytes, LARGE), "%s: all bytes are equal", path);
	close(fd);
}

/* Is the file readable, says select() at once? */
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

	tap_ok(selectable(plain), "without interrupts select() says readable, like a file");
	tap_eq(poll_now(plain), POLLIN | POLLRDNORM, "and so does poll()");
	tap_eq(read(plain, back, 16), 16, "read gives bytes");
	tap_ok(selectable(plain), "and it stays readable");
	tap_ok(!selectable(doorbell), "with interrupts it is not readable");
	dev_ring_self(doorbell, 1);
	for (int i = 0; i < PATIENCE * 100 && !selectable(doorbell); i++)
		sleep_ms(10);
	tap_ok(selectable(doorbell), "until a doorbell fires");
	tap_eq(read(doorbell, back, 16), 16, "read gives bytes there too");
	tap_ok(selectable(doorbell), "and does not take the doorbell");
	tap_eq(dev_wait_vector(doorbell, 1, 0), 1, "WAIT takes it");
	tap_ok(!selectable(doorbell), "and the file is not readable any more");
	close(doorbell);
	close(plain);
}

static void *reset(void *path)
{
	return (void *)(intptr_t)file_write(path, "1");
}

/* Read until a reset begins; gives the result that is not 16 bytes. */
static int read_into_reset(int fd)
{
	struct iovec part = { back, 16 };
	int64_t end = now_ns() + PATIENCE * SECOND;
	int ret;

	do
		ret = result(preadv2(fd, &part, 1, 0, RWF_NOWAIT));
	while (ret == 16 && now_ns() < end);
	return ret;
}

/* The reset of a bridge takes a second or more. */
static void test_reset(const char *path, char *file)
{
	int fd = dev_open_at(path, O_RDWR);
	struct iovec part = { bytes, 16 };
	struct uring ring;
	pthread_t thread;
	void *failed;
	bool have_uring = !uring_open(&ring, 0, 0);

	if (access(file, F_OK)) {
		tap_skip("during a reset", "this machine or kernel has none");
		return;
	}
	pthread_create(&thread, NULL, reset, file);
	tap_eq(read_into_reset(fd), -EAGAIN, "%s: in a reset RWF_NOWAIT gives EAGAIN", path);
	tap_eq(result(pwritev2(fd, &part, 1, 0, RWF_NOWAIT)), -EAGAIN, "%s: also for a write",
	       path);
	if (have_uring)
		tap_eq(uring_do(&ring, request(IORING_OP_READ, fd, back, 16, 0)), 16,
		       "%s: io_uring waits for its end", path);
	pthread_join(thread, &failed);
	tap_eq((intptr_t)failed, 0, "%s: the reset is done", path);
	tap_eq(result(preadv2(fd, &part, 1, 0, RWF_NOWAIT)), 16, "%s: then RWF_NOWAIT reads",
	       path);
	close(fd);
}

int main(void)
{
	const char *const paths[] = { RIG_DEVICE, PLAIN };

	for (int i = 0; i < 2; i++) {
		test_uring(paths[i]);
		test_nowait(paths[i]);
	}
	test_uring_poll();
	test_readable();
	if (rig_over("pci")) {
		test_reset(RIG_DEVICE, DOORBELL_RESET);
		test_reset(PLAIN, PLAIN_RESET);
	}
	return tap_done();
}
