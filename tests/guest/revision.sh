#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Another revision than 1 is refused, and the log says why. QEMU has no such
# device any more, so the driver is made to look at one that is not ivshmem at
# all but has revision 0. A kernel that is locked down does not even look, and stays so.
# rig: devices=none alone=yes
. /tests/lib.sh

rig_ask 'qmp {"execute":"object-add","arguments":{"qom-type":"rng-random","id":"r","filename":"/dev/urandom"}}' >/dev/null
# PCI Express alone has nothing but ports to plug into.
[ "$(uname -m)" = x86_64 ] || port='"bus":"port0","disable-legacy":"off",'
rig_ask 'qmp {"execute":"device_add","arguments":{"driver":"virtio-rng-pci",'"$port"'"rng":"r","id":"old","disable-modern":true}}' >/dev/null

i=0
while ! grep -qs 0x1005 /sys/bus/pci/devices/*/device && [ $i -lt 100 ]; do
	i=$((i + 1))
	sleep 0.1
done
old=$(dirname "$(grep -ls 0x1005 /sys/bus/pci/devices/*/device)")
tap_eq "a device of revision 0 is there" "$(cat "$old/revision")" 0x00
[ -e "$old/driver" ] && basename "$old" >"$old/driver/unbind"
echo ivshmem >"$old/driver_override"
basename "$old" >/sys/bus/pci/drivers_probe
tap_ok "the log says why and what to do" rig_ask expect-log \
	"unsupported revision 0 .expected 1.: use ivshmem-plain or ivshmem-doorbell"
tap_ok "the driver does not take it" [ ! -e "$old/driver" ]
tap_ok "there is no node" [ ! -e /dev/ivshmem0 ]

mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
if echo integrity 2>/dev/null >/sys/kernel/security/lockdown; then
	basename "$old" >/sys/bus/pci/drivers_probe
	tap_ok "locked down: the log says that no other devices are allowed" rig_ask expect-log \
		"kernel is locked down: only devices 1af4:1110 are allowed"
	tap_ok "locked down: the driver does not take it" [ ! -e "$old/driver" ]
else
	tap_skip "lockdown" "this kernel cannot"
fi
tap_done
