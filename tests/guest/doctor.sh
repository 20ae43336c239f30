#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ivshmemctl doctor finds each problem on the way from a bare system to a working device,
# and the commands it suggests solve them. The kernel stays locked down at the end, hence
# a boot of its own.
# rig: devices=plain insmod=no programs=dash,kmod alone=yes
. /tests/lib.sh

modules=/lib/modules/$(uname -r)
kernel_modules

# well DESCRIPTION: doctor must find no problem
well() {
	tap_eq "$1" "$(ivshmemctl doctor)" "all is well: you can use /dev/ivshmem0"
	tap_ok "$1: doctor exits with 0" ivshmemctl doctor
}

doctor_finds not-installed
cp /lib/ivshmem.ko "$modules/updates/"
/bin/depmod # not that of this shell
doctor_finds not-loaded group-missing
doctor_follow 's/.*: //'
tap_ok "the suggested command loads the driver" [ -c /dev/ivshmem0 ]

doctor_finds group-missing
echo "ivshmem:x:977:" >/etc/group
doctor_finds node-rights
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "with group and mode of the udev rule all is well"
tap_ok "when all is well the device can be opened" ivshmemctl info

rm /dev/ivshmem0
doctor_finds node-missing
doctor_follow 's/.*: sudo mknod/mknod/; s/; sudo udevadm.*//'
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "the suggested command creates the node"

rmmod ivshmem
rm /dev/ivshmem0
echo "a program's" >/dev/ivshmem0
/bin/modprobe ivshmem
doctor_finds node-wrong
tap_eq "info says the same" "$(ivshmemctl info 2>&1)" "ivshmemctl: $(cat /tmp/said)"
tap_eq "list notes it" "$(ivshmemctl list 2>&1 >/dev/null)" "ivshmemctl: note: $(cat /tmp/said)"
doctor_follow 's/.*then: //; s/; sudo udevadm.*//'
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
well "the suggested commands put the node in the place of the file"

echo "# programs that use resource2 in sysfs"
resource=/sys/bus/pci/devices/0000:00:10.0/resource2
sleep 1000 3<$resource &
doctor_finds resource2-used
tap_ok "it names the process" grep -q "(process $!)" /tmp/said
doctor_follow 's/.*by: //; s/; then.*//'
kill $!
wait $!
sleep 1000 3<$resource &
well "with the region in the place of resource2"
rmmod ivshmem
doctor_finds resource2-stale not-loaded
/bin/modprobe ivshmem
chgrp 977 /dev/ivshmem0
chmod 660 /dev/ivshmem0
tap_ok "the mount does not follow the region" sh -c "! true <$resource" 2>/dev/null
doctor_finds resource2-stale
kill $!
wait $!
doctor_follow 's/.*then: //'
well "with the region of now in its place"
tap_ok "which can be opened" sh -c "true <$resource"
umount $resource

echo "me:x:1000:1000::/:/bin/sh" >/etc/passwd
tap_eq "doctor tells another user to join the group" "$(su me -c 'ivshmemctl doctor')" \
	"no permission to use /dev/ivshmem0: sudo usermod -aG ivshmem \$USER, then log in again"

rmmod ivshmem
mkdir -p /etc/modprobe.d
echo "blacklist ivshmem" >/etc/modprobe.d/test.conf
doctor_finds blacklisted
rm /etc/modprobe.d/test.conf
mount -t securityfs securityfs /sys/kernel/security
if echo integrity >/sys/kernel/security/lockdown; then
	tap_ok "a locked-down kernel refuses the module" \
		sh -c '! insmod /lib/ivshmem.ko 2>/dev/null'
	doctor_finds unsigned
else
	tap_skip "lockdown" "this kernel does not support it"
fi
tap_done
