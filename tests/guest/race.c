// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads of several processes open, map, read, wait, ring, bind eventfds and close while
 * the device is unbound and bound. Their results do not matter: no process may die or
 * hang, and the device must work afterwards.
 */
/* rig: devices=doorbell vectors=4 size=4M smp=2 timeout=180 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "guarded.h"
#include "module.h"

#define PROCESSES 3
#define THREADS 4
#define ROUNDS 60
#define DEVICE "0000:00:10.0"
#define MIB4 (4 << 20)

static volatile int shared_fd = -1;
static volatile bool stop;

static void map_and_touch(int fd, unsigned int seed)
{
	size_t wanted = PAGE << seed % 10, length = wanted < MIB4 ? wanted : MIB4;
	char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		       seed % 2 ? 0 : MIB4 - length);

	if (p == MAP_FAILED)
		return;
	for (size_t i = 0; i < length && !touch(p + i, true); i += PAGE)
		;
	munmap(p, length);
}

static void wait_somehow(int fd, unsigned int seed)
{
	const uint64_t all = 0xf;
	struct ivshmem_wait w = { .vector = seed % 4 };

	if (seed % 3 == 0)
		w = dev_set_wait(&all, 0);
	w.timeout_ns = seed % 7 * 300000;
	w.spin_ns = seed % 5 * 10000;
	if (seed % 2)
		dev_ring_wait(fd, 0, seed % 4, &w);
	else
		dev_wait(fd, &w);
}

static void one_operation(int fd, unsigned int seed)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct ivshmem_info info;
	char buffer[8192];
	int efd;

	switch (seed % 8) {
	case 0:
		map_and_touch(fd, seed / 8);
		break;
	case 1:
	case 2:
		wait_somehow(fd, seed / 8);
		break;
	case 3:
		poll(&p, 1, 1);
		break;
	case 4:
		efd = eventfd(0, EFD_NONBLOCK);
		dev_eventfd(fd, seed / 8 % 4, efd);
		close(efd);
		break;
	case 5:
		if (pread(fd, buffer, sizeof(buffer), seed) > 0 &&
		    pwrite(fd, buffer, sizeof(buffer), seed) < 0)
			sleep_ms(1);
		break;
	case 6:
		fcntl(fd, F_SETFL, O_RDWR | (seed / 8 % 2 ? O_ASYNC : 0));
		break;
	default:
		ioctl(fd, IVSHMEM_IOC_INFO, &info);
		dev_ring(fd, 0, seed / 8 % 4);
	}
}

static void *worker(void *arg)
{
	unsigned int seed = (uintptr_t)arg;

	while (!stop) {
		int fd = open(RIG_DEVICE, O_RDWR | O_CLOEXEC);

		for (int i = 0; i < 20; i++) {
			seed = seed * 1103515245 + 12345;
			/* Half of the operations use the file that all threads share. */
			one_operation(seed & 0x10000 ? fd : shared_fd, seed >> 17);
		}
		if (seed % 16 == 0)
			shared_fd = dup(fd);
		close(fd);
	}
	return NULL;
}

static void process(int number)
{
	pthread_t threads[THREADS];

	guard();
	signal(SIGIO, SIG_IGN);
	signal(SIGALRM, SIG_IGN);
	for (uintptr_t i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, worker, (void *)(number * 100 + i));
	pause();
}

static void on_term(int signal)
{
	(void)signal;
	_exit(0);
}

int main(void)
{
	pid_t pids[PROCESSES];
	int died = 0, status, refusals = 0;

	for (int i = 0; i < PROCESSES; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			signal(SIGTERM, on_term);
			process(i);
			_exit(1);
		}
	}
	for (int i = 0; i < ROUNDS; i++) {
		sleep_ms(20 + i % 5 * 20);
		if (file_write(PCI_DRIVER "unbind", DEVICE) ||
		    file_write(PCI_DRIVER "bind", DEVICE)) {
			tap_note("round %d: cannot unbind or bind", i);
			refusals++;
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		kill(pids[i], SIGTERM);
		waitpid(pids[i], &status, 0);
		if (status) {
			tap_note("process %d ended with status 0x%x", i, status);
			died++;
		}
	}
	tap_eq(refusals, 0, "the device can be unbound and bound %d times", ROUNDS);
	tap_eq(died, 0, "all processes survive that");

	int fd = dev_open();

	tap_eq(dev_ring_self(fd, 0), 0, "the device can be rung afterwards");
	if (dev_interrupts(fd, "the vector fires afterwards"))
		tap_eq(dev_wait_vector(fd, 0, 5 * SECOND) > 0, true,
		       "the vector fires afterwards");
	close(fd);
	module_clean();
	return tap_done();
}
