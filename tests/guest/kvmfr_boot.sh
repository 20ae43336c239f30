#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# From kvmfr to this driver: the commands of docs/migrating.md create /dev/kvmfr0, and it is
# there again when the machine has booted.
# rig: devices=none insmod=no mem=512 modules=configfs programs=dash,kmod,udevadm
. /tests/lib.sh

# there DESCRIPTION: the link is there, and leads to a device of the document's size
there() {
	udevadm settle
	tap_eq "$1: the link leads to the node" "$(readlink -f /dev/kvmfr0)" /dev/ivshmem0
	tap_eq "$1: the device has the size of the document" \
		"$(cat /sys/class/ivshmem/ivshmem0/size)" $((128 << 20))
}

kernel_modules
cp /lib/*.ko "/lib/modules/$(uname -r)/updates/"
/bin/depmod # not that of this shell
mkdir -p /etc/modprobe.d /etc/modules-load.d
udev_start 0
mount -t configfs configfs /sys/kernel/config

sed -n '/^## From kvmfr/,/^    qemu/s/^    \([^q]\)/\1/p' /docs/migrating.md >/tmp/commands
sed 's/^/# /' /tmp/commands
/bin/dash /tmp/commands
there "with the commands of the document"

rmdir /sys/kernel/config/ivshmem/* 2>/dev/null # nor does a device of configfs outlive a boot
/bin/modprobe -r ivshmem_soft
udevadm settle
tap_ok "without the modules there is no link" [ ! -L /dev/kvmfr0 ]
cat /etc/modules-load.d/* | xargs -n 1 /bin/modprobe
there "with what loads at boot"
tap_done
