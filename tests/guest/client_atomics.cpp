// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program in C++ that puts std::atomic into the mapping, as two processes that have
 * opened and mapped the device by themselves. It knows nothing of the driver but the path.
 */
/* rig: devices=plain size=1M over=pci,window,memory timeout=120 */
#include <atomic>
#include <cstdint>
#include <new>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

namespace {

constexpr std::size_t size = 1 << 20;
constexpr unsigned int rounds = 100000;
constexpr unsigned int messages = 20000;

struct Area {
	alignas(64) std::atomic<std::uint32_t> here{0};	/* processes that have mapped it */
	alignas(64) std::atomic<std::uint64_t> sum{0};
	alignas(64) std::atomic<std::uint64_t> exchanged{0};
	alignas(64) std::atomic<std::uint8_t> small{0};
	alignas(64) std::atomic<std::uint16_t> medium{0};
	alignas(64) std::atomic_flag lock = ATOMIC_FLAG_INIT;
	std::uint64_t guarded = 0;
	alignas(64) std::atomic<std::uint32_t> ready{0};	/* the message's number */
	alignas(64) std::uint32_t message[16] = {};
	alignas(64) std::atomic<std::uint32_t> taken{0};
	alignas(64) std::atomic<std::uint32_t> wants[2] = {0, 0};
	alignas(64) std::uint32_t inside = 0;
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<std::uint8_t>::is_always_lock_free);
static_assert(sizeof(Area) <= size);

Area *map_area()
{
	int fd = open("/dev/ivshmem0", O_RDWR | O_CLOEXEC);
	void *p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		tap_bail("the device cannot be mapped");
	close(fd);
	return static_cast<Area *>(p);
}

/* Wait until both processes have come here. */
void meet(std::atomic<std::uint32_t> &count, std::uint32_t target)
{
	count.fetch_add(1);
	while (count.load() < target)
		sched_yield();
}

void count(Area &area)
{
	for (unsigned int i = 0; i < rounds; i++) {
		area.sum.fetch_add(3, std::memory_order_relaxed);
		area.small.fetch_add(1, std::memory_order_relaxed);
		area.medium.fetch_sub(1, std::memory_order_relaxed);

		auto seen = area.exchanged.load(std::memory_order_relaxed);

		while (!area.exchanged.compare_exchange_weak(seen, seen + 5))
			;
		while (area.lock.test_and_set(std::memory_order_acquire))
			sched_yield();
		area.guarded++;
		area.lock.clear(std::memory_order_release);
	}
}

/* The first process writes messages, the second one reads them. Gives those that are torn. */
unsigned int pass_messages(Area &area, bool first)
{
	unsigned int torn = 0;

	for (std::uint32_t n = 1; n <= messages; n++) {
		if (first) {
			for (auto &word : area.message)
				word = n;
			area.ready.store(n, std::memory_order_release);
			while (area.taken.load(std::memory_order_acquire) != n)
				sched_yield();
			continue;
		}
		while (area.ready.load(std::memory_order_acquire) != n)
			sched_yield();
		for (auto word : area.message)
			torn += word != n;
		area.taken.store(n, std::memory_order_release);
	}
	return torn;
}

/* Enter one at a time, by stores and loads alone: Dekker's algorithm. Gives the failures. */
unsigned int exclude(Area &area, unsigned int me)
{
	unsigned int both = 0;

	for (unsigned int i = 0; i < rounds; i++) {
		area.wants[me].store(1);
		if (!area.wants[!me].load()) {
			both += area.inside++ != 0;
			both += --area.inside != 0;
		}
		area.wants[me].store(0);
	}
	return both;
}

unsigned int work(Area &area, unsigned int me)
{
	unsigned int failed;

	meet(area.here, 2);
	count(area);
	failed = pass_messages(area, !me);
	meet(area.here, 4);
	failed += exclude(area, me);
	return failed;
}

} // namespace

int main()
{
	Area *area = new (map_area()) Area;
	int status = -1;
	pid_t pid = fork();
	unsigned int failed;

	if (!pid) {
		munmap(static_cast<void *>(area), size);
		_exit(work(*map_area(), 1) ? 1 : 0);
	}
	failed = work(*area, 0);
	waitpid(pid, &status, 0);
	tap_eq(area->sum.load(), 2ull * 3 * rounds, "fetch_add of 64 bits loses nothing");
	tap_eq(area->small.load(), static_cast<std::uint8_t>(2 * rounds), "nor of 8 bits");
	tap_eq(area->medium.load(), static_cast<std::uint16_t>(-2 * rounds),
	       "nor fetch_sub of 16 bits");
	tap_eq(area->exchanged.load(), 2ull * 5 * rounds, "nor compare_exchange");
	tap_eq(area->guarded, 2ull * rounds, "atomic_flag keeps a word for one at a time");
	tap_eq(failed, 0, "stores and loads in order keep the other one out");
	tap_eq(status, 0, "and messages arrive whole, by release and acquire");
	return tap_done();
}
