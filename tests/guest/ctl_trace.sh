#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ivshmemctl trace: the right steps in the right order, each in the right context.
# rig: devices=doorbell vectors=4 size=1M modargs=map_registers=0 turns=yes timeout=120
. /tests/lib.sh

interrupts "the steps of a doorbell" || tap_done
address=0000:00:10.0
driver=/sys/bus/pci/drivers/ivshmem
tracing=/sys/kernel/tracing

cat >/tmp/life <<'END'
mark() {
	echo "$*" >"$IVSHMEM_TRACE/trace_marker"
}
mark bind
echo 0000:00:10.0 >/sys/bus/pci/drivers/ivshmem/bind
mark write
ivshmemctl write -d /dev/ivshmem0 0 text
mark ring
# It looks up once a second: ring it in between.
ivshmemctl ping -d /dev/ivshmem0 --answer --count 1 --timeout 30 0 &
sleep 1.5
ivshmemctl ring -d /dev/ivshmem0 0
wait
mark unbind
exec 4</dev/ivshmem0
echo 0000:00:10.0 >/sys/bus/pci/drivers/ivshmem/unbind
mark close
exec 4<&-
mark end
exit 7
END

# since MARK EVENT: what was printed of an event, the first after a mark
since() {
	sed -n "/ mark  *$1\$/,\$p" /tmp/text | grep -m 1 " ivshmem_$2 "
}

# order MARK EVENT...: the events come in this order between a mark and the next
order() {
	what=$1
	shift
	sed -n "/ mark  *$what\$/,\$p" /tmp/text | sed '1d; / mark /,$d' |
		sed 's/.* ivshmem_\([a-z_]*\) .*/\1/' >/tmp/events
	left="$* "
	while read -r event; do
		[ "${left%% *}" != "$event" ] || left=${left#* }
	done </tmp/events
	[ -z "$left" ] || sed 's/^/# /' /tmp/text
	tap_eq "after $what: $*" "$left" ""
}

# is WHERE MARK EVENT: it is in that context
is() {
	since "$2" "$3" >/tmp/line
	tap_ok "$3 after $2: $1" grep -q -F "$1" /tmp/line
}

echo $address >$driver/unbind
ivshmemctl trace -- sh /tmp/life >/tmp/text 2>/tmp/errors
tap_eq "it ends as the command does" $? 7

order bind alloc region_map register probe
order write open map fault unmap release
order ring open wait_begin open ring interrupt wake wait_end release
order unbind open remove unregister region_unmap
order close release free
is " process " write open
is "src/core/file.c: ivshmem_open()" write open
is " process " write fault
# PREEMPT_RT leaves it to a thread.
context="hard interrupt, interrupts off"
[ ! -e /sys/kernel/realtime ] || context="interrupt thread"
is "$context" ring interrupt
is "$context" ring wake
is " process " ring wait_end
is "idev->srcu" ring ring
is "device_lock" bind probe
tap_eq "no instance is left" "$(ls $tracing/instances)" ""

echo $address >$driver/bind
ivshmemctl trace --json -- ivshmemctl ring -d /dev/ivshmem0 0 1 >/tmp/json
tap_ok "JSON: an event" grep -q \
	'"event":"ivshmem_ring".*"fields":{"device":0,"peer":0,"vector":1}' /tmp/json
tap_eq "JSON: one object on each line" "$(grep -vc '^{.*}$' /tmp/json)" 0

ivshmemctl trace --timeout 0.2 >/tmp/text
tap_eq "it ends in time" $? 0
ivshmemctl trace --timeout 0.2 -- sleep 30
tap_eq "it does not wait for the command then" $? 5
for signal in INT TERM; do
	ivshmemctl trace >/tmp/text 2>/tmp/errors &
	until grep -q 1 $tracing/instances/*/events/ivshmem/enable 2>/dev/null; do
		sleep 0.1
	done
	ivshmemctl write -d /dev/ivshmem0 0 text
	kill -$signal $!
	wait $!
	tap_eq "SIG$signal ends it" $? 0
	tap_eq "SIG$signal: it has nothing to complain of" "$(cat /tmp/errors)" ""
	tap_ok "SIG$signal: all was printed" grep -q ivshmem_release /tmp/text
	tap_eq "SIG$signal: no instance is left" "$(ls $tracing/instances)" ""
done
ivshmemctl trace -- ivshmemctl write -d /dev/ivshmem0 0 text | true
tap_eq "nobody reads: no instance is left" "$(ls $tracing/instances)" ""
ivshmemctl trace -- nonsense 2>/tmp/errors
tap_eq "there is no such command" $? 2

ivshmemctl trace --graph -- ivshmemctl write -d /dev/ivshmem0 0 text >/tmp/text 2>/tmp/errors
tap_eq "--graph" $? 0
tap_ok "--graph: the events are there" grep -q ivshmem_open /tmp/text
if grep -q "no function graph" /tmp/errors; then
	tap_skip "calls" "this kernel has no function graph in an instance"
else
	tap_ok "calls" grep -q 'ivshmem_mmap' /tmp/text
	tap_ok "calls inside calls" grep -q '    ivshmem_access_begin()' /tmp/text
fi
tap_eq "no instance is left" "$(ls $tracing/instances)" ""
tap_eq "the tracer of the machine is not touched" "$(cat $tracing/current_tracer)" nop

rmmod ivshmem
ivshmemctl trace 2>/tmp/errors
tap_eq "without the driver" $? 3
tap_ok "it says what to do" grep -q "sudo modprobe ivshmem" /tmp/errors
umount $tracing
umount /sys/kernel/debug
ivshmemctl trace 2>/tmp/errors
tap_eq "without tracefs" $? 1
tap_ok "it says what to do" grep -q "sudo mount -t tracefs" /tmp/errors
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs $tracing
tap_done
