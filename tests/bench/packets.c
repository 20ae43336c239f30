// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure how many UDP packets of one size reach a process in guest 1 per second, when one in
 * guest 0 sends as many as it can.
 *
 *	packets SIZE MILLISECONDS ADDRESS
 *
 * ADDRESS is that of guest 1.
 */
#include "net.h"

#define LARGEST 65507

static char data[LARGEST];

static void send_packets(int fd, const struct sockaddr_in *to, size_t size, int64_t duration)
{
	int64_t start = now_ns();
	uint64_t sent = 0;

	must(connect(fd, (const struct sockaddr *)to, sizeof(*to)));
	do {
		for (int i = 0; i < 16; i++)
			if (send(fd, data, size, 0) < 0 && errno != ENOBUFS)
				tap_bail("send: %s", strerror(errno));
		sent += 16;
	} while (now_ns() - start < duration);
	bench_value("sent", sent);
}

/* Until none has come for a second. */
static void count_packets(int fd, int64_t duration)
{
	struct timeval patience = { .tv_sec = 1 };
	int64_t first = 0, last = 0;
	uint64_t received = 0;

	must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	while (recv(fd, data, sizeof(data), 0) >= 0) {
		last = now_ns();
		if (!received++)
			first = last;
	}
	if (errno != EAGAIN)
		tap_bail("recv: %s", strerror(errno));
	if (last <= first)
		tap_bail("%llu packets have arrived", (unsigned long long)received);
	/* What a queue gives out after a pause shall not count as a burst. */
	if (last - first < duration)
		last = first + duration;
	bench_value("received", received);
	bench_value("rate", received * 1e9 / (last - first));
}

int main(int argc, char **argv)
{
	struct sockaddr_in in;
	int64_t duration;
	size_t size;
	int me, fd;

	if (argc < 4)
		tap_bail("usage: packets SIZE MILLISECONDS ADDRESS");
	me = rig_guest();
	size = strtoul(argv[1], NULL, 0);
	if (size > LARGEST)
		tap_bail("%zu bytes are more than a packet holds", size);
	duration = atoll(argv[2]) * 1000000;
	in = net_address(me ? NULL : argv[3]);
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	if (me)
		must(bind(fd, (struct sockaddr *)&in, sizeof(in)));
	rig_ask("barrier bound");
	if (me)
		count_packets(fd, duration);
	else
		send_packets(fd, &in, size, duration);
	rig_ask("barrier done");
	return 0;
}
