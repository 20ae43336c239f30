// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the interrupt handler does itself is bounded, whatever programs do. The tracepoints tell
 * in which context a listener was notified: a few in the interrupt, the rest in a work item.
 */
/* rig: devices=doorbell vectors=4 size=1M mem=512 timeout=240 */
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "labels.h"

#define TRACING "/sys/kernel/tracing/"
#define EVENTS TRACING "events/"
#define PART "/dev/ivshmem0p1"
#define SIZE (1UL << 20)
/* Listeners of one user that the handler notifies itself: two of a vector, two of all vectors. */
#define DIRECT 4
#define SLEEPERS 400
#define WATCHED 300
#define PLAIN 100
#define ASYNC 200
#define CROWD 256
#define PATIENCE (60 * SECOND)

struct sleeper {
	pthread_t thread;
	const char *path;
	uint32_t vector;
	bool set;
};

static struct sleeper sleepers[SLEEPERS];
static unsigned int nr_sleepers;

static void *sleep_at(void *arg)
{
	const struct sleeper *s = arg;
	const uint64_t set = 1ULL << s->vector;
	int fd = dev_open_at(s->path, O_RDWR);
	struct ivshmem_wait w = { .vector = s->vector, .timeout_ns = PATIENCE };
	long ret;

	if (s->set)
		w = dev_set_wait(&set, PATIENCE);
	ret = dev_wait(fd, &w);
	close(fd);
	return (void *)ret;
}

static void sleepers_add(unsigned int n, const char *path, uint32_t vector, bool set)
{
	pthread_attr_t small;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	while (n--) {
		struct sleeper *s = &sleepers[nr_sleepers++];

		*s = (struct sleeper){ .path = path, .vector = vector, .set = set };
		if (pthread_create(&s->thread, &small, sleep_at, s))
			tap_bail("no thread");
	}
}

/* Gives how many have not seen a doorbell. */
static unsigned int sleepers_end(void)
{
	unsigned int lost = 0;
	void *result;

	while (nr_sleepers) {
		pthread_join(sleepers[--nr_sleepers].thread, &result);
		lost += !!result;
	}
	return lost;
}

/* Trace these events from now on. */
static void trace_begin(void)
{
	file_write(TRACING "tracing_on", "0");
	file_write(TRACING "buffer_size_kb", "2048");
	close(open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
	file_write(EVENTS "signal/signal_generate/filter", "sig == 29");
	file_write(EVENTS "signal/signal_generate/enable", "1");
	file_write(EVENTS "ivshmem/enable", "1");
	file_write(TRACING "tracing_on", "1");
}

static void trace_end(void)
{
	file_write(TRACING "tracing_on", "0");
	file_write(EVENTS "ivshmem/enable", "0");
	file_write(EVENTS "signal/signal_generate/enable", "0");
}

/* How often an event is in a line of the trace; those in an interrupt, or all others. */
struct events {
	unsigned int hard, soft;
};

static bool is_event(const char *line, const char *event)
{
	const char *at = strstr(line, event);

	return at && at > line && at[-1] == ' ';
}

/* After the number of the processor: irqs-off, need-resched, hardirq/softirq. */
static bool in_interrupt(const char *line)
{
	const char *flags = strstr(line, "] ");

	return flags && strlen(flags) > 4 && strchr("hH", flags[4]);
}

static struct events trace_count(const char *event)
{
	struct events n = { };
	char line[512];
	FILE *file = fopen(TRACING "trace", "re");

	while (file && fgets(line, sizeof(line), file)) {
		if (*line == '#' || !is_event(line, event))
			continue;
		if (in_interrupt(line))
			n.hard++;
		else
			n.soft++;
	}
	if (file)
		fclose(file);
	return n;
}

static void eventfds_bind(int *efds, int epoll)
{
	struct epoll_event event = { .events = EPOLLIN };

	for (int i = 0; i < WATCHED + PLAIN; i++) {
		int own = dev_open_at(RIG_DEVICE, O_RDWR);

		efds[i] = eventfd(0, EFD_NONBLOCK);
		if (dev_eventfd(own, 0, efds[i]))
			tap_bail("no eventfd");
		if (i < WATCHED)
			epoll_ctl(epoll, EPOLL_CTL_ADD, efds[i], &event);
	}
}

static void async_files(void)
{
	for (int i = 0; i < ASYNC; i++) {
		int own = dev_open_at(RIG_DEVICE, O_RDWR);

		fcntl(own, F_SETOWN, getpid());
		fcntl(own, F_SETFL, O_RDWR | O_ASYNC);
	}
}

/* A thousand listeners to one vector, of all kinds. Gives how many have not been notified. */
static unsigned int listen_and_ring(void)
{
	int fd = dev_open(), epoll = epoll_create1(EPOLL_CLOEXEC), efds[WATCHED + PLAIN];
	unsigned int lost;
	eventfd_t value;
	int64_t end;

	sleepers_add(SLEEPERS - 100, RIG_DEVICE, 0, false);
	sleepers_add(100, RIG_DEVICE, 0, true);
	eventfds_bind(efds, epoll);
	async_files();
	sleep_ms(2000);
	trace_begin();
	dev_ring_self(fd, 0);
	lost = sleepers_end();
	end = now_ns() + PATIENCE;
	for (int i = 0; i < WATCHED + PLAIN; i++) {
		while (eventfd_read(efds[i], &value) && now_ns() < end)
			sleep_ms(1);
		lost += now_ns() >= end;
	}
	sleep_ms(500);
	trace_end();
	return lost;
}

static void test_bound(void)
{
	struct events wakes, eventfds, signals, files, defers;
	int status;
	pid_t pid;

	/* All files are closed by its end. */
	pid = fork();
	if (!pid) {
		signal(SIGIO, SIG_IGN);
		_exit(listen_and_ring() != 0);
	}
	waitpid(pid, &status, 0);
	tap_eq(status, 0, "one doorbell reaches %d tasks and %d eventfds", SLEEPERS,
	       WATCHED + PLAIN);
	wakes = trace_count("ivshmem_wake: ");
	eventfds = trace_count("ivshmem_eventfd: ");
	files = trace_count("ivshmem_wake_any: ");
	signals = trace_count("signal_generate: ");
	defers = trace_count("ivshmem_defer: ");
	tap_ok(wakes.hard + eventfds.hard && wakes.hard + eventfds.hard <= DIRECT,
	       "the interrupt handler itself wakes %u tasks and signals %u eventfds", wakes.hard,
	       eventfds.hard);
	tap_ok(wakes.soft >= SLEEPERS - DIRECT, "%u tasks are woken by a work item", wakes.soft);
	tap_ok(eventfds.soft >= WATCHED + PLAIN - DIRECT, "which signals %u eventfds",
	       eventfds.soft);
	tap_ok(!files.hard && files.soft >= ASYNC, "and tells %u files", files.soft);
	tap_ok(!signals.hard && signals.soft >= ASYNC, "and sends SIGIO %u times", signals.soft);
	tap_ok(defers.hard + defers.soft, "the handler leaves that to it");
}

/*
 * Wake-ups for vector 0 between the interrupt of vector 1 and its own, and after that. They count
 * only if that of vector 0 came first.
 */
static bool crowd_is_passed(unsigned int *between, unsigned int *behind)
{
	bool crowd = false, interrupt = false, woken = false;
	char line[512];
	FILE *file = fopen(TRACING "trace", "re");

	*between = *behind = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (is_event(line, "ivshmem_interrupt: ") && strstr(line, "vector=0"))
			crowd = !interrupt;
		else if (is_event(line, "ivshmem_interrupt: ") && strstr(line, "vector=1"))
			interrupt = true;
		else if (is_event(line, "ivshmem_wake: ") && strstr(line, "vector=1"))
			woken = true;
		else if (is_event(line, "ivshmem_wake: ") && woken)
			++*behind;
		else if (is_event(line, "ivshmem_wake: ") && interrupt)
			++*between;
	}
	if (file)
		fclose(file);
	if (!crowd)
		*between = *behind = 0;
	return interrupt && woken;
}

/* The one who waits for vector 1 does not stand in line behind those who wait for vector 0. */
static void test_other_vector(void)
{
	unsigned int between = 0, behind = 0;
	int fd = dev_open();

	/* The first doorbell may be dealt with before the second one comes, or overtaken by it. */
	for (int i = 0; i < 20 && between + behind < CROWD / 4; i++) {
		sleepers_add(CROWD, RIG_DEVICE, 0, false);
		sleepers_add(1, RIG_DEVICE, 1, false);
		sleep_ms(1000);
		trace_begin();
		dev_ring_self(fd, 0);
		dev_ring_self(fd, 1);
		if (sleepers_end())
			tap_bail("a doorbell is lost");
		trace_end();
		if (!crowd_is_passed(&between, &behind))
			tap_bail("vector 1 is not in the trace");
	}
	tap_ok(between <= CROWD / 8 && between < behind,
	       "vector 1 wakes its task after %u tasks of vector 0, before %u of them", between,
	       behind);
	close(fd);
}

/* A user has half of the places, so two of them wait, at each node in each way. */
static void wait_as(uid_t uid)
{
	if (fork())
		return;
	if (setuid(uid))
		_exit(1);
	for (int i = 0; i < 2; i++) {
		sleepers_add(4, i ? PART : RIG_DEVICE, i ? 0 : 1, false);
		sleepers_add(4, i ? PART : RIG_DEVICE, i ? 0 : 1, true);
	}
	_exit(sleepers_end());
}

/* The vector of a partition is one of the device's as well, so both have their listeners. */
static void test_partition(void)
{
	struct ivshmem_label label = label_new(SIZE);
	int fd = dev_open(), status, failed = 0;
	struct events wakes;

	label_add(&label, 1, "raw", "part", SIZE / 2, 64 << 10, 1, 2);
	label_store(dev_map(fd, SIZE), &label);
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "a label with a partition");
	tap_ok(file_comes(PART, true), "which has a node");
	chmod(RIG_DEVICE, 0666);
	chmod(PART, 0666);
	wait_as(1000);
	wait_as(1001);
	sleep_ms(2000);
	trace_begin();
	dev_ring_self(fd, 1);
	while (wait(&status) > 0)
		failed += status != 0;
	trace_end();
	wakes = trace_count("ivshmem_wake: ");
	tap_eq(failed, 0, "a doorbell of a partition wakes all at both nodes");
	tap_ok(wakes.hard && wakes.hard <= 2 * 2 * DIRECT, "the interrupt handler wakes %u of %u tasks",
	       wakes.hard, wakes.hard + wakes.soft);
	memset(dev_map(fd, SIZE), 0, 64 << 10);
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "the label goes");
	close(fd);
}

int main(void)
{
	const struct rlimit many = { 4096, 4096 };
	int fd = dev_open();

	setrlimit(RLIMIT_NOFILE, &many);
	if (!dev_interrupts(fd, "the work of the interrupt handler"))
		return tap_done();
	close(fd);
	test_bound();
	test_other_vector();
	test_partition();
	return tap_done();
}
