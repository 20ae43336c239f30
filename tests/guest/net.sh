#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Ethernet over shared memory between two guests: packets of all sizes, streams, VLANs, and an
# interface that goes down and comes up.
# rig: guests=2 devices=doorbell vectors=4 size=16M over=pci,polled modules=8021q timeout=120
. /tests/lib.sh

other=$((2 - RIG_GUEST))

# What is sent, which both have.
cat /bin/busybox /bin/ivshmemctl /bin/busybox >/tmp/sent

segment_make --ports 4
segment_load
tap_eq "it has no carrier while it is down" "$(cat /sys/class/net/ivs0/carrier 2>/dev/null)" ""
segment_up
tap_ok "it gets a carrier" segment_carrier
tap_eq "the address is one of the segment" \
	"$(cut -d: -f1,6 /sys/class/net/ivs0/address | tr -d 0)" "2:$(sed -n 's/ .*self.*//p' \
	/sys/class/ivshmem/ivshmem0/peers | tr -d 0)"
segment_sizes 10.9.0.$other
segment_sizes fd09::$other
segment_stream tcp 1 0 /tmp/sent
rig_ask barrier small
echo 1000 >/proc/sys/net/core/busy_read
rig_ask barrier busy
segment_stream tcp-busy 0 1 /tmp/sent
tap_ok "ping with busy polling" pings -s 4000 10.9.0.$other
echo 0 >/proc/sys/net/core/busy_read
rig_ask barrier idle
ip link set ivs0 mtu 60000
tap_ok "ping with a large MTU" pings -s 59000 10.9.0.$other
segment_stream tcp-large 0 1 /tmp/sent
rig_ask barrier large
tap_ok "an MTU beyond the rings is refused" sh -c "! ip link set ivs0 mtu 65530 2>/dev/null"
ip link set ivs0 mtu 1500

ip link add link ivs0 name vlan7 type vlan id 7
ip link set vlan7 up
ip addr add 10.7.0.$((RIG_GUEST + 1))/24 dev vlan7
rig_ask barrier vlan
tap_ok "ping in a VLAN" pings -s 5000 10.7.0.$other
rig_ask barrier vlan-done
ip link delete vlan7

if [ "$RIG_GUEST" = 0 ]; then
	ip link set ivs0 down
	rig_ask barrier down
	rig_ask barrier seen
	segment_up
else
	rig_ask barrier down
	tap_ok "without a peer there is no carrier" segment_carrier 0
	rig_ask barrier seen
fi
tap_ok "it comes back" segment_carrier
tap_ok "ping again" pings 10.9.0.$other
rig_ask barrier end
tap_ok "the driver unloads" rmmod ivshmem_net
rmmod ivshmem_rings
tap_done
