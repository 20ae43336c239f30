#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The udev rule: group and mode of the node and of the region in sysfs, of partitions and
# labelled devices, and links that do not depend on probe order.
# rig: devices=doorbell,plain,plain,plain,plain names='cam0,7,a name,../out,..'
# rig: programs=udevadm,chown,chmod
. /tests/lib.sh

paths=/dev/ivshmem/by-path
names=/dev/ivshmem/by-name
driver=/sys/bus/pci/drivers/ivshmem

# leads LINK NODE: the link must lead to this node
leads() {
	tap_eq "$1 leads to $2" "$(readlink -f "$1")" "$2"
}

# rights NAME GROUP MODE: of a node, and of its region in sysfs
rights() {
	tap_eq "$1: group and mode" "$(stat -c '%u %g %a' "/dev/$1")" "0 $2 $3"
	tap_eq "its region has the same" "$(stat -c '%u %g %a' "/sys/class/ivshmem/$1/region")" \
		"0 $2 $3"
}

# other DESCRIPTION: the device comes while the command "put" has put something else, open to
# all, at the path of its node
other() {
	echo 0000:00:10.0 >$driver/unbind
	udevadm settle
	put
	before=$(stat -c '%F %u %g %a' /dev/ivshmem1)
	echo 0000:00:10.0 >$driver/bind
	udevadm settle
	tap_eq "$1 at the path of the node is left as it is" \
		"$(stat -c '%F %u %g %a' /dev/ivshmem1)" "$before"
	tap_eq "and the region does not have the rights of $1" \
		"$(stat -c '%u %g %a' /sys/class/ivshmem/ivshmem1/region)" "0 0 600"
	rm -r /dev/ivshmem1
}

# links FIRST SECOND: the nodes that the first and second device's links lead to
links() {
	leads $paths/pci-0000:00:10.0 "$1"
	leads $paths/pci-0000:00:11.0 "$2"
	if [ -d /sys/firmware/acpi ]; then
		leads $names/cam0 "$1"
		leads $names/acpi-7 "$2"
	else
		tap_skip "links by name to $1 and $2" "this machine's firmware gives no names"
	fi
}

udev_start

udevadm trigger --subsystem-match=ivshmem
udevadm settle
for n in 0 1; do
	rights "ivshmem$n" 977 660
done
links /dev/ivshmem0 /dev/ivshmem1
tap_ok "there is a link by subsystem ids" [ -c "$(readlink -f /dev/ivshmem/by-subsystem/1AF4:1100)" ]
tap_ok "there is no link for kvmfr unless asked for" [ ! -e /dev/kvmfr0 ]
if [ -d /sys/firmware/acpi ]; then
	tap_eq "blanks in names are replaced, and names with '..' have no link" \
		"$(cd $names && echo *)" "a_name acpi-7 cam0"
fi
tap_eq "no name creates a link outside its directory" "$(cd /dev && echo ivshmem/*)" \
	"$(cd /dev && echo ivshmem/by-*)"

echo 0000:00:10.0 >$driver/unbind
echo 0000:00:11.0 >$driver/unbind
udevadm settle
tap_ok "an unbound device has no link by path" [ ! -L $paths/pci-0000:00:10.0 ]
tap_ok "an unbound device has no link by name" [ ! -L $names/cam0 ]
echo 0000:00:11.0 >$driver/bind
echo 0000:00:10.0 >$driver/bind
udevadm settle
echo "# the devices are bound in the other order"
links /dev/ivshmem1 /dev/ivshmem0
rights ivshmem0 977 660

echo "# something else at the path of the node"
put() { : >/dev/ivshmem1 && chmod 666 /dev/ivshmem1 && chown 1000:1000 /dev/ivshmem1; }
other "a file"
put() { mkdir -m 777 /dev/ivshmem1; }
other "a directory"
put() { mknod -m 666 /dev/ivshmem1 c 1 3; }
other "another node"
put() { ln -s null /dev/ivshmem1; }
other "a link"
mknod /dev/ivshmem1 c "$(cut -d: -f1 /sys/class/ivshmem/ivshmem1/dev)" \
	"$(cut -d: -f2 /sys/class/ivshmem/ivshmem1/dev)"
udevadm trigger --subsystem-match=ivshmem
udevadm settle
rights ivshmem1 977 660

echo 'SUBSYSTEM=="ivshmem", GROUP="video", MODE="0640"' >/etc/udev/rules.d/70-mine.rules
echo 'video:x:44:' >>/etc/group
udevadm control --reload
udevadm trigger --subsystem-match=ivshmem
udevadm settle
echo "# by a rule of the administrator's"
rights ivshmem0 44 640

echo "# partitions"
rm /etc/udev/rules.d/70-mine.rules
echo 'SUBSYSTEM=="ivshmem", ATTR{partition}=="?*", ATTR{name}=="low", GROUP="video", MODE="0640"' \
	>/etc/udev/rules.d/70-mine.rules
echo 'SUBSYSTEM=="ivshmem", KERNEL=="ivshmem2", TEST=="partitions", ATTR{partitions}="boot:0:1M"' \
	>/etc/udev/rules.d/71-mine.rules
udevadm control --reload
echo low:0:1M,high:1M:1M >/sys/bus/ivshmem/devices/ivshmem0/partitions
udevadm trigger --subsystem-match=ivshmem
udevadm settle
rights ivshmem0 977 660
rights ivshmem0p1 44 640
rights ivshmem0p2 977 660
leads $paths/pci-0000:00:11.0 /dev/ivshmem0
leads $paths/pci-0000:00:11.0-part1 /dev/ivshmem0p1
leads $paths/pci-0000:00:11.0-part2 /dev/ivshmem0p2
leads $names/low /dev/ivshmem0p1
leads $names/high /dev/ivshmem0p2
leads $names/boot /dev/ivshmem2p1
tap_ok "a device without a label has no link by label" [ ! -e /dev/ivshmem/by-label ]
[ ! -d /sys/firmware/acpi ] || leads $names/acpi-7-part2 /dev/ivshmem0p2
echo >/sys/bus/ivshmem/devices/ivshmem0/partitions
udevadm settle
tap_ok "links end with the partitions" [ ! -L $names/low ]

# The example of docs/label-format.md.
echo "# a label"
while read -r at bytes; do
	echo "$bytes" | xxd -r -p | dd of=/dev/ivshmem0 bs=1 seek=$((0x$at)) conv=notrunc 2>/dev/null
done <<-END
	00000000 495653484d4c424c68574faa00210000
	00000010 01000001800040000000000000000000
	00000028 6f1a3b5c9d2e4f708123456789abcdef
	00000038 04000000000000000000000100000000
	00000048 00000200000000000030000000000000
	00000058 00100000100004000000000000000000
	00000180 6672616d65732d763100000000000000
	00000190 6672616d657300000000000000000000
	000001b0 00002000000000000000400000000000
	000001c0 02000000000000000000000001000100
	00000200 72617700000000000000000000000000
	00000210 6c6f672e300000000000000000000000
	00000230 00000200000000000000010000000000
	00000240 04000000000000000000000000000000
END
echo 1 >/sys/bus/ivshmem/devices/ivshmem0/rescan
udevadm settle
uuid=6f1a3b5c-9d2e-4f70-8123-456789abcdef
leads /dev/ivshmem/by-label/$uuid /dev/ivshmem0
leads /dev/ivshmem/by-label/$uuid-part3 /dev/ivshmem0p3
leads $names/log.0 /dev/ivshmem0p3
rights ivshmem0 0 600
rights ivshmem0p3 977 660
rights ivshmem1 977 660
dd if=/dev/zero of=/dev/ivshmem0 bs=4k count=1 conv=notrunc 2>/dev/null
echo 1 >/sys/bus/ivshmem/devices/ivshmem0/rescan
udevadm settle
rights ivshmem0 977 660
tap_ok "the link ends with the label" [ ! -L /dev/ivshmem/by-label/$uuid ]

rmmod ivshmem
insmod /lib/ivshmem.ko kvmfr=1
udevadm settle
echo "# with the parameter kvmfr"
leads /dev/kvmfr0 /dev/ivshmem0
leads /dev/kvmfr1 /dev/ivshmem1
tap_done
