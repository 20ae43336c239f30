// SPDX-License-Identifier: GPL-2.0-only
/*
 * Count the instructions that the guest executes for one doorbell and for one wake-up. On
 * this machine the time stamp counter counts instructions (QEMU's -icount shift=0); it
 * has one processor and rings itself.
 *
 *	instructions ours|vfio [ADDRESS]
 *
 * Two processes take part: one waits, the other, of the lowest priority, does nothing but
 * note the time. A wake-up begins with the interrupt, which hits the second process
 * somewhere in its loop, and ends with the first instruction of the waiting process.
 * Going to sleep is counted up to where the second process runs.
 */
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <x86intrin.h>

#include "bench.h"
#include "vfio.h"

#define ROUNDS 200
#define NOBODY 65000	/* a peer that does not exist: rings must not come back */
#define VECTOR 0

/* Shared by the process that waits and the one that rings. */
struct clock {
	volatile uint64_t now, slept;
	volatile uint32_t waits, woken;
};

static int fd, efd;
static volatile uint32_t *registers;
static uint32_t id;
static off_t bar0;

static void ring_ioctl(uint32_t peer)
{
	dev_ring(fd, peer, VECTOR);
}

static void ring_mapped(uint32_t peer)
{
	registers[IVSHMEM_REG_DOORBELL / 4] = IVSHMEM_DOORBELL(peer, VECTOR);
}

static void ring_pwrite(uint32_t peer)
{
	uint32_t value = IVSHMEM_DOORBELL(peer, VECTOR);

	must(pwrite(fd, &value, 4, bar0 + IVSHMEM_REG_DOORBELL));
}

static void wait_ioctl(void)
{
	struct ivshmem_wait w = { .vector = VECTOR, .timeout_ns = -1 };

	must(ioctl(fd, IVSHMEM_IOC_WAIT, &w));
}

/* Rings nobody: the process that notes the time rings this one. */
static void ring_wait(void)
{
	struct ivshmem_wait w = { .vector = VECTOR, .timeout_ns = -1 };

	must(dev_ring_wait(fd, NOBODY, VECTOR, &w));
}

static void wait_eventfd(void)
{
	eventfd_t value;

	must(eventfd_read(efd, &value));
}

/* The instructions that it takes to read the counter. */
static int64_t overhead(void)
{
	int64_t counts[ROUNDS], start;

	for (int i = 0; i < ROUNDS; i++) {
		start = __rdtsc();
		counts[i] = __rdtsc() - start;
	}
	return bench_quantile(counts, ROUNDS, 0.5);
}

static void count_ring(const char *what, void (*ring)(uint32_t))
{
	int64_t counts[ROUNDS], base = overhead(), start;

	for (int i = 0; i < ROUNDS; i++) {
		start = __rdtsc();
		ring(NOBODY);
		counts[i] = __rdtsc() - start - base;
	}
	bench_value(what, bench_quantile(counts, ROUNDS, 0.5));
}

/* Ring the waiter once it sleeps, and note the time until it runs. */
static void ring_rounds(struct clock *clock)
{
	struct sched_param lowest = { 0 };

	must(sched_setscheduler(0, SCHED_IDLE, &lowest));
	for (uint32_t i = 0; i < ROUNDS; i++) {
		/* There is one processor, so if this process runs the waiter sleeps. */
		while (clock->waits == i)
			sched_yield();
		clock->now = clock->slept = __rdtsc();
		ring_mapped(id);
		while (clock->woken == i)
			clock->now = __rdtsc();
	}
	_exit(0);
}

static void count_wait(const char *what, void (*wait)(void))
{
	struct clock *clock = mmap(NULL, sizeof(*clock), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int64_t sleeps[ROUNDS], wakes[ROUNDS], start;
	char key[64];
	pid_t pid = fork();

	if (!pid)
		ring_rounds(clock);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		clock->waits = i + 1;
		start = __rdtsc();
		wait();
		wakes[i] = __rdtsc() - clock->now;
		sleeps[i] = clock->slept - start;
		clock->woken = i + 1;
	}
	waitpid(pid, NULL, 0);
	munmap(clock, sizeof(*clock));
	snprintf(key, sizeof(key), "sleep-%s", what);
	bench_value(key, bench_quantile(sleeps, ROUNDS, 0.5));
	snprintf(key, sizeof(key), "wake-%s", what);
	bench_value(key, bench_quantile(wakes, ROUNDS, 0.5));
}

static void count_ours(void)
{
	fd = dev_open();
	id = dev_info(fd).id;
	registers = dev_map_registers(fd);
	count_ring("ring-ioctl", ring_ioctl);
	count_ring("ring-mapped", ring_mapped);
	count_wait("wait", wait_ioctl);
	count_wait("ring-wait", ring_wait);
	must(dev_eventfd(fd, VECTOR, efd));
	count_wait("eventfd", wait_eventfd);
}

static void count_vfio(const char *address)
{
	fd = vfio_open(address);
	bar0 = vfio_region(fd, VFIO_PCI_BAR0_REGION_INDEX).offset;
	registers = vfio_map(fd, VFIO_PCI_BAR0_REGION_INDEX, 4096);
	id = registers[2];
	vfio_eventfd(fd, efd);
	count_ring("ring-vfio-pwrite", ring_pwrite);
	count_ring("ring-vfio-mapped", ring_mapped);
	count_wait("vfio", wait_eventfd);
}

int main(int argc, char **argv)
{
	efd = must(eventfd(0, EFD_CLOEXEC));
	if (argc == 3 && !strcmp(argv[1], "vfio"))
		count_vfio(argv[2]);
	else if (argc == 2 && !strcmp(argv[1], "ours"))
		count_ours();
	else
		tap_bail("usage: instructions ours|vfio [ADDRESS]");
	return 0;
}
