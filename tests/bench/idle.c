// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure how much processor time a waiting process uses after its spin budget. Another
 * process watches it for a second.
 *
 *	idle WAY
 */
#include <signal.h>
#include <sys/wait.h>

#include "channel.h"

#define BUDGET_NS 1000000
#define SETTLE_MS 100
#define CHANNEL_RING 4096

static void by_polling(void)
{
	volatile uint32_t *word = dev_map_at(dev_open(), CONTROL_OFFSET, 4096);
	uint32_t seen = *word;

	while (*word == seen)
		bench_pause();
}

static void by_wait(void)
{
	struct ivshmem_wait w = { .timeout_ns = -1, .spin_ns = BUDGET_NS };

	must(ioctl(dev_open(), IVSHMEM_IOC_WAIT, &w));
}

static void by_channel(void)
{
	struct ivshmem_channel *channel = channel_open(false, CHANNEL_RING, BUDGET_NS);
	char byte;

	try(ivshmem_channel_recv(channel, &byte, 1, IVSHMEM_FOREVER));
}

static const struct way {
	const char *name;
	void (*wait)(void);
} ways[] = {
	{ "poll", by_polling },
	{ "wait", by_wait },
	{ "channel", by_channel },
};

static int64_t cpu_ns(clockid_t clock)
{
	struct timespec t;

	must(clock_gettime(clock, &t));
	return t.tv_sec * SECOND + t.tv_nsec;
}

static void watch(const struct way *way)
{
	int64_t before, start;
	clockid_t clock;
	pid_t pid = fork();

	if (!pid) {
		way->wait();
		tap_bail("%s: the wait ended, though nothing rings", way->name);
	}
	must(clock_getcpuclockid(pid, &clock) ? -1 : 0);
	sleep_ms(SETTLE_MS);
	start = now_ns();
	before = cpu_ns(clock);
	sleep_ms(1000);
	bench_value("cpu", (cpu_ns(clock) - before) * 1e6 / (now_ns() - start));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	const struct way *way = ways, *end = ways + sizeof(ways) / sizeof(*ways);

	if (argc != 2)
		tap_bail("usage: idle WAY");
	while (way < end && strcmp(way->name, argv[1]))
		way++;
	if (way == end)
		tap_bail("no way %s", argv[1]);
	if (!rig_guest())
		watch(way);
	else if (way->wait == by_channel)
		channel_open(true, CHANNEL_RING, 0);
	rig_ask("barrier done");
	return 0;
}
