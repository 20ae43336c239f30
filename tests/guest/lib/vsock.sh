# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# Vsock between all guests of a test, after "/tests/lib.sh". See lib/vsock.c for tests in C.

# vsock_make: guest 0 gives all of the memory to a partition for vsock, and all guests load its driver
vsock_make() {
	export IVSHMEM_DEVICE=/dev/ivshmem0
	hostname "guest$RIG_GUEST"
	[ "$RIG_GUEST" != 0 ] ||
		tap_ok "lay out a partition for vsock" ivshmemctl format --force --vsock --ports 4
	rig_ask barrier vsock
	tap_ok "rescan" ivshmemctl rescan
	for vsock_module in ivshmem_rings ivshmem_vsock; do
		[ -d /sys/module/$vsock_module ] || insmod /lib/$vsock_module.ko
	done
}

# vsock_cid GUEST: the CID of another guest, by its name, once it can be reached
vsock_cid() {
	soon vsock_reaches "$1" && echo "$vsock_found"
}

vsock_reaches() {
	vsock_found=$(ivshmemctl peers | awk -v name="guest$1" '$NF == name { print $(NF - 1) }')
	grep -q "^[0-9]* $vsock_found up " /sys/bus/ivshmem/devices/ivshmem0p1/cids
}

# vsock_done: leave nothing to the next test. The driver is in use while a connection ends.
vsock_done() {
	rig_ask barrier "end"
	tap_ok "the driver unloads" soon rmmod ivshmem_vsock
	rmmod ivshmem_rings
	tap_done
}
