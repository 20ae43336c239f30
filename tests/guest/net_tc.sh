#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# Traffic control: what leaves a guest waits in a queueing discipline, is lost there, or is dropped
# by a filter; and what arrives is dropped by one.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 timeout=120
# rig: modules=sch_netem?,sch_ingress?,cls_matchall?,act_gact?
. /tests/lib.sh
. /tests/net.sh

me=$((RIG_GUEST + 1))
other=10.0.0.$((3 - me))

# both COMMAND...: guest 0 does it, and both wait for that
both() {
	[ "$RIG_GUEST" != 0 ] || tap_ok "$*" "$@"
	rig_ask barrier "done"
}

# answers BOOL WHEN: does the other guest answer guest 1?
answers() {
	if [ "$RIG_GUEST" = 1 ]; then
		if [ "$1" = yes ]; then
			tap_ok "$2: an answer returns" net_pings -s 20000 "$other"
		else
			tap_ok "$2: no answer returns" sh -c "! ping -q -c 2 -W 1 $other >/dev/null"
		fi
	fi
	rig_ask barrier pinged
}

net_make
net=$(net_name 0)
net_up "$net" "10.0.0.$me/24"
tap_ok "the other guest answers" pings "$other"
tap_eq "there is a queue for each port and one for all" \
	"$(find "/sys/class/net/$net/queues" -name 'tx-*' | wc -l)" 5
rig_ask barrier reached

if tc qdisc add dev "$net" root netem delay 200ms 2>/tmp/tc; then
	tc qdisc del dev "$net" root
	rig_ask barrier probed
	both tc qdisc replace dev "$net" root netem delay 200ms
	[ "$RIG_GUEST" = 0 ] || tap_ok "delay: an answer takes as long" \
		sh -c "ping -q -c 2 $other | grep -Eq 'min/avg.* = ([2-9][0-9]{2}|[0-9]{4,})\.'"
	rig_ask barrier delayed
	both tc qdisc change dev "$net" root netem loss 100%
	answers no "all is lost"
	both tc qdisc del dev "$net" root
	answers yes "without a discipline"
else
	tap_skip "queueing disciplines" "$(cat /tmp/tc)"
fi
if tc qdisc add dev "$net" clsact 2>/tmp/tc &&
	tc filter add dev "$net" egress matchall action pass 2>/tmp/tc; then
	tc qdisc del dev "$net" clsact
	rig_ask barrier probed
	both tc qdisc add dev "$net" clsact
	for hook in egress ingress; do
		both tc filter add dev "$net" $hook matchall action drop
		answers no "a filter at $hook drops all"
		both tc filter del dev "$net" $hook
		answers yes "without the filter"
	done
else
	tap_skip "filters" "$(cat /tmp/tc)"
fi
net_done
