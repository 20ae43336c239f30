// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure how fast many TCP connections at once carry data from guest 0 to guest 1.
 *
 *	flows NUMBER MILLISECONDS ADDRESS
 *
 * ADDRESS is that of guest 1.
 */
#include <pthread.h>

#include "net.h"

#define MOST 64
#define PIECE (64 << 10)

static int fds[MOST];
static uint64_t bytes[MOST];		/* that a connection has sent */
static int64_t deadline;

/* Send until the time is over; the receiver answers when it has all. */
static void *sender(void *argument)
{
	static char data[PIECE];
	int i = (intptr_t)argument;
	char byte;

	while (now_ns() < deadline)
		bytes[i] += must(write(fds[i], data, sizeof(data)));
	must(shutdown(fds[i], SHUT_WR));
	must(read(fds[i], &byte, 1));
	return NULL;
}

static void *receiver(void *argument)
{
	char *data = malloc(PIECE);
	int i = (intptr_t)argument;

	while (must(read(fds[i], data, PIECE)))
		;
	must(write(fds[i], "", 1));
	free(data);
	return NULL;
}

static void run(int n, void *(*work)(void *))
{
	pthread_t threads[MOST];

	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i))
			tap_bail("no thread");
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	uint64_t sum = 0;
	int64_t start;
	int me, n;

	if (argc < 4)
		tap_bail("usage: flows NUMBER MILLISECONDS ADDRESS");
	n = atoi(argv[1]);
	if (n < 1 || n > MOST)
		tap_bail("%d connections are none, or too many", n);
	me = rig_guest();
	net_tcp_many(me, argv[3], fds, n);
	rig_ask("barrier ready");
	start = now_ns();
	deadline = start + atoll(argv[2]) * 1000000;
	run(n, me ? receiver : sender);
	if (!me) {
		for (int i = 0; i < n; i++)
			sum += bytes[i];
		bench_value("mbps", sum * 1e3 / (now_ns() - start));
	}
	rig_ask("barrier done");
	return 0;
}
