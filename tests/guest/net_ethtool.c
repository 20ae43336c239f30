// SPDX-License-Identifier: GPL-2.0-only
/* What ethtool shows of a network interface, and what it can change. */
/* rig: devices=plain size=16M */
#include "ethtool.h"
#include "segment.h"

#define PORTS 4

static void test_identity(void)
{
	struct ethtool_drvinfo info = { .cmd = ETHTOOL_GDRVINFO };
	struct ethtool_value link = { .cmd = ETHTOOL_GLINK, .data = 7 };
	struct ethtool_channels channels = { .cmd = ETHTOOL_GCHANNELS };

	tap_eq(ethtool("ivs0", &info), 0, "-i");
	tap_ok(!strcmp(info.driver, "ivshmem_net"), "driver: %s", info.driver);
	tap_ok(!strcmp(info.bus_info, "ivshmem0p1"), "bus: %s", info.bus_info);
	tap_eq(ethtool("ivs0", &link), 0, "link");
	tap_eq(link.data, 0, "there is none");
	tap_eq(ethtool("ivs0", &channels), 0, "-l");
	tap_eq(channels.tx_count, PORTS + 1, "a queue for each port and one for all");
	tap_eq(channels.rx_count, 2, "a context for each vector");
}

static void test_counters(void)
{
	tap_ok(ethtool_counters("ivs0") > 10 * PORTS, "-S: %u counters", ethtool_counters("ivs0"));
	tap_eq(ethtool_sum("ivs0", "port3_"), 0, "nothing came from a port that is not there");
	tap_eq(ethtool_sum("ivs0", "port4_"), 0, "there is no further one");
}

static void test_rings(void)
{
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_GRINGPARAM };
	__u32 all;

	tap_eq(ethtool("ivs0", &ring), 0, "-g");
	all = ring.tx_pending;
	tap_ok(all >= 16 && ring.tx_max_pending == all && ring.rx_pending == all,
	       "%u frames, all of the rings", all);
	ring.cmd = ETHTOOL_SRINGPARAM;
	ring.tx_pending = 32;
	tap_eq(ethtool("ivs0", &ring), 0, "-G: 32 of the own rings");
	ring.tx_pending = 15;
	tap_eq(ethtool("ivs0", &ring), -EINVAL, "15 are too few");
	ring.tx_pending = all + 1;
	tap_eq(ethtool("ivs0", &ring), -EINVAL, "more than there are");
	ring.tx_pending = all;
	ring.rx_pending = all / 2;
	tap_eq(ethtool("ivs0", &ring), -EINVAL, "the peers' rings are as they are");
	ring.cmd = ETHTOOL_GRINGPARAM;
	tap_eq(ethtool("ivs0", &ring), 0, "-g again");
	tap_eq(ring.tx_pending, 32, "what was refused changes nothing");
}

static void test_interrupts(void)
{
	struct ethtool_coalesce coalesce = { .cmd = ETHTOOL_GCOALESCE };

	tap_eq(ethtool("ivs0", &coalesce), 0, "-c");
	tap_eq(coalesce.rx_max_coalesced_frames, 1, "the first frame rings");
	tap_eq(coalesce.rx_coalesce_usecs, 0, "at once");
	coalesce.cmd = ETHTOOL_SCOALESCE;
	tap_eq(ethtool("ivs0", &coalesce), -EOPNOTSUPP, "-C: there is nothing to set");
}

int main(void)
{
	segment_make();
	segment_load();
	test_identity();
	test_counters();
	test_rings();
	test_interrupts();
	segment_unload();
	return tap_done();
}
