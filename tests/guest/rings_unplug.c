// SPDX-License-Identifier: GPL-2.0-only
/*
 * QEMU takes the device of guest 0 away and gives it back, under pings, TCP and connections by
 * vsock: the interface goes and comes back, connections by vsock end at both ends, and guest 1
 * keeps its own device.
 */
/* rig: guests=2 newqemu=yes alone=yes smp=1 devices=server size=16M timeout=300
 * rig: modules=vmw_vsock_virtio_transport_common
 */
#include "labels.h"
#include "vsock.h"

static void plug(void)
{
	rig_ask("plug doorbell hot 4");
	tap_ok(file_comes(RIG_DEVICE, true), "the device comes");
}

static void lay_out(void)
{
	if (!rig_guest()) {
		tap_eq(sh("export IVSHMEM_DEVICE=/dev/ivshmem0; ivshmemctl format --force --peers 4 &&"
			  "ivshmemctl partition add vsock 6M --type vsock &&"
			  "ivshmemctl partition add net 6M --type net"), 0, "lay it out");
	}
	rig_ask("barrier laid_out");
	tap_eq(file_write(LABEL_RESCAN, "1"), 0, "rescan");
}

/* Pings and TCP to the other guest without end. */
static void load(void)
{
	char command[200];

	snprintf(command, sizeof(command), "(while true; do nc -w 2 10.9.0.%d 9 </dev/zero;"
		 "ping -A -s 20000 -w 5 10.9.0.%d; sleep 0.1; done) &"
		 "(while true; do nc -l -p 9 </dev/null; done) &",
		 2 - rig_guest(), 2 - rig_guest());
	tap_eq(sh(command), 0, "start pings and TCP");
}

static void reaches(void)
{
	const int other = 1 - rig_guest();

	tap_ok(segment_reaches(other), "the other guest answers to a ping");
	tap_ok(vsock_reaches(other), "and by vsock");
	rig_ask("barrier reached");
}

/* The other guest's end, or the own. */
static int expect_reset(int fd)
{
	char word[sizeof(VSOCK_GREETING)];
	int ret = vsock_receive(fd, word, sizeof(VSOCK_GREETING));

	close(fd);
	return ret;
}

int main(void)
{
	const int cycles = rig_cycles(5);
	int fd;

	sethostname(rig_guest() ? "guest1" : "guest0", 6);
	plug();
	lay_out();
	vsock_load();
	segment_load();
	vsock_serve();
	rig_ask("barrier served");
	reaches();
	load();
	for (int i = 0; i < cycles; i++) {
		fd = vsock_connect(SOCK_STREAM, vsock_cid(1 - rig_guest()), VSOCK_HOLD);
		tap_ok(fd >= 0, "connect (%d)", fd);
		rig_ask("barrier connected");
		if (!rig_guest()) {
			rig_ask("unplug hot");
			tap_ok(file_comes("/sys/class/net/ivs0", false), "the interface goes");
			tap_ok(file_comes(RIG_DEVICE, false), "the device goes");
		}
		tap_eq(expect_reset(fd), -ECONNRESET, "the connection ends");
		rig_ask("barrier reset");
		if (!rig_guest()) {
			plug();
			tap_ok(file_comes("/sys/class/net/ivs0", true), "the interface comes");
			tap_eq(sh("ip link set ivs0 up; ip addr add 10.9.0.1/24 dev ivs0"), 0,
			       "it has an address");
		}
		reaches();
	}
	vsock_end();
	if (!rig_guest())
		rig_ask("unplug hot");
	rig_ask("barrier end");
	if (!rig_guest())
		return tap_done();
	/* QEMU (11.1) does not survive that a device goes whose peers have gone before. */
	tap_done();
	rig_ask("kill");
}
