// SPDX-License-Identifier: GPL-2.0-only
/*
 * The machine sleeps (S3). It does not beat then, and takes nobody for dead when it wakes. A
 * slot that was given to another one meanwhile is lost.
 */
/* rig: alone=yes turns=yes devices=plain,plain size=1M timeout=120 */
#include "peers.h"

#define SIZE (1UL << 20)

static struct ivshmem_label label;
static struct peers seen;

static int rescan(unsigned int device)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/ivshmem/devices/ivshmem%u/rescan", device);
	return file_write(path, "1");
}

int main(void)
{
	volatile struct ivshmem_peer_section *first;
	uint64_t owners[2], beat;
	char *region;
	int fd;

	if (!rig_can_sleep()) {
		tap_skip("suspend", "this machine or kernel has no S3");
		return tap_done();
	}
	fd = dev_open();
	region = dev_map(fd, SIZE);
	label = label_new(SIZE);
	label_add_peers(&label, 4, 1);
	label_store(region, &label);
	tap_eq(rescan(0) | rescan(1), 0, "a label");
	tap_ok(peers_become(fd, &seen, 2), "two peers");
	for (unsigned int i = 0; i < 2; i++)
		owners[i] = seen.at[i].owner;
	first = peers_section(region, &label, 0);
	tap_eq(rig_sleep(), 0, "the machine sleeps, and wakes");
	beat = first->heartbeat;
	tap_ok(peers_become(fd, &seen, 2) && seen.at[0].owner == owners[0] &&
	       seen.at[1].owner == owners[1], "both have their slots");
	sleep_ms(1000);
	tap_ok(first->heartbeat != beat, "a heart beats again");
	tap_eq(rig_sleep(), 0, "the machine sleeps once more, and wakes");
	first->owner = 0x5707e4;
	tap_ok(peers_become(fd, &seen, 3) && peers_become(fd, &seen, 2),
	       "who lost the slot has another one");
	tap_eq(first->owner, 0x5707e4, "and has left the other alone");
	return tap_done();
}
