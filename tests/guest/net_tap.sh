#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ivshmemctl net in two guests that have no driver for networks, beside a third that has: packets
# and streams between all of them, and both leave.
# rig: guests=3 devices=doorbell vectors=4 size=16M over=pci,polled modules=tun timeout=120
. /tests/lib.sh

DRIVER=2

segment_make --ports 4
if [ "$RIG_GUEST" = $DRIVER ]; then
	segment_load
else
	ivshmemctl net --tap ivs0 >/tmp/net 2>&1 &
	net=$!
	tap_ok "it gets a port" soon grep -q "joined, as ivs0, 02:" /tmp/net
fi
segment_up
rig_ask barrier joined
for other in 1 2 3; do
	[ $other != $((RIG_GUEST + 1)) ] || continue
	for size in 0 1472 9000 65000; do
		tap_ok "ping 10.9.0.$other, $size bytes" pings -s $size 10.9.0.$other
	done
done
cat /bin/busybox /bin/ivshmemctl >/tmp/sent
segment_stream between-tools 1 0 /tmp/sent
segment_stream to-driver 0 $DRIVER /tmp/sent
segment_stream from-driver $DRIVER 1 /tmp/sent
rig_ask barrier sent

if [ "$RIG_GUEST" = 0 ]; then
	kill -INT "$net"
	wait "$net"
	tap_ok "it sums up" grep -q "^frames: .* sent, .* received, " /tmp/net
	tap_ok "its interface is gone" sh -c "! ip link show ivs0 2>/dev/null"
elif [ "$RIG_GUEST" = 1 ]; then
	tap_ok "the other one goes down" soon grep -qx "port .: down" /tmp/net
	kill -INT "$net"
	wait "$net"
else
	tap_ok "without them there is no carrier" segment_carrier 0
fi
tap_done
