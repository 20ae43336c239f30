#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# iperf3 between two guests: TCP one way, the other, both at once, and 16 streams; UDP with large
# and with small packets. Whether bytes arrive is asked here; whether they are the ones that were
# sent, in net_files.sh.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 over=pci,polled timeout=180
. /tests/lib.sh
. /tests/net.sh

me=$((RIG_GUEST + 1))
net_make
net=$(net_name 0)
net_up "$net" "10.0.0.$me/24" "fd00::$me/64"
tap_ok "the other guest answers" pings 10.0.0.$((3 - me))
tap_ok "and by IPv6" pings fd00::$((3 - me))
[ "$me" = 2 ] && iperf3 --server --daemon
rig_ask barrier listens

if [ "$me" = 1 ]; then
	there=10.0.0.2
	tap_ok "TCP there" net_flow $there -t 1
	tap_ok "TCP back" net_flow $there -t 1 --reverse
	tap_ok "TCP both ways" net_flow $there -t 1 --bidir
	tap_ok "16 streams" net_flow $there -t 2 --parallel 16
	tap_ok "16 streams both ways, by IPv6" net_flow fd00::2 -t 2 --parallel 16 --bidir
	tap_ok "UDP, packets of 1400 bytes" net_flow $there -t 1 --udp -b 10M -l 1400
	tap_ok "UDP, packets of 64 bytes" net_flow $there -t 1 --udp -b 0 -l 64
	tap_ok "UDP, packets of 60,000 bytes, both ways" \
		net_flow $there -t 1 --udp -b 10M -l 60000 --bidir
	for offload in tso gso gro; do
		ethtool -K "$net" $offload off
	done
	tap_ok "TCP without offloads" net_flow $there -t 1 --bidir
	for offload in tso gso gro; do
		ethtool -K "$net" $offload on
	done
fi
net_done
