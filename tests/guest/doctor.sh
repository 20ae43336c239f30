#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ivshmemctl doctor, step by step from nothing to a device that works, by the
# commands that it gives itself. In the end the kernel stays locked down.
# rig: devices=plain insmod=no modules=uio_pci_generic programs=dash,kmod alone=yes
. /tests/lib.sh

address=0000:00:10.0
modules=/lib/modules/$(uname -r)
# The modinfo that users have: busybox's misses a field that nothing stands before,
# and its shell prefers its own.
ln -sf kmod /bin/modinfo
ln -sf dash /bin/sh

# names: the problems found
names() {
	ivshmemctl doctor --json | sed -n 's/.*"name": "\(.*\)",/\1/p' | tr '\n' ' '
}

# finds NAME...: these are the problems, and the exit status says so
finds() {
	tap_eq "doctor finds: $*" "$(names)" "$* "
	ivshmemctl doctor >/tmp/said
	tap_eq "exit status" $? 1
	tap_eq "it says each in one line" "$(wc -l </tmp/said)" $#
}

well() {
	tap_eq "$1" "$(ivshmemctl doctor)" "all is well: you can use /dev/ivshmem0"
	tap_ok "exit status" ivshmemctl doctor
}

# follow SED: run what it said first, as far as that is part of a system so small
follow() {
	sed "1!d; $1; s/sudo //g" /tmp/said >/tmp/command
	sed 's/^/# /' /tmp/command
	. /tmp/command
}

finds not-installed
mkdir -p "$modules/updates"
cp /lib/ivshmem.ko "$modules/updates/"
depmod
finds not-loaded group-missing
follow 's/.*: //'
tap_ok "its command loads the driver" [ -c /dev/ivshmem0 ]

finds group-missing
echo "ivshmem:x:977:" >/etc/group
finds node-rights
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "with group and mode of the udev rule all is well"
tap_ok "the device can be used" ivshmemctl info

rm /dev/ivshmem0
finds node-missing
follow 's/.*: sudo mknod/mknod/; s/, then.*//'
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "its command makes the node"

echo "me:x:1000:1000::/:/bin/sh" >/etc/passwd
tap_eq "somebody else is told about the group" "$(su me -c 'ivshmemctl doctor')" \
	"no permission to use /dev/ivshmem0: sudo usermod -aG ivshmem \$USER, then log in again"

echo uio_pci_generic >/sys/bus/pci/devices/$address/driver_override
echo $address >/sys/bus/pci/drivers/ivshmem/unbind
echo $address >/sys/bus/pci/drivers_probe
finds other-driver
follow 's/.*then: //'
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "its command gives the device back"

rmmod ivshmem
mkdir -p /etc/modprobe.d
echo "blacklist ivshmem" >/etc/modprobe.d/test.conf
finds blacklisted
rm /etc/modprobe.d/test.conf
mount -t securityfs securityfs /sys/kernel/security
if echo integrity >/sys/kernel/security/lockdown; then
	tap_ok "a locked down kernel refuses the module" \
		sh -c '! insmod /lib/ivshmem.ko 2>/dev/null'
	finds unsigned
else
	tap_skip "lockdown" "this kernel cannot"
fi
tap_done
