#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The driver refuses a device whose revision is not 1, and the log says why. QEMU no longer
# has ivshmem of revision 0, so driver_override makes the driver probe another device of
# that revision. In a locked-down kernel the driver refuses such a device by its ids alone.
# Lockdown cannot be undone, hence a boot of its own.
# rig: devices=none alone=yes
. /tests/lib.sh

rig_ask 'qmp {"execute":"object-add","arguments":{"qom-type":"rng-random","id":"r","filename":"/dev/urandom"}}' >/dev/null
# A machine with PCI Express only takes hotplugged devices in its ports.
[ "$(uname -m)" = x86_64 ] || port='"bus":"port0","disable-legacy":"off",'
rig_ask 'qmp {"execute":"device_add","arguments":{"driver":"virtio-rng-pci",'"$port"'"rng":"r","id":"old","disable-modern":true}}' >/dev/null

i=0
while ! grep -qs 0x1005 /sys/bus/pci/devices/*/device && [ $i -lt 100 ]; do
	i=$((i + 1))
	sleep 0.1
done
old=$(dirname "$(grep -ls 0x1005 /sys/bus/pci/devices/*/device)")
tap_eq "the device has revision 0" "$(cat "$old/revision")" 0x00
[ -e "$old/driver" ] && basename "$old" >"$old/driver/unbind"
echo ivshmem >"$old/driver_override"
basename "$old" >/sys/bus/pci/drivers_probe
tap_ok "the log says why and what to do" rig_ask expect-log \
	"unsupported revision 0 .expected 1.: use ivshmem-plain or ivshmem-doorbell"
tap_ok "the driver is not bound to the device" [ ! -e "$old/driver" ]
tap_ok "the device has no node" [ ! -e /dev/ivshmem0 ]

mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
if echo integrity 2>/dev/null >/sys/kernel/security/lockdown; then
	basename "$old" >/sys/bus/pci/drivers_probe
	tap_ok "locked down: the log says that no other devices are allowed" rig_ask expect-log \
		"kernel is locked down: only devices 1af4:1110 are allowed"
	tap_ok "locked down: the driver is not bound to the device" [ ! -e "$old/driver" ]
else
	tap_skip "lockdown" "this kernel does not support it"
fi
tap_done
