#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# Pings of all sizes between two guests, at once in both directions, with the usual MTU and with
# larger ones; a flood of them; and multicast.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 timeout=180
. /tests/lib.sh
. /tests/net.sh

me=$((RIG_GUEST + 1))
net_make
net=$(net_name 0)
net_up "$net" "10.0.0.$me/24" "fd00::$me/64"
other=10.0.0.$((3 - me))
other6=fd00::$((3 - me))
tap_ok "the other guest answers" pings $other
tap_ok "and by IPv6" pings $other6
rig_ask barrier reached

for size in 0 1 17 18 19 64 1472 1473 4096 16384 65000; do
	tap_ok "$size bytes return" net_pings -s $size $other
done
tap_ok "65000 bytes return by IPv6" net_pings -s 65000 $other6
tap_ok "a flood of 1000 returns" net_flood -c 1000 $other
tap_ok "a flood of 200 in pieces returns" net_flood -c 200 -s 20000 $other

tap_ok "a multicast is answered" pings -L ff02::1%"$net"
rig_ask barrier usual

largest=$(net_largest "$net")
for mtu in 9000 "$largest"; do
	tap_ok "the MTU becomes $mtu" ip link set "$net" mtu "$mtu"
	net_up "$net" "10.0.0.$me/24"
	rig_ask barrier "$mtu"
	tap_ok "and the other guest answers" pings $other
	# 65,507 bytes are the most that ping sends.
	size=$((mtu - 28 > 65507 ? 65507 : mtu - 28))
	tap_ok "$size bytes return in one frame" net_pings -M "do" -s $size $other
	tap_ok "and small ones" net_flood -c 100 $other
	rig_ask barrier pinged
done
ip link set "$net" mtu 1500
net_done
