#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ivshmemctl doctor finds each problem on the way from a bare system to a working device,
# and the commands it suggests solve them. The kernel stays locked down at the end, hence
# a boot of its own.
# rig: devices=plain insmod=no modules=uio_pci_generic programs=dash,kmod alone=yes
. /tests/lib.sh

address=0000:00:10.0
modules=/lib/modules/$(uname -r)
# Use the programs of kmod, as users do: those of busybox have no index and show no
# configuration. And use dash, as busybox's shell would run its own modinfo.
for program in depmod modinfo modprobe; do
	ln -sf kmod /bin/$program
done
# Some builds of kmod look there.
mkdir -p /usr/lib
ln -s /lib/modules /usr/lib/modules
ln -sf dash /bin/sh

# names: print the names of the problems found
names() {
	ivshmemctl doctor --json | sed -n 's/.*"name": "\(.*\)",/\1/p' | tr '\n' ' '
}

# finds NAME...: doctor must find just these problems, and exit with 1
finds() {
	tap_eq "doctor finds: $*" "$(names)" "$* "
	ivshmemctl doctor >/tmp/said
	tap_eq "with problems doctor exits with 1: $*" $? 1
	tap_eq "doctor prints one line for each problem: $*" "$(wc -l </tmp/said)" $#
}

# well DESCRIPTION: doctor must find no problem
well() {
	tap_eq "$1" "$(ivshmemctl doctor)" "all is well: you can use /dev/ivshmem0"
	tap_ok "$1: doctor exits with 0" ivshmemctl doctor
}

# follow SED: run the command in doctor's first line. SED extracts it, and drops what this
# small system does not have.
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
tap_ok "the suggested command loads the driver" [ -c /dev/ivshmem0 ]

finds group-missing
echo "ivshmem:x:977:" >/etc/group
finds node-rights
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "with group and mode of the udev rule all is well"
tap_ok "when all is well the device can be opened" ivshmemctl info

rm /dev/ivshmem0
finds node-missing
follow 's/.*: sudo mknod/mknod/; s/, then.*//'
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "the suggested command creates the node"

echo "me:x:1000:1000::/:/bin/sh" >/etc/passwd
tap_eq "doctor tells another user to join the group" "$(su me -c 'ivshmemctl doctor')" \
	"no permission to use /dev/ivshmem0: sudo usermod -aG ivshmem \$USER, then log in again"

echo uio_pci_generic >/sys/bus/pci/devices/$address/driver_override
echo $address >/sys/bus/pci/drivers/ivshmem/unbind
echo $address >/sys/bus/pci/drivers_probe
finds other-driver
follow 's/.*then: //'
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "the suggested command binds the device to this driver again"

rmmod ivshmem
mkdir -p /etc/modprobe.d
echo "blacklist ivshmem" >/etc/modprobe.d/test.conf
finds blacklisted
rm /etc/modprobe.d/test.conf
mount -t securityfs securityfs /sys/kernel/security
if echo integrity >/sys/kernel/security/lockdown; then
	tap_ok "a locked-down kernel refuses the module" \
		sh -c '! insmod /lib/ivshmem.ko 2>/dev/null'
	finds unsigned
else
	tap_skip "lockdown" "this kernel does not support it"
fi
tap_done
