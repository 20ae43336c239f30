#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Three guests on one segment, each with a bridge between its interface and a namespace: addresses
# are learned, broadcasts reach everybody, and a stream goes to one alone.
# rig: guests=3 devices=doorbell vectors=4 size=16M modules=bridge,veth timeout=120
. /tests/lib.sh

# The other guests, by the last number of their addresses; those of namespaces are 10 higher.
others=$(seq 3 | grep -v $((RIG_GUEST + 1)))

# inside COMMAND...: run it in the namespace
inside() {
	nsenter -t $namespace -n "$@"
}

# apart: is it another one by now?
apart() {
	[ "$(readlink /proc/$namespace/ns/net)" != "$(readlink /proc/self/ns/net)" ]
}

segment_make --ports 4
segment_load
brctl addbr br0
brctl addif br0 ivs0
ip link set ivs0 up
segment_up br0
unshare -n sleep 1000 &
namespace=$!
ip link add outside type veth # the other end is veth0
soon apart
ip link set veth0 netns $namespace
brctl addif br0 outside
ip link set outside up
inside ip link set veth0 up
inside ip addr add 10.9.0.$((RIG_GUEST + 11))/24 dev veth0
rig_ask barrier up

for other in $others; do
	tap_ok "ping guest $other" pings -s 3000 10.9.0."$other"
	tap_ok "ping its namespace" pings -s 3000 10.9.0.1"$other"
	tap_ok "ping guest $other from the namespace" soon inside ping -c 1 -q 10.9.0."$other"
	tap_ok "from namespace to namespace" soon inside ping -c 1 -q 10.9.0.1"$other"
done
rig_ask barrier pinged

cat /bin/busybox /bin/ivshmemctl >/tmp/sent
segment_stream stream 0 1 /tmp/sent
if [ "$RIG_GUEST" = 2 ]; then
	tap_ok "others get little of it" \
		[ "$(cat /sys/class/net/ivs0/statistics/rx_bytes)" -lt 500000 ]
fi
rig_ask barrier end
kill $namespace
tap_done
