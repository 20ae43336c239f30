// SPDX-License-Identifier: GPL-2.0-only
/*
 * A peer that breaks the rules of the rings of a network: a program in guest 1 plays its port, and
 * says what no port would say. The others count it, and reach each other all the time. When its
 * guest loads the driver, that works as any other.
 */
/* rig: guests=3 devices=doorbell vectors=4 size=16M timeout=240 */
#include "attacker.h"
#include "ethtool.h"

#define FRAME 60	/* bytes, the least that is one of Ethernet */

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

static const struct attack attacks[] = {
	{ "frames to all that are none", attacker_far_broadcast, BROKEN },
	{ "a frame without a whole header", short_frame, WRONG_FRAME },
	{ "segments of a kind that is unknown", unknown_segments, WRONG_FRAME },
	{ 0 }
};

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
	int fd;

	segment_make();
	fd = dev_open();
	if (!hostile)
		segment_load();
	rig_ask("barrier loaded");
	if (hostile)
		attacker_run(fd, (struct attacker_frame){ frame, FRAME }, attacks);
	else
		attacker_bear(attacks, count, reaches);
	rig_ask("barrier over");
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
