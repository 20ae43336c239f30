// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of nodes (tests/sample) that rings itself without end, by polled doorbells, while its
 * device is unplugged.
 */
/* rig: alone=yes turns=yes devices=none timeout=400 */
#include "module.h"
#include "peers.h"
#include "samples.h"

/* What rings before this machine has its slot is lost. */
static bool has_slot(void)
{
	struct peers seen;
	int fd = dev_open();
	bool ret = peers_become(fd, &seen, 1);

	close(fd);
	return ret;
}

int main(void)
{
	const int cycles = rig_cycles(10);
	int missing = 0, idle = 0, left = 0, farewells = 0;

	tap_eq(sample_load(), 0, "the sample loads");
	for (int i = 0; i < cycles; i++) {
		rig_ask("plug plain hot 1M");
		missing += !file_comes(RIG_DEVICE, true);
		sample_label(4);
		missing += file_write(LABEL_RESCAN, "1") || !has_slot();
		missing += sample_take() != 0;
		idle += !echoes_go_on();
		rig_ask("unplug hot");
		left += !file_comes(NODE "type", false);
		farewells += sample_count("farewells") == i + 1;
	}
	tap_eq(missing, 0, "the sample gets the node each of %d times", cycles);
	tap_eq(idle, 0, "and rings itself");
	tap_eq(left, 0, "the node disappears each time");
	tap_eq(farewells, cycles, "and the sample was told before");
	tap_eq(system("rmmod ivshmem_sample"), 0, "the sample unloads");
	module_clean();
	return tap_done();
}
