// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time how soon a guest that sleeps sees what another one wrote, and how much of its
 * processor that takes: with doorbells that the driver looks for, with interrupts, and by a
 * program that looks itself.
 *
 *	polled WAY DEVICE ROUNDS
 *
 * Guest 0 writes and measures: the answer is a word for which it looks all the time. Guest 1
 * has one processor, on which nothing else runs.
 */
#include "bench.h"

#define VECTOR		0
#define SLEEP_NS	1000000	/* of the program that looks itself: the default of poll_us */
#define PAUSE_MS	200	/* between rounds, and as much again by chance */

/* What the two guests share. */
struct shared {
	volatile uint32_t id;
	uint32_t asked __attribute__((aligned(64)));
	uint32_t answered __attribute__((aligned(64)));
};

static int fd;
static struct shared *shared;

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void await_doorbell(uint32_t round)
{
	struct ivshmem_wait w = { .vector = VECTOR, .timeout_ns = -1 };

	while (load(&shared->asked) != round)
		must(ioctl(fd, IVSHMEM_IOC_WAIT, &w));
}

static void await_word(uint32_t round)
{
	const struct timespec pause = { .tv_nsec = SLEEP_NS };

	while (load(&shared->asked) != round)
		nanosleep(&pause, NULL);
}

/* The device is open, and nobody waits. */
static void await_nothing(uint32_t round)
{
	sleep_ms(PAUSE_MS + PAUSE_MS / 2);
	shared->asked = round;
}

static const struct way {
	const char *name;
	void (*await)(uint32_t round);
} ways[] = {
	{ "wait", await_doorbell },
	{ "sleep", await_word },
	{ "open", await_nothing },
};

static double idle_seconds(void)
{
	double up, idle;
	FILE *file = fopen("/proc/uptime", "r");

	if (!file || fscanf(file, "%lf %lf", &up, &idle) != 2)
		tap_bail("/proc/uptime cannot be read");
	fclose(file);
	return idle;
}

static void answer(const struct way *way, uint32_t rounds)
{
	double idle = idle_seconds();
	int64_t start = now_ns();

	for (uint32_t round = 1; round <= rounds; round++) {
		way->await(round);
		__atomic_store_n(&shared->answered, round, __ATOMIC_RELEASE);
	}
	bench_value("busy", 100 - 100 * (idle_seconds() - idle) * SECOND / (now_ns() - start));
}

static void ask(uint32_t rounds)
{
	int64_t *times = calloc(rounds, sizeof(*times));

	for (uint32_t round = 1; round <= rounds; round++) {
		int64_t start;

		sleep_ms(PAUSE_MS + rand() % PAUSE_MS);
		start = now_ns();
		__atomic_store_n(&shared->asked, round, __ATOMIC_RELEASE);
		must(dev_ring(fd, shared->id, VECTOR));
		while (load(&shared->answered) != round)
			bench_pause();
		times[round - 1] = now_ns() - start;
	}
	bench_value("p50", bench_quantile(times, rounds, 0.5) / 1e3);
	bench_value("p99", bench_quantile(times, rounds, 0.99) / 1e3);
}

int main(int argc, char **argv)
{
	const struct way *way = ways, *end = ways + sizeof(ways) / sizeof(*ways);
	uint32_t rounds;

	if (argc != 4)
		tap_bail("usage: polled WAY DEVICE ROUNDS");
	while (way < end && strcmp(way->name, argv[1]))
		way++;
	if (way == end)
		tap_bail("no way %s", argv[1]);
	fd = dev_open_at(argv[2], O_RDWR);
	shared = dev_map_at(fd, DATA_OFFSET, 4096);
	rounds = atoi(argv[3]);
	if (rig_guest()) {
		shared->asked = shared->answered = 0;
		shared->id = dev_info(fd).id;
	}
	rig_ask("barrier ready");
	if (rig_guest())
		answer(way, rounds);
	else if (way->await != await_nothing)
		ask(rounds);
	rig_ask("barrier done");
	return 0;
}
