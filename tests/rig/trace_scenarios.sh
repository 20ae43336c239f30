#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Run one scenario of a device in a guest and trace it, for "make what-is-called-when".
# With NAME, write the trace to /tmp/trace; the traced command is this script with do-NAME.
# Marks show in the trace what happens outside the driver, where no tracepoint is:
#
#	program > QEMU: device_add
. /tests/lib.sh

device=/dev/ivshmem1	# is plugged and unplugged; ivshmem0 stays
limit=60

mark() {
	echo "$*" >"${IVSHMEM_TRACE:?}/trace_marker"
}

# The node appears a moment after the device is plugged in.
until_there() {
	while [ ! -c $device ]; do
		sleep 0.01
	done
}

do_probe() {
	mark "host > QEMU: device_add ivshmem-plain"
	rig_ask plug plain hot 4M
	until_there
	mark "kernel > program: $device is there"
}

do_open() {
	mark "shell > program: ivshmemctl write 0 hello"
	ivshmemctl write -d $device 0 hello
	mark "program > shell: it has ended"
}

do_unplug() {
	mkfifo /tmp/input
	# ivshmemctl maps the device and reads its input straight into the mapping.
	ivshmemctl write -d $device 0 </tmp/input 2>/tmp/said &
	exec 4>/tmp/input
	echo before >&4
	sleep 1
	mark "host > QEMU: device_del"
	rig_ask unplug hot
	mark "QEMU > host: DEVICE_DELETED"
	sleep 0.2
	mark "shell > program: more input"
	echo after >&4
	exec 4>&-
	wait
	mark "program > shell: $(sed 's/ivshmemctl: //' /tmp/said)"
}

# Pings there and back give pairs of time stamps, by which trace_clocks.py sets the clocks.
do_ring0() {
	ivshmemctl ping -d /dev/ivshmem0 1 --count "$1" --interval 0.02
}

do_ring1() {
	ivshmemctl ping -d /dev/ivshmem0 0 --answer --count "$1" --timeout 30
}

case $1 in
do-*)
	scenario=$1
	shift
	"do_${scenario#do-}" "$@" >/tmp/printed
	;;
ring*)
	ivshmemctl trace --json --timeout $limit -- sh "$0" "do-$1" "$2" >/tmp/trace
	;;
*)
	ivshmemctl trace --json --graph --timeout $limit -- sh "$0" "do-$1" >/tmp/trace
	;;
esac
