#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# The first of three guests sends to both others as fast as it can, and one of these is killed:
# what goes to the other one goes on.
# rig: guests=3 nets=1 devices=doorbell vectors=4 size=32M smp=1 timeout=120
. /tests/lib.sh
. /tests/net.sh

# loaded: has this guest received many packets?
loaded() {
	[ "$(cat /sys/class/net/"$net"/statistics/rx_packets)" -gt 1000 ]
}

# few_to_all: has the interface sent little to all, as for ARP?
few_to_all() {
	ethtool -S "$net" >/tmp/counters
	[ "$(sed -n 's/.*broadcast_tx_frames: //p' /tmp/counters)" -lt 1000 ]
}

me=$((RIG_GUEST + 1))
net_make
net=$(net_name 0)
net_up "$net" "10.0.0.$me/24"
case $me in
1)
	tap_ok "the second guest answers" pings 10.0.0.2
	tap_ok "and the third" pings 10.0.0.3
	rig_ask barrier listen
	iperf3 --client 10.0.0.3 -t 60 --parallel 2 >/dev/null 2>&1 &
	iperf3 --client 10.0.0.3 -t 60 --udp -b 0 -l 1400 -p 5202 >/dev/null 2>&1 &
	tap_ok "TCP goes on while a guest dies" net_flow 10.0.0.2 -t 10
	tap_ok "that one is gone" sh -c "! ping -q -c 2 -W 1 10.0.0.3 >/dev/null"
	tap_ok "pings return as before" net_flood -c 100 10.0.0.2
	tap_ok "and TCP both ways" net_flow 10.0.0.2 -t 1 --bidir -p 5202
	[ "${RIG_NET:-}" = virtio ] ||
		tap_ok "what was for the dead guest has not gone to all" few_to_all
	;;
2)
	iperf3 --server --one-off >/tmp/first &
	iperf3 --server --one-off -p 5202 >/tmp/second &
	rig_ask barrier listen
	wait
	tap_eq "both servers have received to the end" \
		"$(grep -l receiver /tmp/first /tmp/second | wc -l)" 2
	;;
3)
	iperf3 --server --daemon
	iperf3 --server --daemon -p 5202
	rig_ask barrier listen
	tap_ok "the guest is under load" soon loaded
	(tap_done)
	rig_ask kill
	;;
esac
tap_done
