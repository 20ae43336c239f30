# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# Networks between all guests of a test that says nets=, after "/tests/lib.sh". Its first line is
# "#!/bin/dash", as busybox's shell would run its own ip and ping.

# net_needs MODULE...: the test ends here if the kernel does not have them
net_needs() {
	for net_module; do
		[ ! -d "/sys/module/$net_module" ] || continue
		tap_skip "all of it" "this kernel has no module $net_module"
		tap_done
		exit
	done
}

# net_make [SEGMENTS]: connect the guests by so many segments
net_make() {
	net_count=${1:-1}
	[ "${RIG_NET:-}" = virtio ] || net_ivshmem
	ip link set lo up
}

# net_name SEGMENT: its interface in this guest
net_name() {
	[ "${RIG_NET:-}" = virtio ] && echo "eth$1" || echo "ivs$1"
}

# net_ivshmem: a partition for each segment, and the driver
net_ivshmem() {
	export IVSHMEM_DEVICE=/dev/ivshmem0
	if [ "$RIG_GUEST" = 0 ]; then
		ivshmemctl format --force >/dev/null
		for net_index in $(seq "$net_count"); do
			ivshmemctl partition add "net$net_index" $((28 / net_count))M --type net \
				--ports 4 --vectors 2 >/dev/null
		done
	fi
	rig_ask barrier segments
	ivshmemctl rescan
	segment_load
}

# net_up INTERFACE ADDRESS/BITS...: give an interface its addresses, as the only ones
net_up() {
	net_interface=$1
	shift
	ip addr flush dev "$net_interface"
	for net_address; do
		case $net_address in
		*:*) ip addr add "$net_address" dev "$net_interface" nodad ;;
		*) ip addr add "$net_address" dev "$net_interface" ;;
		esac
	done
	ip link set "$net_interface" up
}

# net_largest INTERFACE: its largest MTU; what QEMU carries in a datagram is less than what
# virtio-net says
net_largest() {
	[ "${RIG_NET:-}" = virtio ] && echo 60000 && return
	ip -d link show "$1" | sed -n 's/.* maxmtu \([0-9]*\) .*/\1/p'
}

# net_pings ARGUMENTS...: an answer returns, with the bytes that were sent
net_pings() {
	ping -q -c 1 -W 10 "$@" >/tmp/ping 2>&1 && ! grep -q 'wrong data' /tmp/ping && return
	net_ping_says
}

# net_flood ARGUMENTS...: answers return to many pings at once. Some may come too late for ping,
# which waits for the last ones no longer than twice the time of the others
net_flood() {
	ping -q -f "$@" >/tmp/ping 2>&1
	grep -q ' [0-9]\(\.[0-9]*\)*% packet loss' /tmp/ping && ! grep -q 'wrong data' /tmp/ping &&
		return
	net_ping_says
}

net_ping_says() {
	ethtool -S "$(net_name 0)" 2>&1 | grep -v ': 0$' >>/tmp/ping
	sed 's/^/# /' /tmp/ping
	false
}

# net_flow ARGUMENTS...: iperf3 sends to a server, and each receiver gets something
net_flow() {
	iperf3 --connect-timeout 10000 --client "$@" >/tmp/iperf3 2>&1 &&
		grep -q receiver /tmp/iperf3 && ! grep -q ' 0\.00 Bytes .*receiver' /tmp/iperf3 && return
	sed 's/^/# /' /tmp/iperf3
	false
}

# net_done: leave nothing to the next test
net_done() {
	rig_ask barrier "end"
	for net_index in $(seq 0 $((net_count - 1))); do
		net_interface=$(net_name "$net_index")
		ip addr flush dev "$net_interface"
		ip link set "$net_interface" down
	done
	[ "${RIG_NET:-}" = virtio ] || rmmod ivshmem_net ivshmem_rings
	tap_done
}
