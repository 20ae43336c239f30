// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time the interrupt handler and another user's doorbell while an ordinary user has as
 * many listeners of one kind on a vector as the limits allow.
 *
 *	crowd KIND
 *
 * A child is the ordinary user and rings its own vector all the time. The parent is the
 * other user: it rings itself on another vector and waits. The kernel's trace of
 * interrupts times the handler.
 */
#include <grp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bench.h"

#define USER	1000
#define MANY	10000		/* stop here if no limit is reached first */
#define EPOLLS	1000
#define GROUP	1000		/* processes in the group that gets SIGIO */
#define BUSY	2		/* programs that only compute */
#define ROUNDS	200
#define PAUSE_US 500		/* between two rings of the user */
#define ATTACKED 0
#define QUIET	1
#define TRACING	"/sys/kernel/tracing/"

/* Open one more file for the user; -1 at the limit. */
static int more(void)
{
	return open(RIG_DEVICE, O_RDWR | O_CLOEXEC);
}

static void watch(int fd, int epolls)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };

	while (epolls--)
		must(epoll_ctl(must(epoll_create1(EPOLL_CLOEXEC)), EPOLL_CTL_ADD, fd, &e));
}

static int wait_for_ever(void *fd)
{
	struct ivshmem_wait w = { .vector = ATTACKED, .timeout_ns = -1 };

	while (!ioctl((intptr_t)fd, IVSHMEM_IOC_WAIT, &w))
		w.timeout_ns = -1;
	return 0;
}

static void crowd_none(void)
{
}

/* What any user can do without a device. */
static void crowd_busy(void)
{
	for (int i = 0; i < BUSY; i++)
		if (!fork())
			for (;;)
				;
}

static void crowd_waiter(void)
{
	if (!fork())
		_exit(wait_for_ever((void *)(intptr_t)more()));
}

static void crowd_eventfd(void)
{
	must(dev_eventfd(more(), ATTACKED, must(eventfd(0, EFD_CLOEXEC))));
}

static void crowd_waiters(void)
{
	int fd = more();

	for (int i = 0; i < MANY; i++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (!pid)
			_exit(wait_for_ever((void *)(intptr_t)fd));
		/* A child beyond the limit gets EUSERS and exits at once. */
		if (i > 250 && waitpid(-1, NULL, WNOHANG) > 0)
			break;
	}
}

static void crowd_bindings(void)
{
	int efd = must(eventfd(0, EFD_CLOEXEC)), fd;

	for (int i = 0; i < MANY && (fd = more()) >= 0; i++)
		must(dev_eventfd(fd, ATTACKED, efd));
	watch(efd, EPOLLS);
}

static void crowd_epolls(void)
{
	watch(more(), MANY);
}

static void crowd_sigio(void)
{
	int fd;

	signal(SIGIO, SIG_IGN);
	must(setpgid(0, 0));
	for (int i = 0; i < GROUP; i++)
		if (!fork())
			for (;;)
				pause();
	for (int i = 0; i < MANY && (fd = more()) >= 0; i++) {
		must(fcntl(fd, F_SETOWN, -getpid()));
		if (fcntl(fd, F_SETFL, O_RDWR | O_ASYNC))
			break;
	}
}

static const struct kind {
	const char *name;
	void (*gather)(void);
} kinds[] = {
	{ "none", crowd_none },
	{ "busy", crowd_busy },
	{ "waiter", crowd_waiter },
	{ "eventfd", crowd_eventfd },
	{ "waiters", crowd_waiters },
	{ "bindings", crowd_bindings },
	{ "epolls", crowd_epolls },
	{ "sigio", crowd_sigio },
};

/* The user: gather the crowd, report that, then ring until killed. */
static void be_user(const struct kind *kind, int ready)
{
	struct rlimit files = { 2 * MANY, 2 * MANY };
	uint32_t id;
	int fd;

	must(setrlimit(RLIMIT_NOFILE, &files));
	must(setpgid(0, 0));
	must(setgroups(0, NULL));
	must(setgid(USER));
	must(setuid(USER));
	fd = must(more());
	id = dev_info(fd).id;
	kind->gather();
	must(write(ready, "", 1));
	for (;;) {
		dev_ring(fd, id, ATTACKED);
		usleep(PAUSE_US);
	}
}

static void trace(const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), TRACING "%s", file);
	must(file_write(path, text) ? -1 : 0);
}

/*
 * The 90th percentile, in µs, of the time from irq_handler_entry of our interrupts to the
 * exit on the same processor. The longest say nothing: the virtual processors run in turns,
 * and a turn may end in the middle.
 */
static double handler_p90(void)
{
	static int64_t samples[100000];
	double entry[8] = { 0 }, now;
	size_t count = 0;
	FILE *file = fopen(TRACING "trace", "re");
	char line[512], what[64];
	unsigned int cpu;

	while (file && fgets(line, sizeof(line), file)) {
		char *at = strchr(line, '[');

		if (line[0] == '#' || !at ||
		    sscanf(at, "[%u] %*s %lf: %63[^:]", &cpu, &now, what) != 3 || cpu > 7)
			continue;
		if (!strcmp(what, "irq_handler_entry") && strstr(line, "ivshmem"))
			entry[cpu] = now;
		if (!strcmp(what, "irq_handler_exit") && entry[cpu]) {
			if (count < sizeof(samples) / sizeof(*samples))
				samples[count++] = (now - entry[cpu]) * 1e6;
			entry[cpu] = 0;
		}
	}
	if (file)
		fclose(file);
	if (!count)
		tap_bail("the trace has no interrupt of the driver");
	return bench_quantile(samples, count, 0.9);
}

/* Ring this process's own doorbell and wait for it; report the times unless @traced. */
static void measure(int fd, bool traced)
{
	static int64_t samples[ROUNDS];
	uint32_t id = dev_info(fd).id;

	for (int i = 0; i < ROUNDS; i++) {
		struct ivshmem_wait w = { .vector = QUIET, .timeout_ns = 10 * SECOND };
		int64_t start = now_ns();

		must(dev_ring_wait(fd, id, QUIET, &w));
		samples[i] = now_ns() - start;
		usleep(PAUSE_US);
	}
	if (traced)
		return;
	bench_value("p50", bench_quantile(samples, ROUNDS, 0.5) / 1e3);
	bench_value("p99", bench_quantile(samples, ROUNDS, 0.99) / 1e3);
}

int main(int argc, char **argv)
{
	const struct kind *kind = kinds, *end = kinds + sizeof(kinds) / sizeof(*kinds);
	int ready[2], fd;
	char byte;
	pid_t pid;

	while (kind < end && argc == 2 && strcmp(kind->name, argv[1]))
		kind++;
	if (argc != 2 || kind == end)
		tap_bail("usage: crowd none|busy|waiter|eventfd|waiters|bindings|epolls|sigio");
	must(chmod(RIG_DEVICE, 0666));
	fd = dev_open();
	must(pipe2(ready, O_CLOEXEC));
	pid = must(fork());
	if (!pid)
		be_user(kind, ready[1]);
	must(read(ready[0], &byte, 1) - 1);
	measure(fd, false);
	close(must(open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC)));
	trace("events/irq/irq_handler_entry/enable", "1");
	trace("events/irq/irq_handler_exit/enable", "1");
	measure(fd, true);
	trace("events/irq/enable", "0");
	bench_value("handler", handler_p90());
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
