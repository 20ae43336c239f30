// SPDX-License-Identifier: GPL-2.0-only
/* A network between the guests of a test: see segment.h. */
#include "../rig.h"
#include "../labels.h"
#include "../segment.h"

int sh(const char *command)
{
	char line[256];

	snprintf(line, sizeof(line), "( %s ) >/dev/null 2>&1", command);
	return system(line);
}

void segment_make(void)
{
	if (!rig_guest())
		tap_eq(sh("ivshmemctl format --force --net --ports 4 --device /dev/ivshmem0"), 0,
		       "lay out a network");
	rig_ask("barrier segment");
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "rescan");
}

void segment_load(void)
{
	char address[80];

	snprintf(address, sizeof(address), "ip link set ivs0 up; ip addr add 10.9.0.%d/24 dev ivs0",
		 rig_guest() + 1);
	tap_eq(sh("insmod /lib/ivshmem_rings.ko; insmod /lib/ivshmem_net.ko"), 0,
	       "the driver loads");
	tap_ok(file_comes("/sys/class/net/ivs0", true), "there is an interface");
	tap_eq(sh(address), 0, "it has an address");
}

bool segment_reaches(int guest)
{
	char ping[80];

	snprintf(ping, sizeof(ping), "ping -c 1 -W 2 -s 3000 10.9.0.%d", guest + 1);
	for (int i = 0; i < 30; i++)
		if (!sh(ping))
			return true;
	return false;
}

void segment_unload(void)
{
	tap_eq(sh("rmmod ivshmem_net && rmmod ivshmem_rings"), 0, "the driver unloads");
}
