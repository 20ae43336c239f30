#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The kernel has one transport of vsock for guests: while it is vhost_vsock, a partition is not
# bound, and the other way round. CIDs that cannot be are refused, and two partitions share none.
# rig: devices=doorbell vectors=4 size=32M modules=vhost_vsock?
. /tests/lib.sh

if [ ! -d /sys/module/vhost_vsock ]; then
	tap_skip "another transport" "this kernel has no vhost_vsock"
	tap_done
	exit
fi

node=/sys/bus/ivshmem/devices/ivshmem0
driver=/sys/bus/ivshmem/drivers/ivshmem_vsock

# refused BASE: the driver does not load with these CIDs
refused() {
	tap_ok "cid_base=$1 is refused" sh -c "! insmod /lib/ivshmem_vsock.ko cid_base=$1 2>/dev/null"
}

# has_base PARTITION BASE: its CIDs are from there on
has_base() {
	tap_eq "partition $1 has its CIDs" "$(cat "${node}p$1/cid_base")" "$2"
}

export IVSHMEM_DEVICE=/dev/ivshmem0
tap_ok "format" ivshmemctl format --force
for name in one two; do
	tap_ok "add $name" ivshmemctl partition add $name 8M --type vsock --ports 4 --vectors 2
done
tap_ok "rescan" ivshmemctl rescan
insmod /lib/ivshmem_rings.ko
for base in 0 2 4294967168 4294967295; do
	refused $base
done
tap_ok "the driver loads" insmod /lib/ivshmem_vsock.ko
tap_eq "it is not bound" "$(ls ${node}p1/driver 2>/dev/null)" ""
tap_ok "the log says why" sh -c "dmesg | grep -q 'another transport for guests is loaded'"
tap_ok "without vhost_vsock" rmmod vhost_vsock
for number in 1 2; do
	tap_ok "it can be bound, $number" sh -c "echo ivshmem0p$number >$driver/bind"
done
has_base 1 1000
has_base 2 1128
tap_eq "a line for each other port" "$(grep -c ' down 0 0 0 0 0 0$' ${node}p1/cids)" 3
tap_ok "vhost_vsock does not load" sh -c "! insmod /lib/vhost_vsock.ko 2>/dev/null"
echo ivshmem0p1 >$driver/unbind
tap_ok "nor with one partition" sh -c "! insmod /lib/vhost_vsock.ko 2>/dev/null"
tap_ok "bind it again" sh -c "echo ivshmem0p1 >$driver/bind"
has_base 1 1000
rmmod ivshmem_vsock
tap_ok "vhost_vsock loads afterwards" insmod /lib/vhost_vsock.ko
rmmod vhost_vsock
tap_ok "other CIDs" insmod /lib/ivshmem_vsock.ko cid_base=4294967167
has_base 1 4294967167
tap_eq "for the second there are none" "$(ls ${node}p2/driver 2>/dev/null)" ""
rmmod ivshmem_vsock ivshmem_rings
tap_done
