// SPDX-License-Identifier: GPL-2.0-only
/*
 * Count the instructions that each of two guests executes for a packet, or for a KiB of a stream.
 * Their time stamp counters count instructions (QEMU's -icount shift=0), and each has one
 * processor.
 *
 *	cost SIZE ADDRESS	UDP packets of this size, from guest 0 to guest 1
 *	cost stream ADDRESS	TCP, by writes of 64 KiB
 *
 * A second process, of the lowest priority, counts how often it gets round its loop. What the
 * processor does not spend there, it spends for packets: interrupts, softirqs, system calls and
 * switches of tasks alike. How long a round takes is measured before, so the tick of the timer is
 * in it.
 */
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <x86intrin.h>

#include "net.h"

#define CALM	100000000	/* instructions in which the loop is measured */
#define WINDOW	32		/* packets, then an answer */
#define PACKETS	2048
#define PIECE	(64 << 10)
#define BYTES	(16 << 20)

/* What has been counted until now: by the processor, and by the second process. */
struct count {
	uint64_t instructions;
	uint64_t rounds;
};

static char data[PIECE];
static volatile uint64_t *rounds;
static double per_round;	/* instructions */

static struct count count_now(void)
{
	return (struct count){ .instructions = __rdtsc(), .rounds = *rounds };
}

/* Begin the second process, and learn how long a round takes. */
static pid_t start_loop(void)
{
	struct sched_param lowest = { 0 };
	struct timespec calm = { .tv_nsec = CALM };
	struct count from, to;
	pid_t pid;

	rounds = mmap(NULL, sizeof(*rounds), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	pid = must(fork());
	if (!pid) {
		must(prctl(PR_SET_PDEATHSIG, SIGKILL));
		must(sched_setscheduler(0, SCHED_IDLE, &lowest));
		for (;;)
			++*rounds;
	}
	from = count_now();
	must(nanosleep(&calm, NULL));
	to = count_now();
	if (to.rounds == from.rounds)
		tap_bail("the loop does not run");
	per_round = (double)(to.instructions - from.instructions) / (to.rounds - from.rounds);
	return pid;
}

/* The instructions since @from that were not the loop's. */
static double spent_since(struct count from)
{
	struct count to = count_now();

	return to.instructions - from.instructions - (to.rounds - from.rounds) * per_round;
}

static double count_packets(int me, int fd, size_t size)
{
	struct count from = count_now();

	for (int i = 1; i <= PACKETS; i++) {
		if (me)
			must(recv(fd, data, size, 0));
		else
			must(send(fd, data, size, 0));
		if (i % WINDOW == 0 && me)
			must(send(fd, data, 1, 0));
		else if (i % WINDOW == 0)
			must(recv(fd, data, 1, 0));
	}
	return spent_since(from) / PACKETS;
}

static double count_stream(int me, int fd)
{
	struct count from = count_now();
	size_t n;

	for (n = 0; n < BYTES; n += me ? must(read(fd, data, PIECE)) : must(write(fd, data, PIECE)))
		;
	if (me)
		must(write(fd, data, 1));
	else
		must(read(fd, data, 1));
	return spent_since(from) / (BYTES >> 10);
}

/* Two sockets that know each other; the first packet tells guest 1 who the other is. */
static int connect_udp(int me, const char *host)
{
	struct sockaddr_in in = net_address(me ? NULL : host);
	socklen_t length = sizeof(in);
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	if (me)
		must(bind(fd, (struct sockaddr *)&in, sizeof(in)));
	rig_ask("barrier bound");
	if (me)
		must(recvfrom(fd, data, 1, 0, (struct sockaddr *)&in, &length));
	must(connect(fd, (struct sockaddr *)&in, sizeof(in)));
	if (!me)
		must(send(fd, data, 1, 0));
	return fd;
}

int main(int argc, char **argv)
{
	const char *key;
	double spent;
	pid_t loop;
	int me, fd;

	if (argc != 3)
		tap_bail("usage: cost SIZE|stream ADDRESS");
	me = rig_guest();
	key = me ? "receive" : "transmit";
	loop = start_loop();
	if (!strcmp(argv[1], "stream")) {
		fd = net_tcp(me, argv[2]);
		rig_ask("barrier ready");
		spent = count_stream(me, fd);
	} else {
		fd = connect_udp(me, argv[2]);
		rig_ask("barrier ready");
		spent = count_packets(me, fd, strtoul(argv[1], NULL, 0));
	}
	bench_value(key, spent);
	rig_ask("barrier done");
	kill(loop, SIGKILL);
	waitpid(loop, NULL, 0);
	return 0;
}
