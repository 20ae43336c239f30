#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# Two segments and a guest between them: first it is a bridge, also for VLANs; then a router that
# translates addresses and drops what nftables says. Frames then have addresses that are none of
# a guest's own, and what one interface has put together leaves through the other.
# rig: guests=3 nets=2 devices=doorbell vectors=4 size=32M smp=1 timeout=180
. /tests/lib.sh
. /tests/net.sh
net_needs nf_tables nft_masq

me=$((RIG_GUEST + 1))

# through ADDRESS: the third guest at an address answers the first one, whatever the size
through() {
	tap_ok "$1 answers" pings "$1"
	for size in 0 64 1472 20000; do
		tap_ok "$size bytes return from $1" net_pings -s $size "$1"
	done
	tap_ok "TCP there, to $1" net_flow "$1" -t 1
	tap_ok "TCP back" net_flow "$1" -t 1 --reverse
	tap_ok "4 streams both ways" net_flow "$1" -t 1 --bidir --parallel 4
}

# vlan INTERFACE ADDRESS: the same, with tag 10
vlan() {
	ip link add link "$1" name tagged type vlan id 10
	net_up tagged "$2"
}

net_make 2
left=$(net_name 0)
right=$(net_name 1)
case $me in
1) net_up "$left" 10.0.0.1/24 && vlan "$left" 10.0.1.1/24 ;;
2)
	ip link add between type bridge
	for net in "$left" "$right"; do
		ip link set "$net" up
		ip link set "$net" master between
	done
	ip link set between up
	;;
3)
	net_up "$right" 10.0.0.3/24 && vlan "$right" 10.0.1.3/24
	iperf3 --server --daemon --logfile /tmp/server --forceflush
	;;
esac
rig_ask barrier bridged
if [ "$me" = 1 ]; then
	through 10.0.0.3
	through 10.0.1.3
fi
rig_ask barrier through

case $me in
1)
	ip link del tagged
	net_up "$left" 10.0.2.1/24
	ip route add 10.0.3.0/24 via 10.0.2.2
	;;
2)
	tap_ok "the bridge knows both guests" \
		[ "$(bridge fdb show br between | grep -v permanent | grep -c 'master between')" -ge 2 ]
	ip link del between
	net_up "$left" 10.0.2.2/24
	net_up "$right" 10.0.3.2/24
	echo 1 >/proc/sys/net/ipv4/ip_forward
	tap_ok "nftables takes the rules" nft "
		table ip between {
			chain forward {
				type filter hook forward priority filter; policy accept;
				tcp dport 4444 counter drop
			}
			chain postrouting {
				type nat hook postrouting priority srcnat; policy accept;
				oifname $right masquerade
			}
		}"
	;;
3)
	ip link del tagged
	net_up "$right" 10.0.3.3/24
	nc -l -p 4444 </dev/null >/dev/null 2>&1 &
	;;
esac
rig_ask barrier routed
if [ "$me" = 1 ]; then
	through 10.0.3.3
	tap_ok "the router drops what it shall" sh -c "! nc -w 3 10.0.3.3 4444 </dev/null"
fi
rig_ask barrier asked
case $me in
2)
	tap_ok "it has counted that" sh -c \
		"nft list chain ip between forward | grep -q 'counter packets [1-9]'"
	nft flush ruleset
	;;
3) tap_ok "it translates addresses" grep -q 'connection from 10.0.3.2,' /tmp/server ;;
esac
net_done
