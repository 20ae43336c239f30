#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# configfs, ivshmemctl and the module parameter devices= create windows and software
# devices. Every invalid description is refused with its reason.
# rig: arches=amd64 devices=doorbell size=1M modules=configfs append=memmap=16M$0xa000000
. /tests/lib.sh

config=/sys/kernel/config/ivshmem
reserved=0xa000000

# set_up NAME ATTRIBUTE=VALUE...: create a directory in configfs and write its attributes
set_up() {
	mkdir "$config/$1"
	for word in "$@"; do
		case $word in
		*=*) echo "${word#*=}" >"$config/$1/${word%%=*}" || return ;;
		esac
	done
}

# makes NAME ATTRIBUTE=VALUE...: such a device can be enabled
makes() {
	tap_ok "$*: the attributes can be written" set_up "$@"
	tap_ok "$*: the device can be enabled" sh -c "echo 1 >$config/$1/enable"
}

# refuses REASON NAME ATTRIBUTE=VALUE...: such a device cannot be enabled, for this reason
refuses() {
	reason=$1
	shift
	set_up "$@"
	tap_ok "$*: enabling is refused" sh -c "! echo 1 2>/dev/null >$config/$1/enable"
	tap_ok "$*: the reason says '$reason'" grep -q "$reason" "$config/$1/reason"
	tap_eq "$*: no device is created" "$(cat "$config/$1/device")" ""
	rmdir "$config/$1"
}

mount -t configfs configfs /sys/kernel/config 2>/dev/null
tap_ok "the module loads" insmod /lib/ivshmem_soft.ko

makes cam0 address=$reserved size=64K
tap_eq "the attribute 'device' names the device" "$(cat $config/cam0/device)" ivshmem1
tap_eq "the attribute 'enable' shows 1" "$(cat $config/cam0/enable)" 1
tap_ok "an enabled device has a node" [ -c /dev/ivshmem1 ]
tap_eq "the attribute 'address' shows the address" "$(cat $config/cam0/address)" 0xa000000
tap_eq "the attribute 'size' shows the size in bytes" "$(cat $config/cam0/size)" 65536
tap_eq "the attribute 'doorbell' shows that there is none" "$(cat $config/cam0/doorbell)" 0x0
tap_ok "the attribute 'enable' refuses a word that is no boolean" \
	sh -c "! echo maybe 2>/dev/null >$config/cam0/enable"
tap_eq "sysfs shows the device's name" "$(cat /sys/class/ivshmem/ivshmem1/name)" cam0
tap_ok "a PCI device without a name has no such file" [ ! -e /sys/class/ivshmem/ivshmem0/name ]
tap_ok "the region is claimed" grep -q "0a000000-0a00ffff : ivshmem_soft" /proc/iomem
tap_ok "write to the window" ivshmemctl write -d ivshmem1 100 hello
tap_eq "read what was written" "$(ivshmemctl read -d ivshmem1 --raw 100 5)" hello
tap_ok "list shows the window" sh -c "ivshmemctl list | grep -q ivshmem1"
tap_ok "the size cannot be changed while the device is enabled" \
	sh -c "! echo 32K 2>/dev/null >$config/cam0/size"
refuses "already claimed" other address=$reserved size=4K
refuses "already claimed" other address=0xa008000 size=64K
# Programs may map the whole page that a PCI device's registers are in, so no other device
# may have its Doorbell register there. Once that was accepted.
registers=$(sed -n '1s/ .*//p' /sys/class/ivshmem/ivshmem0/device/resource)
refuses "already claimed" other address=0xa100000 size=4K \
	doorbell=$((registers + 0x100))
tap_ok "the device can be disabled" sh -c "echo 0 >$config/cam0/enable"
tap_ok "a disabled device claims no region" sh -c "! grep -q ivshmem_soft /proc/iomem"
tap_ok "a disabled device has no node" [ ! -e /dev/ivshmem1 ]
tap_ok "the device can be enabled again" sh -c "echo 1 >$config/cam0/enable"
tap_eq "a window keeps its contents while it is disabled" \
	"$(ivshmemctl read -d ivshmem1 --raw 100 5)" hello

exec 4<>/dev/ivshmem1
tap_ok "a device can be removed while a file is open" rmdir $config/cam0
tap_ok "reading the open file then fails" sh -c "! head -c 1 <&4 2>/dev/null"
makes next address=$reserved size=64K
rmdir $config/next
exec 4<&-

refuses "System RAM" bad address=0x1000000 size=4K
refuses "System RAM" bad address=0x9ff0000 size=128K
refuses "wraps around" bad address=0xfffffffffffff000 size=8K
refuses "beyond the last address" bad address=0x10000000000000 size=4K
refuses "not a multiple of" bad address=0xa000100 size=4K
refuses "nonzero multiple of" bad address=$reserved size=100
refuses "nonzero multiple of" bad address=$reserved
refuses "nonzero multiple of" bad size=0
refuses "half of this machine" bad size=100G
refuses "vectors must not be given" bad address=$reserved size=4K vectors=8
refuses "vectors must not be given" bad vectors=4 address=$reserved size=4K
refuses "require an address" bad size=4K irq=5
refuses "require an address" bad size=4K doorbell=0xa000000
refuses "doorbell 0x1000000 to 0x1000003 is in use as System RAM" \
	bad address=$reserved size=4K doorbell=0x1000000
refuses "not a multiple of 4" bad address=$reserved size=4K doorbell=0xa010002
refuses "already claimed" bad address=$reserved size=4K doorbell=0xa000010
# An interrupt in use: that of the keyboard, or of the clock if there is no keyboard.
taken=1
if ! grep -q "^ *1:" /proc/interrupts && grep -q "^ *8:" /proc/interrupts; then
	taken=8
fi
refuses "cannot request IRQ $taken:" bad address=$reserved size=4K irq=$taken
refuses "cannot request IRQ 9999:" bad address=$reserved size=4K irq=9999
tap_ok "refused devices claim no memory" sh -c "! grep -q ivshmem_soft /proc/iomem"
mkdir $config/bad
for word in x -1 0x 1.5M 99999999999999999999 0x1ffffffffffffffff 16777216T; do
	tap_ok "size '$word' is refused" sh -c "! echo $word 2>/dev/null >$config/bad/size"
done
tap_ok "257 vectors are refused" sh -c "! echo 257 2>/dev/null >$config/bad/vectors"
rmdir $config/bad

# The same by ivshmemctl.
tap_eq "add prints the device" "$(ivshmemctl add cam0 --address $reserved --size 64K)" \
	"cam0 is /dev/ivshmem1"
tap_ok "list shows size and name" sh -c "ivshmemctl list | grep -q 'ivshmem1 .*64 KiB.* cam0$'"
tap_eq "add refuses a second device of that name" \
	"$(ivshmemctl add cam0 --size 4K 2>&1)" \
	"ivshmemctl: device cam0 exists already: remove it with 'ivshmemctl remove cam0'"
tap_eq "add prints why it fails" "$(ivshmemctl add cam1 --address 0x1000000 --size 4K 2>&1)" \
	"ivshmemctl: cannot add cam1: address 0x1000000 to 0x1000fff is in use as System RAM: see /proc/iomem"
tap_ok "a failed add leaves no directory in configfs" [ ! -e $config/cam1 ]
tap_eq "remove succeeds, and prints nothing" "$(ivshmemctl remove cam0 2>&1; echo $?)" 0
tap_ok "remove removes the node" [ ! -e /dev/ivshmem1 ]
json=$(ivshmemctl add --json cam0 --address $reserved --size 64K)
tap_eq "add --json prints the name and the device" "$(echo "$json" | tr -d ' \n')" \
	'{"name":"cam0","device":"ivshmem1"}'
conforms add "$json"
conforms list "$(ivshmemctl list --json)"
conforms info "$(ivshmemctl info --json -d ivshmem1)"
tap_ok "remove it again" ivshmemctl remove cam0
label=$(printf 'c\377m')
json=$(ivshmemctl add --json "$label" --size 4K)
tap_eq "add --json prints a name that is not UTF-8" "$(echo "$json" | tr -d ' \n')" \
	'{"name":"c\\xffm","device":"ivshmem1"}'
conforms add "$json"
tap_ok "remove it by that name" ivshmemctl remove "$label"
tap_ok "remove fails if there is no such device" sh -c "! ivshmemctl remove cam0 2>/dev/null"

makes soft size=1M vectors=3
tap_eq "a software device has the vectors asked for" \
	"$(cat /sys/class/ivshmem/ivshmem1/vectors)" 3
tap_eq "a software device has no id, as each open file has its own" \
	"$(cat /sys/class/ivshmem/ivshmem1/id)" unknown
tap_eq "the memory of a software device is zeroed" \
	"$(ivshmemctl read -d ivshmem1 --raw 0 4096 | tr -d '\0')" ""
tap_ok "the module cannot be unloaded while configfs has a device" \
	sh -c "! rmmod ivshmem_soft 2>/dev/null"
rmdir $config/soft

other=/sys/bus/platform/devices/pcspkr
echo ivshmem_soft >$other/driver_override
echo pcspkr >/sys/bus/platform/drivers_probe
tap_ok "driver_override does not bind the driver to a device of another kind" \
	[ ! -e $other/driver ]
tap_ok "the log says that the device is not compatible" rig_ask expect-log \
	"pcspkr: not compatible with ivshmem,shared-memory"
tap_ok "unload the module" rmmod ivshmem_soft

tap_ok "devices= creates devices" \
	insmod /lib/ivshmem_soft.ko "devices=one:64K@$reserved:doorbell=0xa020000,two:2M:vectors=8"
tap_eq "devices=: the first device has its name" "$(cat /sys/class/ivshmem/ivshmem1/name)" one
tap_eq "devices=: the second device has its name" "$(cat /sys/class/ivshmem/ivshmem2/name)" two
tap_eq "devices=: the second device has its vectors" \
	"$(cat /sys/class/ivshmem/ivshmem2/vectors)" 8
tap_ok "devices=: the first device can ring" ivshmemctl ring -d ivshmem1 3 5
rmmod ivshmem_soft
insmod /lib/ivshmem_soft.ko "devices=look:4K@0xa020000"
tap_eq "ringing wrote peer and vector to its Doorbell register" \
	"$(ivshmemctl read -d ivshmem1 --raw 0 4 | xxd -p)" 05000300
rmmod ivshmem_soft
for option in nonsense name: :4K a:4K:colour=red a:4K@ a:4K:irq=x a:4K@0x1000000 \
	a:4K@$reserved:vectors=4 \
	a:4K:vectors=257; do
	tap_ok "devices=$option is refused" \
		sh -c "! insmod /lib/ivshmem_soft.ko devices=$option 2>/dev/null"
done
tap_ok "devices= is refused if one of two devices is invalid" \
	sh -c "! insmod /lib/ivshmem_soft.ko devices=a:4K,b:100 2>/dev/null"
tap_ok "devices= then leaves no device" [ ! -e /sys/class/ivshmem/ivshmem1 ]
tap_done
