#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The life of an interface under load: its device is reset, unbound and laid out anew, its driver
# unbound and unloaded, its guest stands still, and in the end dies. Each time the other guest sees
# it go and come back.
# rig: guests=2 devices=doorbell vectors=4 size=16M bridges=yes over=pci,polled timeout=240
. /tests/lib.sh

other=$((2 - RIG_GUEST))
pci=$(basename "$(readlink -f /sys/class/ivshmem/ivshmem0/device)")

# again_and_again COMMAND...
again_and_again() {
	while true; do
		"$@" >/dev/null 2>&1 </tmp/zero
		sleep 0.1
	done
}

# load: TCP and pings without end, also while there is no interface
load() {
	ln -s /dev/zero /tmp/zero
	again_and_again nc -l -p 9 &
	again_and_again nc -w 2 10.9.0.$other 9 &
	again_and_again ping -A -s 20000 -w 5 10.9.0.$other &
}

# again: the interface is a new one
again() {
	tap_ok "$1: the interface comes back" soon test -d /sys/class/net/ivs0
	segment_up
	works "$1"
}

# works: both guests reach each other
works() {
	tap_ok "$1: there is a carrier" segment_carrier
	tap_ok "$1: ping" pings -s 4000 10.9.0.$other
	rig_ask barrier "works"
}

# rebind DRIVER DEVICE: take the device from its driver, and give it back
rebind() {
	echo "$2" >"$1/unbind"
	echo "$2" >"$1/bind"
}

segment_make --ports 4
segment_load
segment_up
works "at first"
load

for round in 1 2; do
	if [ "$RIG_GUEST" = 0 ]; then
		ip link set ivs0 down
		segment_up
		works "down and up, $round"
		echo 1 >/sys/bus/pci/devices/"$pci"/reset
		works "reset, $round"
		rebind /sys/bus/ivshmem/drivers/ivshmem_net ivshmem0p1
		again "driver unbound, $round"
		rebind /sys/bus/pci/drivers/ivshmem "$pci"
		again "device unbound, $round"
		rmmod ivshmem_net
		insmod /lib/ivshmem_net.ko
		again "driver unloaded, $round"
		works "the other stood still, $round"
	else
		for what in "down and up" reset "driver unbound" "device unbound" "driver unloaded"; do
			works "other: $what, $round"
		done
		rig_ask freeze 2
		works "stood still, $round"
	fi
	[ "$RIG_GUEST" = 0 ] || tap_ok "packets were sent all the time" \
		[ "$(cat /sys/class/net/ivs0/statistics/tx_packets)" -gt 100 ]
	rig_ask barrier round
	[ "$RIG_GUEST" != 0 ] || tap_ok "lay it out anew" ivshmemctl format --force --net --ports 3
	rig_ask barrier anew
	tap_ok "rescan" ivshmemctl rescan
	again "laid out anew, $round"
done

tap_ok "nothing was received that is wrong" \
	[ "$(cat /sys/class/net/ivs0/statistics/rx_frame_errors)" = 0 ]
if [ "$RIG_GUEST" = 0 ]; then
	tap_ok "the other guest dies: no carrier" segment_carrier 0
	tap_ok "the driver can be unloaded" rmmod ivshmem_net
	tap_done
fi
(tap_done)
rig_ask kill
