// SPDX-License-Identifier: GPL-2.0-only
/* One of two machines with a network sleeps (S3). Awake again, it reaches the other one. */
/* rig: guests=2 alone=yes turns=yes devices=doorbell vectors=4 size=16M timeout=180 */
#include "rig.h"
#include "segment.h"

int main(void)
{
	if (!rig_can_sleep()) {
		tap_skip("suspend", "this machine or kernel has no S3");
		return tap_done();
	}
	segment_make();
	segment_load();
	tap_ok(segment_reaches(!rig_guest()), "ping");
	rig_ask("barrier reached");
	if (rig_guest())
		tap_eq(rig_sleep(), 0, "the machine sleeps, and wakes");
	rig_ask("barrier awake");
	tap_ok(segment_reaches(!rig_guest()), "ping again");
	rig_ask("barrier over");
	segment_unload();
	return tap_done();
}
