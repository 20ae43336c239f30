#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# soften window|memory VECTORS: give each PCI device of a guest up, and have a device of
# ivshmem_soft with the same number in its place: its memory and its doorbell register by
# their addresses, or a device in software of the same size, which has its vectors where
# the machine has none for PCI.
set -e
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
	size=$(value size) vectors=$2
	[ "$(value id)" != unknown ] || vectors=0
	echo "${pci##*/}" >"$pci/driver/unbind"
	mkdir $config/"${device##*/}"
	cd $config/"${device##*/}"
	echo "$size" >size
	case $1 in
	window)
		echo 1 >"$pci/enable"
		bar 2 >address
		[ "$vectors" -eq 0 ] || echo $(($(bar 0) + 12)) >doorbell
		;;
	memory) echo "$vectors" >vectors ;;
	esac
	echo 1 >enable
done
