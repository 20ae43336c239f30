// SPDX-License-Identifier: GPL-2.0-only
/*
 * Resets through sysfs while a mapping is touched and others read, copy and sleep. They
 * wait for the reset or go on, and always see the right memory.
 */
/* rig: machine=q35 devices=doorbell size=4M timeout=120 */
#include <glob.h>
#include <pthread.h>
#include <signal.h>

#include "dev.h"

#define RESETS 10
#define THREADS 4
#define HOT "/dev/ivshmem1"

static int fd;
static volatile bool stop;

static void *toucher(void *arg)
{
	volatile uint32_t *p = dev_map(fd, 1 << 20);
	long bad = 0;

	(void)arg;
	for (size_t i = 0; !stop; i = (i + 1024) % (1 << 18)) {
		p[i] = i;
		if (p[i] != i && !bad++)
			tap_note("word %zu of the mapping is wrong", i);
	}
	return (void *)bad;
}

static void *reader(void *arg)
{
	uint32_t words[4], bad = 0;

	(void)arg;
	while (!stop)
		bad += pread(fd, words, sizeof(words), 2 << 20) != sizeof(words) ||
		       words[3] != 0x600dd00d;
	return (void *)(long)bad;
}

/* A copy whose page fault on the same device may fall into a reset. */
static void *copier(void *arg)
{
	long bad = 0;

	(void)arg;
	while (!stop) {
		char *p = dev_map_at(fd, 3 << 20, 1 << 20);

		bad += pread(fd, p, 1 << 20, 2 << 20) != 1 << 20;
		bad += pwrite(fd, p, 1 << 20, 2 << 20) != 1 << 20;
		munmap(p, 1 << 20);
	}
	return (void *)bad;
}

static void *waiter(void *arg)
{
	long woken = 0;

	(void)arg;
	while (!stop)
		woken += dev_wait_vector(fd, 0, SECOND / 10) > 0;
	return (void *)woken;
}

/* A device without doorbells can be polled again, and says so. */
static void test_sigio(void)
{
	const struct timespec patience = { .tv_sec = 20 };
	const char *plain = "/dev/ivshmem2";
	sigset_t set;
	int bare;

	rig_ask("plug plain bare 2M");
	if (!file_comes(plain, true))
		tap_bail("no plain device");
	bare = dev_open_at(plain, O_RDWR);
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	must(fcntl(bare, F_SETOWN, getpid()));
	must(fcntl(bare, F_SETFL, O_RDWR | O_ASYNC));
	tap_eq(file_write("/sys/class/ivshmem/ivshmem2/device/reset", "1"), 0, "another reset");
	tap_eq(sigtimedwait(&set, NULL, &patience), SIGIO, "its end sends SIGIO");
	close(bare);
}

int main(void)
{
	void *(*const run[])(void *) = { toucher, reader, copier, waiter };
	void *results[THREADS];
	pthread_t threads[THREADS];
	uint32_t mark[4] = { 0, 0, 0, 0x600dd00d };
	glob_t found;
	int failed = 0;

	rig_ask("plug doorbell hot 2");
	if (!file_comes(HOT, true))
		tap_bail("no device");
	if (glob("/sys/class/ivshmem/ivshmem1/device/reset", 0, NULL, &found)) {
		tap_skip("reset", "this machine cannot reset the device");
		return tap_done();
	}
	fd = dev_open_at(HOT, O_RDWR);
	tap_ok(dev_info(fd).features & IVSHMEM_FEATURE_RESET, "INFO: it can be reset");
	tap_eq(pwrite(fd, mark, sizeof(mark), 2 << 20), sizeof(mark), "write a mark");
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, run[i], NULL);
	for (int i = 0; i < RESETS; i++) {
		failed += file_write(found.gl_pathv[0], "1") != 0;
		sleep_ms(30);
	}
	stop = true;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], &results[i]);
	tap_eq(failed, 0, "%d resets", RESETS);
	tap_eq((long)results[0], 0, "a mapping shows what was written");
	tap_eq((long)results[1], 0, "each read gives the mark");
	tap_eq((long)results[2], 0, "each copy of the region to itself is complete");
	test_sigio();
	if (!dev_interrupts(fd, "sleepers and doorbells"))
		return tap_done();
	tap_ok((long)results[3] >= 1, "a reset wakes a sleeper");
	dev_wait_vector(fd, 0, 0);
	dev_ring_self(fd, 0);
	tap_eq(dev_wait_vector(fd, 0, 5 * SECOND) > 0, true,
	       "doorbells work after the last reset");
	return tap_done();
}
