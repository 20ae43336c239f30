#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The attributes of a device in sysfs, as docs/ABI/sysfs-class-ivshmem describes them.
# rig: devices=doorbell,plain vectors=4 size=16M
. /tests/lib.sh

class=/sys/class/ivshmem
doorbell=$class/ivshmem0
plain=$class/ivshmem1

tap_eq "'size' is in bytes" "$(cat $doorbell/size)" 16777216
tap_eq "'id' of a doorbell device is its id" "$(cat $doorbell/id)" 0
tap_eq "'id' of a plain device is unknown" "$(cat $plain/id)" unknown
tap_eq "'vectors' of a plain device is 0" "$(cat $plain/vectors)" 0
tap_eq "'cache' is write-back by default" "$(cat $plain/cache)" wb
tap_ok "'pages' is yes or no" grep -qx "yes\|no" $plain/pages
tap_eq "'device' links to the PCI device" "$(basename "$(readlink $doorbell/device)")" 0000:00:10.0
tap_ok "a plain device has no interrupt counts" [ ! -e $plain/interrupts ]

if interrupts "vectors"; then
	tap_eq "'vectors' of a doorbell device is their number" "$(cat $doorbell/vectors)" 4
	tap_eq "there is an interrupt count for each vector" "$(echo $doorbell/interrupts/*)" \
		"$(for v in 0 1 2 3; do printf '%s ' $doorbell/interrupts/$v; done | sed 's/ $//')"
	before=$(cat $doorbell/interrupts/2)
	rig_ask peer-ring 0 2
	sleep 0.1
	tap_eq "none is counted while nobody listens" "$(cat $doorbell/interrupts/2)" "$before"
	exec 4</dev/ivshmem0
	sleep 0.1
	tap_eq "but when the device is opened" "$(cat $doorbell/interrupts/2)" $((before + 1))
	rig_ask peer-ring 0 2
	sleep 0.1
	tap_eq "each interrupt is counted" "$(cat $doorbell/interrupts/2)" $((before + 2))
	exec 4<&-
	tap_ok "each vector has its line in /proc/interrupts" \
		grep -q "ivshmem-v3@pci:0000:00:10.0" /proc/interrupts
fi
tap_ok "'size' cannot be written" sh -c "! (echo 1 >$doorbell/size) 2>/dev/null"
tap_eq "'dev' is the device number of the node" "$(cat $doorbell/dev)" \
	"$(stat -c '%t:%T' /dev/ivshmem0 | awk -F: '{ printf "%d:%d", "0x"$1, "0x"$2 }')"
tap_done
