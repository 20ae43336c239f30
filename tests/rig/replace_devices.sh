#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# replace_devices window|memory VECTORS SIZE...: replace each PCI device of a guest by a
# device of ivshmem_soft with the same number and SIZE bytes. "window" takes the addresses
# of its BARs, "memory" a software device. That has VECTORS vectors even on a machine
# without MSI-X, such as with pci=nomsi.
set -e
over=$1 all=$2 used=0
shift 2
config=/sys/kernel/config/ivshmem

# value NAME: print an attribute of the PCI device
value() {
	cat "$device/$1"
}

# bar N: print the address of a BAR
bar() {
	sed -n "$(($1 + 1))s/ .*//p" "$pci/resource"
}

grep -q "^configfs " /proc/mounts || mount -t configfs configfs /sys/kernel/config
insmod /lib/ivshmem_soft.ko
for device in /sys/class/ivshmem/ivshmem*; do
	pci=$(readlink -f "$device/device")
	size=$1 vectors=$all
	shift
	[ "$(value id)" != unknown ] || vectors=0
	echo "${pci##*/}" >"$pci/driver/unbind"
	mkdir $config/"${device##*/}"
	cd $config/"${device##*/}"
	echo "$size" >size
	case $over in
	window)
		echo 1 >"$pci/enable"
		bar 2 >address
		[ "$vectors" -eq 0 ] || echo $(($(bar 0) + 12)) >doorbell
		;;
	memory)
		echo "$vectors" >vectors
		# All of them take no more than half of the guest's memory.
		[ $(((used + size) / 512)) -lt "$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)" ] ||
			continue
		used=$((used + size))
		;;
	esac
	echo 1 >enable
done
