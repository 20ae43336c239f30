#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ivshmemctl net in two guests that have no driver for networks: packets and a stream, and one that
# leaves.
# rig: guests=2 devices=doorbell vectors=4 size=16M over=pci,polled modules=tun timeout=120
. /tests/lib.sh

other=$((2 - RIG_GUEST))

# soon WORD...: wait until the command succeeds
soon() {
	timeout 60 sh -c 'until "$@" >/dev/null 2>&1; do sleep 0.1; done' sh "$@"
}

export IVSHMEM_DEVICE=/dev/ivshmem0
[ "$RIG_GUEST" != 0 ] || tap_ok "lay out a network" ivshmemctl format --force --net --ports 4
rig_ask barrier formatted
tap_ok "rescan" ivshmemctl rescan
ivshmemctl net --tap ivs0 >/tmp/net 2>&1 &
net=$!
tap_ok "it gets a port" soon grep -q "joined, as ivs0, 02:" /tmp/net
ip link set ivs0 up
ip addr add "10.9.0.$((RIG_GUEST + 1))/24" dev ivs0
tap_ok "the other one comes up" soon grep -qx "port .: up" /tmp/net
for size in 0 1472 9000 65000; do
	tap_ok "ping, $size bytes" soon ping -c 1 -W 2 -q -s $size 10.9.0.$other
done

cat /bin/busybox /bin/ivshmemctl >/tmp/sent
if [ "$RIG_GUEST" = 0 ]; then
	mkfifo /tmp/idle
	nc -l -p 5000 <>/tmp/idle >/tmp/got &
	receiver=$!
	soon grep -q ":1388 " /proc/net/tcp /proc/net/tcp6
	rig_ask barrier listens
	wait $receiver
	tap_ok "what was sent has come" cmp /tmp/sent /tmp/got
else
	rig_ask barrier listens
	tap_ok "send" sh -c "nc 10.9.0.1 5000 </tmp/sent"
fi
rig_ask barrier sent

if [ "$RIG_GUEST" = 0 ]; then
	kill -INT $net
	wait $net
	tap_ok "it sums up" grep -q "^frames: .* sent, .* received, " /tmp/net
	tap_ok "its interface is gone" sh -c "! ip link show ivs0 2>/dev/null"
else
	tap_ok "the other one goes down" soon grep -qx "port .: down" /tmp/net
	kill -INT $net
	wait $net
fi
tap_done
