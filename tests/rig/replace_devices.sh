#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# replace_devices window|memory VECTORS SIZE...: give each PCI device of a guest up, and have a
# device of ivshmem_soft with the same number and so many bytes in its place: its memory
# and its doorbell register by their addresses, or a device in software, which has its
# vectors where the machine has none for PCI.
set -e
over=$1 all=$2 used=0
shift 2
config=/sys/kernel/config/ivshmem

# value NAME: what the device was
value() {
	cat "$device/$1"
}

# bar N: where a BAR begins
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
