#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Devices by their address and in software, as configfs and the module's option
# make them; and each way in which one is refused.
# rig: arches=amd64 devices=doorbell size=1M modules=configfs append=memmap=16M$0xa000000
. /tests/lib.sh

config=/sys/kernel/config/ivshmem
reserved=0xa000000

# set NAME ATTRIBUTE=VALUE...: make a description, and write what it is to be
set_up() {
	mkdir "$config/$1"
	for word in "$@"; do
		case $word in
		*=*) echo "${word#*=}" >"$config/$1/${word%%=*}" || return ;;
		esac
	done
}

# makes NAME ATTRIBUTE=VALUE...: it can be enabled
makes() {
	tap_ok "$*: is described" set_up "$@"
	tap_ok "$*: is enabled" sh -c "echo 1 >$config/$1/enable"
}

# refuses REASON NAME ATTRIBUTE=VALUE...: it is not, and says why
refuses() {
	reason=$1
	shift
	set_up "$@"
	tap_ok "$*: is refused" sh -c "! echo 1 2>/dev/null >$config/$1/enable"
	tap_ok "$*: it says '$reason'" grep -q "$reason" "$config/$1/reason"
	tap_eq "$*: there is no device" "$(cat "$config/$1/device")" ""
	rmdir "$config/$1"
}

mount -t configfs configfs /sys/kernel/config 2>/dev/null
tap_ok "the module loads" insmod /lib/ivshmem_soft.ko

makes cam0 address=$reserved size=64K
tap_eq "which device it is" "$(cat $config/cam0/device)" ivshmem1
tap_eq "it is enabled" "$(cat $config/cam0/enable)" 1
tap_ok "there is a node" [ -c /dev/ivshmem1 ]
tap_eq "where it is" "$(cat $config/cam0/address)" 0xa000000
tap_eq "how large it is" "$(cat $config/cam0/size)" 65536
tap_eq "it has no doorbell" "$(cat $config/cam0/doorbell)" 0x0
tap_ok "enable wants yes or no" sh -c "! echo maybe 2>/dev/null >$config/cam0/enable"
tap_eq "its name" "$(cat /sys/class/ivshmem/ivshmem1/name)" cam0
tap_ok "a PCI device has none" [ ! -e /sys/class/ivshmem/ivshmem0/name ]
tap_ok "the region is claimed" grep -q "0a000000-0a00ffff : ivshmem_soft" /proc/iomem
tap_ok "write" ivshmemctl write -d ivshmem1 100 hello
tap_eq "read" "$(ivshmemctl read -d ivshmem1 --raw 100 5)" hello
tap_ok "list shows it" sh -c "ivshmemctl list | grep -q ivshmem1"
tap_ok "nothing is changed while it is enabled" \
	sh -c "! echo 32K 2>/dev/null >$config/cam0/size"
refuses "already claimed" other address=$reserved size=4K
refuses "already claimed" other address=0xa008000 size=64K
# Programs may map the whole page that a PCI device's registers are in.
registers=$(sed -n '1s/ .*//p' /sys/class/ivshmem/ivshmem0/device/resource)
refuses "already claimed" other address=0xa100000 size=4K \
	doorbell=$((registers + 0x100))
tap_ok "it can be disabled" sh -c "echo 0 >$config/cam0/enable"
tap_ok "the region is given back" sh -c "! grep -q ivshmem_soft /proc/iomem"
tap_ok "the node goes" [ ! -e /dev/ivshmem1 ]
tap_ok "it can be enabled again" sh -c "echo 1 >$config/cam0/enable"
tap_eq "memory at an address keeps what is in it" \
	"$(ivshmemctl read -d ivshmem1 --raw 100 5)" hello

# A program has it open.
exec 4<>/dev/ivshmem1
tap_ok "it can be removed while a file is open" rmdir $config/cam0
tap_ok "the file is told" sh -c "! head -c 1 <&4 2>/dev/null"
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
refuses "require an address" bad size=4K irq=5
refuses "require an address" bad size=4K doorbell=0xa000000
refuses "doorbell 0x1000000 to 0x1000003 is in use as System RAM" \
	bad address=$reserved size=4K doorbell=0x1000000
refuses "not a multiple of 4" bad address=$reserved size=4K doorbell=0xa010002
refuses "already claimed" bad address=$reserved size=4K doorbell=0xa000010
# That of the keyboard; where there is none, that of the clock.
taken=1
if ! grep -q "^ *1:" /proc/interrupts && grep -q "^ *8:" /proc/interrupts; then
	taken=8
fi
refuses "cannot request IRQ $taken:" bad address=$reserved size=4K irq=$taken
refuses "cannot request IRQ 9999:" bad address=$reserved size=4K irq=9999
tap_ok "nothing stays claimed" sh -c "! grep -q ivshmem_soft /proc/iomem"
mkdir $config/bad
for word in x -1 0x 1.5M 99999999999999999999 0x1ffffffffffffffff 16777216T; do
	tap_ok "size '$word' is no number" sh -c "! echo $word 2>/dev/null >$config/bad/size"
done
tap_ok "257 vectors are too many" sh -c "! echo 257 2>/dev/null >$config/bad/vectors"
rmdir $config/bad

# The same by the command.
tap_eq "add says which device it is" "$(ivshmemctl add cam0 --address $reserved --size 64K)" \
	"cam0 is /dev/ivshmem1"
tap_ok "list has it" sh -c "ivshmemctl list | grep -q 'ivshmem1 .*64 KiB.* cam0$'"
tap_eq "a second of that name is refused" \
	"$(ivshmemctl add cam0 --size 4K 2>&1)" \
	"ivshmemctl: device cam0 exists already: remove it with 'ivshmemctl remove cam0'"
tap_eq "add says why not" "$(ivshmemctl add cam1 --address 0x1000000 --size 4K 2>&1)" \
	"ivshmemctl: cannot add cam1: address 0x1000000 to 0x1000fff is in use as System RAM: see /proc/iomem"
tap_ok "and leaves nothing" [ ! -e $config/cam1 ]
tap_ok "remove" ivshmemctl remove cam0
tap_ok "it is gone" [ ! -e /dev/ivshmem1 ]
tap_ok "there is nothing more to remove" sh -c "! ivshmemctl remove cam0 2>/dev/null"

makes soft size=1M vectors=3
tap_eq "vectors" "$(cat /sys/class/ivshmem/ivshmem1/vectors)" 3
tap_eq "no id, as each open file has its own" \
	"$(cat /sys/class/ivshmem/ivshmem1/id)" unknown
tap_eq "its memory is empty" "$(ivshmemctl read -d ivshmem1 --raw 0 4096 | tr -d '\0')" ""
tap_ok "the module is in use" sh -c "! rmmod ivshmem_soft 2>/dev/null"
rmdir $config/soft

other=/sys/bus/platform/devices/pcspkr
echo ivshmem_soft >$other/driver_override
echo pcspkr >/sys/bus/platform/drivers_probe
tap_ok "a device of another kind is not taken" [ ! -e $other/driver ]
tap_ok "the log says why" rig_ask expect-log \
	"pcspkr: not compatible with ivshmem,shared-memory"
tap_ok "rmmod" rmmod ivshmem_soft

tap_ok "the option makes devices" \
	insmod /lib/ivshmem_soft.ko "devices=one:64K@$reserved:doorbell=0xa020000,two:2M:vectors=8"
tap_eq "the first" "$(cat /sys/class/ivshmem/ivshmem1/name)" one
tap_eq "the second" "$(cat /sys/class/ivshmem/ivshmem2/name)" two
tap_eq "with its vectors" "$(cat /sys/class/ivshmem/ivshmem2/vectors)" 8
tap_ok "the first can ring" ivshmemctl ring -d ivshmem1 3 5
rmmod ivshmem_soft
insmod /lib/ivshmem_soft.ko "devices=look:4K@0xa020000"
tap_eq "what was written to its doorbell" \
	"$(ivshmemctl read -d ivshmem1 --raw 0 4 | xxd -p)" 05000300
rmmod ivshmem_soft
for option in nonsense name: :4K a:4K:colour=red a:4K@ a:4K:irq=x a:4K@0x1000000 \
	a:4K:vectors=257; do
	tap_ok "devices=$option is refused" \
		sh -c "! insmod /lib/ivshmem_soft.ko devices=$option 2>/dev/null"
done
tap_ok "one of two refused: none is there" \
	sh -c "! insmod /lib/ivshmem_soft.ko devices=a:4K,b:100 2>/dev/null"
tap_ok "no device is left" [ ! -e /sys/class/ivshmem/ivshmem1 ]
tap_done
