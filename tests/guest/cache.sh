#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The parameter cache= takes effect, and nonsense is refused. The region is so
# large that it lies above 4 GiB, where the firmware's MTRRs have no say.
# rig: devices=plain size=4G insmod=no
. /tests/lib.sh

pat=/sys/kernel/debug/x86/pat_memtype_list
start=$(sed -n 's/^0x0*\([0-9a-f]*\) .*/\1/;3p' /sys/bus/pci/devices/0000:00:10.0/resource)

tap_ok "cache=rubbish is refused" sh -c '! insmod /lib/ivshmem.ko cache=rubbish 2>/dev/null'
tap_ok "the log says what to write instead" \
	rig_ask expect-log "cache=rubbish: say wb, wc or uc"

check() {
	insmod /lib/ivshmem.ko $1
	tap_eq "$2: the parameter shows it" "$(cat /sys/module/ivshmem/parameters/cache)" "$2"
	tap_eq "$2: so does the device" "$(cat /sys/class/ivshmem/ivshmem0/cache)" "$2"
	tap_eq "$2: the kernel asks for $3" \
		"$(sed -n "s/^PAT: \[mem 0x0*$start-.*\] //p" $pat | sort -u)" "$3"
	echo "data for $2" | dd of=/dev/ivshmem0 bs=7 seek=3 2>/dev/null
	tap_eq "$2: read gives what was written" \
		"$(dd if=/dev/ivshmem0 bs=1 skip=21 count=11 2>/dev/null)" "data for $2"
	rmmod ivshmem
}

check "" wb write-back
check cache=wc wc write-combining
check cache=uc uc uncached-minus
tap_done
