// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer that breaks the rules of the rings of a network: a program in guest 1 plays its port, and
 * says what no port would say. The others count it, and reach each other all the time. When its
 * guest loads the driver, that works as any other.
 */
/* rig: guests=3 devices=doorbell vectors=4 size=16M smp=2 timeout=240 */
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "attacker.h"
#include "ethtool.h"

#define FRAME 60	/* bytes, the least that is one of Ethernet */
#define BURST 64	/* frames to the ports, before a pause */
#define PORTS 4		/* of the segment, see segment_make() */
#define STARTS 100	/* for each of those it attacks */

static const uint8_t frame[FRAME] = { 2 };

static void put(struct victim *v, uint32_t length, uint8_t gso_type)
{
	const uint8_t header[10] = { 0, gso_type, 0, 0, 1 };

	attacker_put(v, frame, length, header, sizeof(header));
	attacker_publish(v);
}

static void short_frame(struct victim *v)
{
	put(v, 13, 0);
}

static void unknown_segments(struct victim *v)
{
	put(v, FRAME, 0x7f);
}

/* Its ring is never empty then: it is being sent to all the time, and reads nothing. */
static void starts(struct victim *v)
{
	(void)v;
	for (int i = 0; i < STARTS; i++)
		attacker_come_up();
}

static const struct attack attacks[] = {
	{ "a port that starts again and again", starts, NOTHING },
	{ "frames to all that are none", attacker_far_broadcast, BROKEN },
	{ "a frame without a whole header", short_frame, WRONG_FRAME },
	{ "segments of a kind that is unknown", unknown_segments, WRONG_FRAME },
	{ 0 }
};

/* Send to all ports all the time, in a process of its own. */
static pid_t flood(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_ifindex = if_nametoindex("ivs0"),
		.sll_halen = ETH_ALEN,
	};
	struct ifreq own = { .ifr_name = "ivs0" };
	uint8_t to_port[FRAME] = { 0 };
	pid_t pid;

	if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &own))
		tap_bail("no address of the interface");
	pid = fork();
	if (pid) {
		close(fd);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memcpy(to_port, own.ifr_hwaddr.sa_data, ETH_ALEN);
	for (;; sleep_ms(1)) {
		for (int i = 0; i < BURST; i++) {
			to_port[ETH_ALEN - 1] = i % PORTS;
			sendto(fd, to_port, FRAME, MSG_DONTWAIT, (struct sockaddr *)&to,
			       sizeof(to));
		}
	}
}

static long long count(enum effect effect)
{
	return ethtool_sum("ivs0", effect == BROKEN ? "_broken" : "_rx_errors");
}

static bool reaches(void)
{
	return segment_reaches(2 - rig_guest());
}

int main(void)
{
	bool hostile = rig_guest() == 1;
	pid_t sender = 0;
	int fd;

	segment_make();
	fd = dev_open();
	if (!hostile) {
		segment_load();
		sender = flood();
	}
	rig_ask("barrier loaded");
	if (hostile)
		attacker_run(fd, (struct attacker_frame){ frame, FRAME }, attacks);
	else
		attacker_bear(attacks, count, reaches);
	rig_ask("barrier over");
	if (sender) {
		kill(sender, SIGKILL);
		waitpid(sender, NULL, 0);
	}
	if (hostile)
		segment_load();
	rig_ask("barrier healed");
	for (int guest = 0; guest < 3; guest++)
		if (guest != rig_guest())
			tap_ok(segment_reaches(guest), "in the end it reaches guest %d", guest);
	rig_ask("barrier end");
	close(fd);
	segment_unload();
	return tap_done();
}
