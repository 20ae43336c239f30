#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The guest boots, and the driver claims the doorbell device and the plain one.
# rig: devices=doorbell,plain
. /tests/lib.sh

for slot in 10 11; do
	device=/sys/bus/pci/devices/0000:00:$slot.0
	tap_eq "$slot: the device is on the bus" "$(cat $device/vendor $device/device)" \
		"0x1af4
0x1110"
	tap_eq "$slot: the driver is bound to it" "$(basename "$(readlink $device/driver)")" ivshmem
done
tap_ok "the doorbell device has a node" [ -c /dev/ivshmem0 ]
tap_ok "the plain device has a node" [ -c /dev/ivshmem1 ]
tap_done
