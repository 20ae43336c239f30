// SPDX-License-Identifier: GPL-2.0-only
/*
 * splice and sendfile move the region to and from pipes, files and sockets as they move
 * a file: they stop at its end, wait for a reset, and fail once the device is removed. A
 * splice that waits for its pipe delays nobody.
 */
/* rig: devices=plain size=4M bridges=yes over=pci,memory timeout=240 */
#include <poll.h>
#include <pthread.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "dev.h"

#define SIZE (4UL << 20)
#define LARGE (1UL << 20)	/* more than a pipe holds */
#define PATIENCE 20		/* seconds */
#define RESETS 10

static char bytes[SIZE], back[SIZE];
static int fd, ends[2];		/* of the device, and of a pipe */

static void pipe_new(void)
{
	if (ends[0]) {
		close(ends[0]);
		close(ends[1]);
	}
	if (pipe(ends))
		tap_bail("pipe: %s", strerror(errno));
}

/* Read exactly so many bytes; false if there are fewer. */
static bool read_all(int from, void *to, size_t length)
{
	for (size_t done = 0; done < length;) {
		ssize_t n = read(from, (char *)to + done, length - done);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

static void fill(unsigned int seed)
{
	for (size_t i = 0; i < SIZE; i++)
		bytes[i] = i * 31 + (i >> 10) + seed;
	if (pwrite(fd, bytes, SIZE, 0) != SIZE)
		tap_bail("pwrite: %s", strerror(errno));
}

static void test_to_pipe(void)
{
	off_t at = 12345;

	fill(1);
	pipe_new();
	lseek(fd, 7, SEEK_SET);
	tap_eq(result(splice(fd, &at, ends[1], NULL, 10000, 0)), 10000, "splice to a pipe");
	tap_ok(read_all(ends[0], back, 10000) && !memcmp(back, bytes + 12345, 10000),
	       "what is in the region");
	tap_ok(at == 22345 && lseek(fd, 0, SEEK_CUR) == 7, "only the given offset moves on");
	tap_eq(result(splice(fd, NULL, ends[1], NULL, 100, 0)), 100, "from the position");
	tap_ok(read_all(ends[0], back, 100) && !memcmp(back, bytes + 7, 100), "the same");
	tap_eq(lseek(fd, 0, SEEK_CUR), 107, "which moves on");
	at = SIZE - 10;
	tap_eq(result(splice(fd, &at, ends[1], NULL, 100, 0)), 10, "no further than the end");
	tap_ok(read_all(ends[0], back, 10) && !memcmp(back, bytes + SIZE - 10, 10),
	       "with the last bytes");
	tap_eq(result(splice(fd, &at, ends[1], NULL, 100, 0)), 0, "at the end there is nothing");
	at = 1LL << 60;
	tap_eq(result(splice(fd, &at, ends[1], NULL, 100, 0)), 0, "nor far beyond");
	at = 0;
	tap_ok(splice(fd, &at, ends[1], NULL, LARGE, SPLICE_F_NONBLOCK) > 0,
	       "as much as the pipe holds");
	while (splice(fd, &at, ends[1], NULL, LARGE, SPLICE_F_NONBLOCK) > 0)
		;
	tap_eq(errno, EAGAIN, "a full pipe takes no more");
	tap_ok(at > 0 && read_all(ends[0], back, at) && !memcmp(back, bytes, at),
	       "and has the beginning of the region");
}

static void test_from_pipe(void)
{
	struct iovec part = { bytes + 500, 3 * PAGE };
	off_t at = 54321;

	fill(2);
	pipe_new();
	tap_eq(write(ends[1], bytes, 10000), 10000, "fill a pipe");
	tap_eq(result(splice(ends[0], NULL, fd, &at, 10000, 0)), 10000, "splice from it");
	tap_eq(at, 64321, "the given offset moves on");
	tap_ok(pread(fd, back, 10000, 54321) == 10000 && !memcmp(back, bytes, 10000),
	       "the region has the bytes");
	tap_eq(write(ends[1], bytes, 100), 100, "fill it with 100 bytes");
	at = SIZE - 10;
	tap_eq(result(splice(ends[0], NULL, fd, &at, 100, 0)), 10, "no further than the end");
	refused(splice(ends[0], NULL, fd, &at, 100, 0), ENOSPC, "at the end");
	tap_ok(pread(fd, back, 10, SIZE - 10) == 10 && !memcmp(back, bytes, 10),
	       "the last bytes are written");
	tap_ok(read_all(ends[0], back, 90) && !memcmp(back, bytes + 10, 90),
	       "the others are still in the pipe");
	tap_eq(result(vmsplice(ends[1], &part, 1, 0)), 3 * PAGE, "lend pages to the pipe");
	at = 1000;
	tap_eq(result(splice(ends[0], NULL, fd, &at, 3 * PAGE, 0)), 3 * PAGE,
	       "splice them to the region");
	tap_ok(pread(fd, back, 3 * PAGE, 1000) == (ssize_t)(3 * PAGE) &&
	       !memcmp(back, bytes + 500, 3 * PAGE), "they are there");
}

static void test_modes(void)
{
	int ro = dev_open_at(RIG_DEVICE, O_RDONLY), wo = dev_open_at(RIG_DEVICE, O_WRONLY);
	int appending = dev_open_at(RIG_DEVICE, O_RDWR | O_APPEND);
	off_t at = 0;

	pipe_new();
	tap_eq(write(ends[1], bytes, 100), 100, "a pipe with 100 bytes");
	refused(splice(ends[0], NULL, ro, &at, 100, 0), EBADF, "splice to a read-only file");
	refused(splice(wo, &at, ends[1], NULL, 100, 0), EBADF, "splice from a write-only file");
	refused(splice(ends[0], NULL, appending, &at, 100, 0), EINVAL,
		"splice to a file with O_APPEND, as to any");
	at = -1;
	tap_ok(splice(fd, &at, ends[1], NULL, 100, 0) < 0, "nothing before the start");
	close(ro);
	close(wo);
	close(appending);
}

/* Kernels before 6.0 send regular files and block devices only. */
static bool sends_devices(void)
{
	return kernel_since(6, 0);
}

/* Reads all that a socket has, until the other end is closed. */
static void *receive(void *sock)
{
	size_t done = 0;
	ssize_t n;

	while (done < SIZE && (n = read(*(int *)sock, back + done, SIZE - done)) > 0)
		done += n;
	return (void *)done;
}

static void test_send_to_socket(void)
{
	pthread_t receiver;
	off_t at = 0;
	int pair[2];
	void *got;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		tap_bail("socketpair: %s", strerror(errno));
	memset(back, 0, SIZE);
	pthread_create(&receiver, NULL, receive, &pair[1]);
	while (sendfile(pair[0], fd, &at, SIZE) > 0)
		;
	close(pair[0]);
	pthread_join(receiver, &got);
	close(pair[1]);
	tap_eq((size_t)got, SIZE, "sendfile to a socket sends all of the region");
	tap_ok(!memcmp(back, bytes, SIZE), "as it is");
}

static void test_send(void)
{
	int file = open("/tmp/file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	off_t at = 0;

	fill(3);
	if (sends_devices()) {
		tap_eq(result(sendfile(file, fd, &at, 2 * SIZE)), SIZE,
		       "sendfile to a file stops at the end of the region");
		tap_ok(pread(file, back, SIZE, 0) == (ssize_t)SIZE && !memcmp(back, bytes, SIZE),
		       "the file has all of it");
		tap_eq(result(sendfile(file, fd, &at, SIZE)), 0, "then there is nothing left");
		test_send_to_socket();
	} else {
		refused(sendfile(file, fd, &at, SIZE), EINVAL,
			"sendfile from the region, with this kernel");
		tap_eq(pwrite(file, bytes, SIZE, 0), SIZE, "fill a file");
	}
	fill(4);
	at = 0;
	lseek(fd, 0, SEEK_SET);
	tap_eq(result(sendfile(fd, file, &at, SIZE)), SIZE, "sendfile from a file");
	tap_ok(pread(file, bytes, SIZE, 0) == (ssize_t)SIZE &&
	       pread(fd, back, SIZE, 0) == (ssize_t)SIZE && !memcmp(back, bytes, SIZE),
	       "the region has all of it");
	at = 0;
	refused(sendfile(fd, file, &at, 1), ENOSPC, "at the end of the region");
	at = 0;
	lseek(fd, SIZE - 100000, SEEK_SET);
	tap_eq(result(sendfile(fd, file, &at, SIZE)), 100000, "no further than the end");
	tap_ok(at == 100000 && lseek(fd, 0, SEEK_CUR) == (off_t)SIZE,
	       "both positions say how far it came");
	close(file);
	unlink("/tmp/file");
}

/* What a thread that splices all the time is to do, and how it ended. */
struct splicer {
	bool to_pipe;
	int ends[2];		/* of its own pipe */
	volatile unsigned int turns;
	volatile int ended;	/* a negative errno */
	pthread_t thread;
	volatile bool stop;
	unsigned int wrong;
};

#define PIECE 8000

static void *splice_along(void *arg)
{
	struct splicer *s = arg;
	char piece[PIECE];
	int ret = 0;

	for (; !s->stop && ret >= 0; s->turns++) {
		off_t at = LARGE + s->turns % 64 * PIECE;

		if (s->to_pipe) {
			ret = result(splice(fd, &at, s->ends[1], NULL, PIECE, 0));
			if (ret > 0 && (!read_all(s->ends[0], piece, ret) ||
					memcmp(piece, bytes + at - ret, ret)))
				s->wrong++;
		} else {
			if (write(s->ends[1], bytes + at, PIECE) != PIECE)
				s->wrong++;
			ret = result(splice(s->ends[0], NULL, fd, &at, PIECE, 0));
		}
	}
	s->ended = ret;
	return NULL;
}

static void splicers_start(struct splicer *s)
{
	for (int i = 0; i < 2; i++) {
		s[i].to_pipe = i;
		if (pipe(s[i].ends) ||
		    pthread_create(&s[i].thread, NULL, splice_along, &s[i]))
			tap_bail("no thread that splices");
	}
	for (int64_t end = now_ns() + PATIENCE * SECOND; now_ns() < end; sleep_ms(1))
		if (s[0].turns > 10 && s[1].turns > 10)
			return;
}

static void splicers_end(struct splicer *s)
{
	for (int i = 0; i < 2; i++) {
		s[i].stop = true;
		pthread_join(s[i].thread, NULL);
		close(s[i].ends[0]);
		close(s[i].ends[1]);
	}
}

static void test_reset(void)
{
	struct splicer s[2] = { };
	const char *reset = "/sys/class/ivshmem/ivshmem0/device/reset";
	int failed = 0;

	if (access(reset, F_OK)) {
		tap_skip("splice during resets", "this machine cannot reset the device");
		return;
	}
	fill(5);
	splicers_start(s);
	for (int i = 0; i < RESETS; i++) {
		failed += file_write(reset, "1") != 0;
		sleep_ms(20);
	}
	splicers_end(s);
	tap_eq(failed, 0, "%d resets while threads splice both ways", RESETS);
	tap_ok(s[0].ended > 0 && s[1].ended > 0, "each splice waits for their end");
	tap_ok(!s[0].wrong && !s[1].wrong, "and moves the right bytes");
	tap_ok(pread(fd, back, SIZE, 0) == (ssize_t)SIZE && !memcmp(back, bytes, SIZE),
	       "the region is as it was");
}

/* Sleeps in splice until there is room in the full pipe, or something in the empty one. */
static void *splice_once(void *arg)
{
	struct splicer *s = arg;
	off_t at = 0;

	s->turns++;
	s->ended = s->to_pipe ? result(splice(fd, &at, s->ends[1], NULL, PIECE, 0)) :
				result(splice(s->ends[0], NULL, fd, &at, PIECE, 0));
	return NULL;
}

static void test_removal(void)
{
	struct splicer s[2] = { }, asleep[2] = { { .to_pipe = true, .ended = 1 },
						 { .ended = 1 } };
	const char *pci = dev_pci(0);
	off_t at = 0;

	for (int i = 0; i < 2; i++)
		if (pipe(asleep[i].ends))
			tap_bail("pipe: %s", strerror(errno));
	while (splice(fd, &at, asleep[0].ends[1], NULL, LARGE, SPLICE_F_NONBLOCK) > 0)
		;
	for (int i = 0; i < 2; i++)
		pthread_create(&asleep[i].thread, NULL, splice_once, &asleep[i]);
	splicers_start(s);
	sleep_ms(50);
	tap_ok(asleep[0].ended == 1 && asleep[1].ended == 1, "two splices wait for a pipe");
	tap_eq(file_write(PCI_DRIVER "unbind", pci), 0, "unbind the device meanwhile");
	for (int64_t end = now_ns() + PATIENCE * SECOND; now_ns() < end; sleep_ms(1))
		if (s[0].ended && s[1].ended)
			break;
	splicers_end(s);
	tap_eq(s[0].ended, -ENODEV, "a splice from a pipe sees the end of the device");
	tap_eq(s[1].ended, -ENODEV, "so does one to a pipe");
	tap_eq(s[1].wrong, 0, "and no wrong bytes came before");
	tap_ok(asleep[0].ended == 1 && asleep[1].ended == 1, "the others wait on");
	while (asleep[0].ended == 1 && read(asleep[0].ends[0], back, SIZE) > 0)
		sleep_ms(10);
	if (write(asleep[1].ends[1], bytes, PIECE) != PIECE)
		tap_note("write: %s", strerror(errno));
	for (int i = 0; i < 2; i++)
		pthread_join(asleep[i].thread, NULL);
	tap_eq(asleep[0].ended, -ENODEV, "until there is room");
	tap_eq(asleep[1].ended, -ENODEV, "or something to write");
	file_write(PCI_DRIVER "bind", pci);
}

int main(void)
{
	fd = dev_open();
	test_to_pipe();
	test_from_pipe();
	test_modes();
	test_send();
	if (rig_over("pci")) {
		test_reset();
		test_removal();
	}
	return tap_done();
}
