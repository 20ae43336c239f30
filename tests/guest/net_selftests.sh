#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# The kernel's own tests of what carries packets, between two guests: checksums that the interface
# is to compute or says to have checked, receive offload, segments of UDP, and zero-copy sends.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 timeout=300
. /tests/lib.sh
. /tests/net.sh

me=$((RIG_GUEST + 1))

# sends COMMAND...: what it says is shown if it fails
sends() {
	"$@" >/tmp/sender 2>&1 && return
	sed 's/^/# /' /tmp/sender
	false
}

# between NAME RECEIVER -- SENDER: run a program in guest 0, and then one in guest 1
between() {
	between_name=$1
	shift
	between_receiver=
	while [ "$1" != -- ]; do
		between_receiver="$between_receiver $1"
		shift
	done
	shift
	if [ "$RIG_GUEST" = 0 ]; then
		$between_receiver >/tmp/receiver 2>&1 &
		between_pid=$!
		sleep 1
		rig_ask barrier ready
		wait $between_pid && between_failed= || between_failed=yes
		tap_ok "$between_name: receive" [ ! "$between_failed" ]
		[ ! "$between_failed" ] || sed 's/^/# /' /tmp/receiver
	else
		rig_ask barrier ready
		tap_ok "$between_name: send" sends "$@"
	fi
	rig_ask barrier "over"
}

# checksums FAMILY FROM TO: packets with right ones and wrong ones, which the sender has computed.
# Those that an interface is to compute are never computed between guests, so csum passes them over.
checksums() {
	for kind in "-u" "-t" "-u -E" "-t -E"; do
		# shellcheck disable=SC2086 # words
		between "csum -$1 $kind" csum -i "$net" "-$1" $kind -S "$2" -D "$3" -n 20 -R -L 3 -- \
			csum -i "$net" "-$1" $kind -S "$2" -D "$3" -n 20 -T
	done
}

# mac GUEST: the address of its interface
mac() {
	if [ "$1" = "$RIG_GUEST" ]; then
		cat "/sys/class/net/$net/address"
	else
		ip neigh show to "10.0.0.$(($1 + 1))" dev "$net" | sed 's/.*lladdr \([0-9a-f:]*\).*/\1/'
	fi
}

# offload FAMILY: what is to be put together on arrival, and what is not
offload() {
	for kind in data ack flags tcp ip; do
		between "gro $1 $kind" gro "--$1" --dmac "$(mac 0)" --smac "$(mac 1)" --test $kind \
			--rx --iface "$net" -- \
			gro "--$1" --dmac "$(mac 0)" --smac "$(mac 1)" --test $kind --iface "$net"
	done
}

# segments_come: it goes on until it is stopped, and says each second what has come
segments_come() {
	timeout 6 udpgso_bench_rx
	grep -q 'udp rx' /tmp/receiver
}

if [ ! -x /bin/csum ]; then
	tap_skip "the kernel's own tests" "its source is not there; KERNEL=kasan and kcsan have it"
	tap_done
	exit
fi
net_make
net=$(net_name 0)
net_up "$net" "10.0.0.$me/24" "fd00::$me/64"
tap_ok "the other guest answers" pings "10.0.0.$((3 - me))"
rig_ask barrier reached

checksums 4 10.0.0.2 10.0.0.1
checksums 6 fd00::2 fd00::1
echo 1 >"/sys/class/net/$net/napi_defer_hard_irqs"
echo 1000000 >"/sys/class/net/$net/gro_flush_timeout"
offload ipv4
offload ipv6
for kind in tcp udp; do
	between "msg_zerocopy $kind" msg_zerocopy -4 -t 3 -D 10.0.0.1 -S 10.0.0.2 -r $kind -- \
		msg_zerocopy -4 -t 1 -D 10.0.0.1 -S 10.0.0.2 -z $kind
done
between "udpgso" segments_come -- udpgso_bench_tx -4 -l 1 -D 10.0.0.1 -S 1400 -s 42000
echo 0 >"/sys/class/net/$net/napi_defer_hard_irqs"
echo 0 >"/sys/class/net/$net/gro_flush_timeout"
net_done
