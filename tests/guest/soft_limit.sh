#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# All devices in software together get half of the machine's memory, to the page: one
# after the other, in a race, and after every way in which one fails or goes.
# rig: devices=none modules=configfs mem=512 timeout=240
. /tests/lib.sh

config=/sys/kernel/config/ivshmem
page=$(awk '/^KernelPageSize/ { print $2; exit }' /proc/self/smaps)
memory=$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)
pages=$((memory / page / 2))
half=$((pages * page))
third=$(((pages / 3 + 1) * page))	# two of them fit
tries=$([ -n "$RIG_QUICK" ] && echo 3 || echo 20)

# add NAME KIB: a description that can be enabled
add() {
	mkdir "$config/$1" && echo "$2K" >"$config/$1/size"
}

switch_on() {
	sh -c "echo 1 2>/dev/null >$config/$1/enable"
}

# whole DESCRIPTION: a device can have all that there is, and not a page more
whole() {
	add all $((half + page))
	tap_ok "$1: a page more than half is refused" sh -c "! echo 1 2>/dev/null >$config/all/enable"
	echo ${half}K >$config/all/size
	tap_ok "$1: half is not" switch_on all
	rmdir $config/all
}

# race: eight at once; prints how many there are then
race() {
	for i in 1 2 3 4 5 6 7 8; do
		switch_on $i 2>/dev/null &
	done
	wait
	cat $config/[1-8]/enable | grep -c 1
}

mount -t configfs configfs /sys/kernel/config 2>/dev/null
insmod /lib/ivshmem_soft.ko
whole "at first"

add one "$third"
add two "$third"
add three "$third"
tap_ok "the first third" switch_on one
tap_ok "the second third" switch_on two
tap_eq "the last one gets ENOMEM" "$(sh -c "echo 1 >$config/three/enable" 2>&1 | grep -o 'allocate memory')" \
	"allocate memory"
tap_ok "it says how much is in use" grep -q " use $((2 * third)) of $half KiB" $config/three/reason
tap_ok "and what to do" grep -q "remove one or choose a smaller size" $config/three/reason
echo $((half - 2 * third))K >$config/three/size
tap_ok "the rest can be had" switch_on three
echo 0 >$config/two/enable
tap_ok "what was disabled can be enabled again" switch_on two
exec 4<>/dev/ivshmem0
rmdir $config/one $config/two $config/three
whole "while the file of a removed device is open"
exec 4<&-

for i in 1 2 3 4 5 6 7 8; do
	add $i "$third"
done
fitted=
for _ in $(seq "$tries"); do
	fitted="$fitted$(race)"
	for i in 1 2 3 4 5 6 7 8; do
		echo 0 >$config/$i/enable
	done
done
tap_eq "of eight at once two get theirs, each time" "$(echo "$fitted" | tr -d 2)" ""
whole "after the races"

# A task that is killed while the memory is allocated gives it back.
for i in $(seq 200); do
	sh -c "echo 1 >$config/1/enable" 2>/dev/null &
	usleep $((i * 1000))
	kill -9 $! 2>/dev/null
	wait
	echo 0 >$config/1/enable
	! grep -q "cannot allocate" $config/1/reason || break
done 2>/dev/null
tap_ok "a task is killed over it" grep -q "cannot allocate" $config/1/reason
rmdir $config/[1-8]
whole "after kills"
rmmod ivshmem_soft

tap_ok "the option may not have more" \
	sh -c "! insmod /lib/ivshmem_soft.ko devices=a:${third}K,b:${third}K,c:${third}K 2>/dev/null"
tap_ok "nor keeps what it had before an error" \
	insmod /lib/ivshmem_soft.ko "devices=a:${third}K,b:${third}K"
rmmod ivshmem_soft
insmod /lib/ivshmem_soft.ko
whole "after all that"
rmmod ivshmem_soft
tap_done
