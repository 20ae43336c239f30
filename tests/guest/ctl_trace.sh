#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ivshmemctl trace shows the right events in the right order, each in the right context.
# rig: devices=doorbell vectors=4 size=1M modargs=map_registers=0 turns=yes timeout=120
. /tests/lib.sh

interrupts "the events of a doorbell" || tap_done
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
# The waiting ping looks at the memory once a second by itself: ring it in between.
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

# since MARK EVENT: print the line of the first such event after a mark
since() {
	sed -n "/ mark  *$1\$/,\$p" /tmp/text | grep -m 1 " ivshmem_$2 "
}

# order MARK EVENT...: between this mark and the next, these events come in this order
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
	tap_eq "events after \"$what\", in this order: $*" "$left" ""
}

# is CONTEXT MARK EVENT: the first such event after a mark has this context
is() {
	since "$2" "$3" >/tmp/line
	tap_ok "context of $3 after \"$2\": $1" grep -q -F "$1" /tmp/line
}

echo $address >$driver/unbind
ivshmemctl trace -- sh /tmp/life >/tmp/text 2>/tmp/errors
tap_eq "trace exits with the command's status" $? 7

order bind alloc region_map register probe
order write open map fault unmap release
order ring open wait_begin open ring interrupt wake wait_end release
order unbind open remove unregister region_unmap
order close release free
is " process " write open
is "src/core/file.c: ivshmem_open()" write open
is " process " write fault
# With PREEMPT_RT the interrupt handler runs in a thread.
context="hard interrupt, interrupts off"
[ ! -e /sys/kernel/realtime ] || context="interrupt thread"
is "$context" ring interrupt
is "$context" ring wake
is " process " ring wait_end
is "idev->srcu" ring ring
is "device_lock" bind probe
tap_eq "trace removes its tracing instance" "$(ls $tracing/instances)" ""

echo $address >$driver/bind
ivshmemctl trace --json -- ivshmemctl ring -d /dev/ivshmem0 0 1 >/tmp/json
tap_ok "JSON: an event has its name and fields" grep -q \
	'"event":"ivshmem_ring".*"fields":{"device":0,"peer":0,"vector":1}' /tmp/json
tap_eq "JSON: each line is one object" "$(grep -vc '^{.*}$' /tmp/json)" 0
head -n 5 /tmp/json >/tmp/some
while read -r line; do
	conforms trace "$line"
done </tmp/some

# A task and a mark whose names are not UTF-8.
cat >/tmp/named <<'END'
printf 'ta\377sk' >/proc/$$/comm
: </dev/ivshmem0
printf 'ma\376rk' >"$IVSHMEM_TRACE/trace_marker"
END
ivshmemctl trace --json -- sh /tmp/named >/tmp/json
tap_ok "JSON: a task whose name is not UTF-8" grep -q -F '"task":"ta\\xffsk"' /tmp/json
tap_ok "JSON: a mark that is not UTF-8" grep -q -F '"text":"ma\\xferk"' /tmp/json
conforms trace "$(grep -F -m 1 'ta\\xffsk' /tmp/json)"
conforms trace "$(grep -F -m 1 'ma\\xferk' /tmp/json)"
tap_eq "JSON: no line is lost" "$(grep -vc '^{.*}$' /tmp/json)" 0

ivshmemctl trace --timeout 0.2 >/tmp/text
tap_eq "--timeout ends the trace" $? 0
ivshmemctl trace --timeout 0.2 -- sleep 30
tap_eq "--timeout ends the trace though the command still runs" $? 5
for number in 1 2 15; do
	signal=$(kill -l $number)
	ivshmemctl trace >/tmp/text 2>/tmp/errors &
	until grep -q 1 $tracing/instances/*/events/ivshmem/enable 2>/dev/null; do
		sleep 0.1
	done
	ivshmemctl write -d /dev/ivshmem0 0 text
	kill -"$signal" $!
	wait $!
	tap_eq "SIG$signal ends the trace as it ends other programs" $? $((128 + number))
	tap_eq "SIG$signal: no error is printed" "$(cat /tmp/errors)" ""
	tap_ok "SIG$signal: the last event is printed" grep -q ivshmem_release /tmp/text
	tap_eq "SIG$signal: the tracing instance is removed" "$(ls $tracing/instances)" ""
done
ivshmemctl trace -- ivshmemctl write -d /dev/ivshmem0 0 text | true
tap_eq "a closed pipe: the tracing instance is removed" "$(ls $tracing/instances)" ""
# It ends when its files are closed, which may be later than the command.
cat >/tmp/writing <<'END'
trap "" TERM
exec 3>"$IVSHMEM_TRACE/trace_marker"
: >/tmp/opened
sleep 3
END
ivshmemctl trace --timeout 2 -- sh /tmp/writing >/tmp/text 2>/tmp/errors
tap_ok "a command that does not end has a file open" [ -e /tmp/opened ]
tap_eq "a command that does not end: no error is printed" "$(cat /tmp/errors)" ""
tap_eq "a command that does not end: the tracing instance is removed" "$(ls $tracing/instances)" ""
ivshmemctl trace -- nonsense 2>/tmp/errors
tap_eq "a command that does not exist gives status 2" $? 2

ivshmemctl trace --graph -- ivshmemctl write -d /dev/ivshmem0 0 text >/tmp/text 2>/tmp/errors
tap_eq "--graph succeeds" $? 0
tap_ok "--graph: events are printed" grep -q ivshmem_open /tmp/text
if grep -q "no function graph" /tmp/errors; then
	tap_skip "--graph: function calls" "this kernel has no function graph in an instance"
else
	tap_ok "--graph: a function call is printed" grep -q 'ivshmem_mmap' /tmp/text
	tap_ok "--graph: a nested call is indented" grep -q '    ivshmem_chardev_begin()' /tmp/text
fi
tap_eq "--graph: the tracing instance is removed" "$(ls $tracing/instances)" ""
tap_eq "--graph: the machine's own tracer is unchanged" "$(cat $tracing/current_tracer)" nop

rmmod ivshmem
ivshmemctl trace 2>/tmp/errors
tap_eq "without the driver trace gives status 3" $? 3
tap_ok "without the driver trace suggests modprobe" grep -q "sudo modprobe ivshmem" /tmp/errors
umount $tracing
umount /sys/kernel/debug
ivshmemctl trace 2>/tmp/errors
tap_eq "without tracefs trace gives status 1" $? 1
tap_ok "without tracefs trace suggests mount" grep -q "sudo mount -t tracefs" /tmp/errors
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs $tracing
tap_done
