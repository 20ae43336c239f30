#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What sysfs shows of a device, as docs/ABI/sysfs-class-ivshmem has it.
# rig: devices=doorbell,plain vectors=4 size=16M
. /tests/lib.sh

class=/sys/class/ivshmem
doorbell=$class/ivshmem0
plain=$class/ivshmem1

tap_eq "size in bytes" "$(cat $doorbell/size)" 16777216
tap_eq "own id" "$(cat $doorbell/id)" 0
tap_eq "no id without doorbells" "$(cat $plain/id)" unknown
tap_eq "no vectors" "$(cat $plain/vectors)" 0
tap_eq "cache" "$(cat $plain/cache)" wb
tap_eq "PCI device" "$(basename "$(readlink $doorbell/device)")" 0000:00:10.0
tap_ok "no counts without vectors" [ ! -e $plain/interrupts ]

if interrupts "vectors"; then
	tap_eq "vectors" "$(cat $doorbell/vectors)" 4
	tap_eq "a count per vector" "$(echo $doorbell/interrupts/*)" \
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
tap_ok "nothing can be written" sh -c "! (echo 1 >$doorbell/size) 2>/dev/null"
tap_eq "the node's number is the device's" "$(cat $doorbell/dev)" \
	"$(stat -c '%t:%T' /dev/ivshmem0 | awk -F: '{ printf "%d:%d", "0x"$1, "0x"$2 }')"
tap_done
