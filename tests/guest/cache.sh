#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The module parameter cache= takes effect, and invalid values are refused. The region is
# too large for the space below 4 GiB, where the firmware's MTRRs would override it.
# rig: devices=plain size=4G insmod=no
. /tests/lib.sh

pat=/sys/kernel/debug/x86/pat_memtype_list
start=$(sed -n 's/^0x0*\([0-9a-f]*\) .*/\1/;3p' /sys/bus/pci/devices/0000:00:10.0/resource)

tap_ok "cache=rubbish is refused" sh -c '! insmod /lib/ivshmem.ko cache=rubbish 2>/dev/null'
tap_ok "the log lists the valid values" \
	rig_ask expect-log 'invalid cache mode "rubbish" .expected wb, wc or uc.'

# check CACHE KIND WHY COMMAND...: load the module by the command, and check the cache
# attribute, and that the log tells why there are no struct pages
check() {
	cache=$1
	kind=$2
	why=$3
	shift 3
	rig_ask console-mark
	"$@"
	tap_ok "$cache: the log tells why there are no struct pages" \
		rig_ask expect-log "no struct pages for this region: .*($why|CONFIG_ZONE_DEVICE)"
	tap_eq "$cache: the module parameter shows it" \
		"$(cat /sys/module/ivshmem/parameters/cache)" "$cache"
	tap_eq "$cache: the device's attribute shows it" \
		"$(cat /sys/class/ivshmem/ivshmem0/cache)" "$cache"
	if [ -e $pat ]; then
		tap_eq "$cache: the region is mapped $kind" \
			"$(sed -n "s/^PAT: \[mem 0x0*$start-.*\] //p" $pat | sort -u)" "$kind"
	else
		tap_skip "$cache: the region is mapped $kind" "only x86 lists cache attributes"
	fi
	echo "data for $cache" | dd of=/dev/ivshmem0 bs=7 seek=3 2>/dev/null
	tap_eq "$cache: read gives what was written" \
		"$(dd if=/dev/ivshmem0 bs=1 skip=21 count=11 2>/dev/null)" "data for $cache"
	ivshmemctl write -d /dev/ivshmem0 100 "mapped as $cache"
	tap_eq "$cache: read gives what a mapping wrote" \
		"$(dd if=/dev/ivshmem0 bs=1 skip=100 count=12 2>/dev/null)" "mapped as $cache"
	ivshmemctl send -t 1 -d /dev/ivshmem0 /dev/null 2>/tmp/err
	status=$?
	if [ "$cache" = wb ]; then
		tap_eq "wb: send waits for a receiver" $status 5
	else
		tap_eq "$cache: send refuses the memory" $status 1
		tap_ok "$cache: and says why" grep -q "not cached write-back" /tmp/err
	fi
	rmmod ivshmem
}

check wb write-back "too large: pages=auto" insmod /lib/ivshmem.ko
check wc write-combining "not wb" insmod /lib/ivshmem.ko cache=wc
check uc uncached-minus "not wb" insmod /lib/ivshmem.ko cache=uc
tap_done
