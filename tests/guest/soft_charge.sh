#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The memory of a device in software is charged to the control group of the command that makes
# the device, and the limit of that group holds for it: the command gets an error, no more.
# rig: devices=none modules=configfs mem=512
. /tests/lib.sh

config=/sys/kernel/config/ivshmem/dev
groups=/tmp/groups
own=$groups/own

# make SIZE: make a device from within the group
make() {
	mkdir $config
	echo "$1" >$config/size
	sh -c "echo \$\$ >$own/cgroup.procs && echo 1 >$config/enable" 2>/dev/null
}

# charged: kilobytes
charged() {
	echo $(($(cat $own/memory.current) / 1024))
}

few_charged() {
	[ "$(charged)" -lt 8192 ]
}

smaller() {
	rmdir $config
	make 8M
}

mkdir $groups
if ! mount -t cgroup2 none $groups 2>/dev/null ||
	! echo +memory 2>/dev/null >$groups/cgroup.subtree_control; then
	tap_skip "memory is charged" "this kernel has no memory cgroup"
	tap_done
	exit
fi
mkdir $own
mount -t configfs configfs /sys/kernel/config 2>/dev/null
insmod /lib/ivshmem_soft.ko

tap_ok "a command of the group makes a device of 32 MiB" make 32M
tap_ok "the group is charged with it: $(charged) kB" [ "$(charged)" -ge 32768 ]
rmdir $config
soon few_charged
tap_ok "no more when the device is gone: $(charged) kB" few_charged

echo 16M >$own/memory.max
make 32M
tap_eq "32 MiB are refused if the group may have 16" "$(cat $config/enable)" 0
tap_ok "the reason tells: $(cat $config/reason)" grep -q "cannot allocate" $config/reason
soon few_charged
tap_ok "no more is charged: $(charged) kB" few_charged
tap_ok "a device of 8 MiB is not" smaller
rmdir $config
tap_ok "the module can be unloaded" rmmod ivshmem_soft
tap_done
