#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The memory of a device in software comes from the NUMA node that the administrator names,
# and from no other.
# rig: devices=none modules=configfs mem=512
# rig: qemu='-object memory-backend-ram,id=n0,size={half}M -object memory-backend-ram,id=n1,size={half}M -numa node,memdev=n0 -numa node,memdev=n1'
. /tests/lib.sh

config=/sys/kernel/config/ivshmem/dev
nodes=/sys/devices/system/node
pages=$((64 * 1024 / $(awk '/^KernelPageSize/ { print $2; exit }' /proc/self/smaps)))

# shmem NODE: kilobytes of shmem that are there
shmem() {
	echo 1 >/proc/sys/vm/stat_refresh
	awk '/ Shmem:/ { print $4 }' "$nodes/node$1/meminfo"
}

# taken NODE: how often pages were ever allocated there, since a device that cannot be made
# gives all back. A huge page counts once before 5.14.
taken() {
	awk '/^numa_(hit|miss) / { sum += $2 } END { print sum }' "$nodes/node$1/numastat"
}

# refused REASON ATTRIBUTE=VALUE...: there is no such device
refused() {
	mkdir $config
	for word in "$@"; do
		case $word in
		*=*) echo "${word#*=}" >"$config/${word%%=*}" ;;
		esac
	done
	tap_ok "$*" sh -c "! echo 1 2>/dev/null >$config/enable && grep -q '$1' $config/reason"
	rmdir $config
}

# comes_from NODE HOW: it makes a device, and its 64 MiB come from that node
comes_from() {
	here=$(shmem "$1") there=$(shmem $((1 - $1)))
	tap_ok "node $1, $2" "$2" "$1"
	tap_eq "all of it is from there" $(($(shmem "$1") - here)) $((64 * 1024))
	tap_eq "and not from the other one" $(($(shmem $((1 - $1))) - there)) 0
}

by_configfs() {
	mkdir $config && echo 64M >$config/size && echo "$1" >$config/node &&
		echo 1 >$config/enable
}

by_command() {
	ivshmemctl add dev --size 64M --node "$1"
}

by_option() {
	insmod /lib/ivshmem_soft.ko "devices=dev:64M:node=$1"
}

mount -t configfs configfs /sys/kernel/config 2>/dev/null
if [ ! -e $nodes ]; then
	tap_skip "memory of a node" "the kernel has no CONFIG_NUMA"
	tap_done
fi
insmod /lib/ivshmem_soft.ko
mkdir $config
tap_eq "any node is the default" "$(cat $config/node)" -1
tap_ok "which can be said, too" sh -c "echo -1 >$config/node"
tap_ok "a word is no node" sh -c "! echo all 2>/dev/null >$config/node"
rmdir $config
refused "node 7 is offline or has no memory (nodes with memory: 0-1)" size=64M node=7
refused "node -2 is offline" size=64M node=-2
refused "node 2147483647 is offline" size=64M node=2147483647
refused "node must be -1" size=4K address=0x100000000000 node=0

for node in 1 0; do
	for how in by_configfs by_command; do
		comes_from "$node" $how
		tap_eq "the attribute says so" "$(cat $config/node)" "$node"
		rmdir $config
	done
done

# The kernel is on node 0, so less than half of the memory is left there.
there=$(taken 1)
half=$(awk '/^MemTotal/ { printf "%d", $2 / 2 }' /proc/meminfo)
refused "node 0 has less than" size=$((half - half % 64))K node=0
tap_ok "the other one does not help out" [ $(($(taken 1) - there)) -lt $((pages / 2)) ]
rmmod ivshmem_soft

comes_from 1 by_option
rmmod ivshmem_soft
tap_ok "the option wants a node that there is" \
	sh -c "! insmod /lib/ivshmem_soft.ko devices=dev:64M:node=7 2>/dev/null"
tap_done
