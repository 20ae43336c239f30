#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The udev rule: group, mode, and links that do not depend on probe order.
# rig: devices=doorbell,plain programs=udevadm
. /tests/lib.sh

links=/dev/ivshmem/by-path
driver=/sys/bus/pci/drivers/ivshmem

mkdir -p /run/udev /etc/udev/rules.d
cp /conf/udev/rules.d/60-ivshmem.rules /etc/udev/rules.d/
echo "root:x:0:0::/:/bin/sh" >/etc/passwd
printf 'root:x:0:\nivshmem:x:977:\n' >/etc/group
# The daemon is the same program by another name.
ln -s "$(command -v udevadm)" /tmp/systemd-udevd
/tmp/systemd-udevd --daemon

udevadm trigger --subsystem-match=ivshmem
udevadm settle
for n in 0 1; do
	tap_eq "ivshmem$n: group and mode" "$(stat -c '%g %a' /dev/ivshmem$n)" "977 660"
done
tap_eq "the first device's link" "$(readlink -f $links/pci-0000:00:10.0)" /dev/ivshmem0
tap_eq "the second device's link" "$(readlink -f $links/pci-0000:00:11.0)" /dev/ivshmem1

echo 0000:00:10.0 >$driver/unbind
echo 0000:00:11.0 >$driver/unbind
udevadm settle
tap_ok "no device, no link" [ ! -e $links ]
echo 0000:00:11.0 >$driver/bind
echo 0000:00:10.0 >$driver/bind
udevadm settle
tap_eq "found in the other order: the first device's link" \
	"$(readlink -f $links/pci-0000:00:10.0)" /dev/ivshmem1
tap_eq "and the second device's" \
	"$(readlink -f $links/pci-0000:00:11.0)" /dev/ivshmem0
tap_eq "group and mode again" "$(stat -c '%g %a' /dev/ivshmem0)" "977 660"
tap_done
