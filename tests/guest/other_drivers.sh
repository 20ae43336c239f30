#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Devices that other drivers have: how to give one to another driver for good, as
# docs/guests.md says, and how to take it back, as ivshmemctl doctor says. The other drivers
# are real: uio_pci_generic with the id in new_id, and vfio-pci.
# rig: arches=amd64 devices=plain machine=q35 qemu='-device intel-iommu,intremap=on'
# rig: append=intel_iommu=on modules=uio_pci_generic,vfio-pci? insmod=no alone=yes
# rig: programs=dash,kmod,udevadm timeout=240
. /tests/lib.sh

device=/sys/bus/pci/devices/0000:00:10.0
drivers=/sys/bus/pci/drivers
kernel_modules
cp /lib/*.ko "/lib/modules/$(uname -r)/updates/"
/bin/depmod # not that of this shell

# has DESCRIPTION DRIVER: the device must be bound to the driver
has() {
	tap_eq "$1" "$(basename "$(readlink $device/driver)")" "$2"
}

# taken DESCRIPTION: the commands of doctor_finds bind the device to our driver for good
taken() {
	doctor_follow 's/.*\(sudo modprobe ivshmem\), then: /\1; /'
	has "$1: the commands take the device back" ivshmem
	tap_eq "$1: and leave no driver_override" "$(cat $device/driver_override)" "(null)"
	tap_ok "$1: it can be used" ivshmemctl info
}

# rule DRIVER: put the udev rule of the document into place
rule() {
	sed -n '/^    ACTION==/,/[^\]$/s/^    //p' /docs/guests.md | sed "s/vfio-pci/$1/g" \
		>/etc/udev/rules.d/20-other.rules
	udevadm control --reload
}

# boot: what happens to the device when a machine boots
boot() {
	rmmod ivshmem 2>/dev/null
	udevadm control --reload
	udevadm trigger --action=add --subsystem-match=pci
	udevadm settle
}

mkdir -p /etc/udev/rules.d /etc/modprobe.d
cat >/etc/udev/rules.d/80-drivers.rules <<'RULE'
ENV{MODALIAS}=="?*", RUN{builtin}+="kmod load '$env{MODALIAS}'"
RULE
udev_start 0

echo "# a driver that got the id by new_id"
echo 1af4 1110 >$drivers/uio_pci_generic/new_id
has "uio_pci_generic took the free device" uio_pci_generic
doctor_finds other-driver
taken "new_id"

echo "# driver_override, with nobody bound"
echo 1af4 1110 >$drivers/uio_pci_generic/remove_id
echo nobody >$device/driver_override
echo 0000:00:10.0 >$drivers/ivshmem/unbind
echo 0000:00:10.0 >/sys/bus/pci/drivers_probe
doctor_finds reserved
taken "reserved"

echo "# unbound by hand"
echo 0000:00:10.0 >$drivers/ivshmem/unbind
doctor_finds not-taken
doctor_follow 's/.*: echo/echo/; s/; if.*//'
has "unbound: the command binds it again" ivshmem

echo "# for good"
for other in uio_pci_generic vfio-pci; do
	if [ ! -d $drivers/$other ]; then
		tap_skip "$other" "this kernel does not have it"
		continue
	fi
	rule $other
	udevadm trigger --action=add --subsystem-match=pci
	udevadm settle
	has "the rule gives the device to $other at once" $other
	boot
	has "and at boot, with $other loaded before" $other
	if rmmod "$(echo $other | tr - _)" 2>/dev/null; then
		boot
		has "and with $other loaded by the rule" $other
	else
		tap_skip "and with $other loaded by the rule" "it is built in"
	fi
	doctor_finds other-driver
	rm /etc/udev/rules.d/20-other.rules
	udevadm control --reload
	taken "$other"
	boot
	has "without the rule it is ours at boot, after $other" ivshmem
done

echo "# no driver for any device, by modprobe.d"
echo "blacklist ivshmem" >/etc/modprobe.d/local.conf
boot
tap_ok "a blacklisted driver is not loaded at boot" [ ! -d /sys/module/ivshmem ]
doctor_finds blacklisted
rm /etc/modprobe.d/local.conf
doctor_follow 's/.*then: //'
has "after the line is removed, the command takes the device" ivshmem
tap_done
