#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Partitions from ivshmemctl format to wipe: the driver makes what the verbs write, and the
# verbs work on what the driver makes.
# rig: devices=doorbell vectors=4 size=16M
. /tests/lib.sh

p1=/dev/ivshmem0p1
p2=/dev/ivshmem0p2

# sees NODE...: the nodes of partitions are these, and no others
sees() {
	[ "$(echo /dev/ivshmem0p*)" = "$*" ]
}
none='/dev/ivshmem0p*'

# has_open PID PATH
has_open() {
	for file in /proc/"$1"/fd/*; do
		[ "$(readlink "$file")" = "$2" ] && return
	done
	false
}

# A program that sleeps with a partition until it ends.
sleeper() {
	ivshmemctl wait -d $p1 --count 1000 0 >/tmp/sleeper 2>&1 &
	sleeper=$!
	until has_open $sleeper $p1; do
		sleep 0.1
	done
}

tap_ok "format" ivshmemctl format
tap_ok "add a partition" ivshmemctl partition add frames 4M --vectors 2
tap_ok "and another one" ivshmemctl partition add log 1M
tap_ok "nothing becomes of them by itself" sees "$none"
tap_ok "rescan" ivshmemctl rescan
tap_ok "then there are two nodes" sees $p1 $p2
ivshmemctl list >/tmp/list
tap_eq "list: names, sizes, vectors and where they are" \
	"$(awk 'NR > 1 { print $1, $2, $3, $5, $8, $9 }' /tmp/list | sed 's/ 0000:.*//' | tr '\n' ';')" \
	"ivshmem0 16 MiB 4;ivshmem0p1 4 MiB 2 ivshmem0: frames;ivshmem0p2 1 MiB 0 ivshmem0: log;"
conforms list "$(ivshmemctl list --json)"
conforms info "$(ivshmemctl info --json -d $p1)"
tap_eq "JSON says it, too" "$(ivshmemctl info --json -d $p1 |
	grep -c '"parent": "ivshmem0"\|"offset": 2097152\|"label": "frames"')" 3
says 0 "^partition     frames, at 0x200000 of ivshmem0$" ivshmemctl info -d $p1
says 0 "^vectors       2$" ivshmemctl info -d $p1
says 0 "^device        ivshmem0$" ivshmemctl info # which is the only device

tap_ok "write" ivshmemctl write -d $p1 16 frame
tap_eq "read" "$(ivshmemctl read -d $p1 --raw 16 5)" frame
tap_eq "it is in its place" "$(ivshmemctl read --raw 0x200010 5)" frame
tap_eq "and not in the other one" "$(ivshmemctl read -d $p2 --raw 16 5 | tr -d '\0')" ""
says 2 "beyond the end" ivshmemctl read -d $p1 5M 1

if interrupts "doorbells"; then
	id=$(cat /sys/class/ivshmem/ivshmem0p1/id)
	before=$(cat /sys/class/ivshmem/ivshmem0/interrupts/1)
	ivshmemctl wait -d $p1 --count 1 --timeout 60 1 >/tmp/waited 2>&1 &
	waiter=$!
	while kill -0 $waiter 2>/dev/null; do
		ivshmemctl ring -d $p1 "$id" 1
		sleep 0.1
	done
	tap_ok "ring and wait" wait $waiter
	tap_ok "for the same vector of the device" \
		[ "$(cat /sys/class/ivshmem/ivshmem0/interrupts/1)" -gt "$before" ]
	says 1 "ring" ivshmemctl ring -d $p1 "$id" 2
	says 1 "has no vectors" ivshmemctl ring -d $p2 "$id" 0
	says 1 "has no vectors" ivshmemctl wait -d $p2 --timeout 1 0
fi

dd if=/dev/urandom of=/tmp/sent bs=1M count=2 2>/dev/null
for node in $p1 $p2; do
	rm -f /tmp/received
	ivshmemctl recv -d "$node" --timeout 60 /tmp/received >/dev/null 2>&1 &
	tap_ok "send in $node" ivshmemctl send -d "$node" --timeout 60 /tmp/sent
	tap_ok "recv in $node" wait $!
	tap_ok "what was sent has come" cmp /tmp/sent /tmp/received
done
tap_ok "the label has stayed" ivshmemctl label -d /dev/ivshmem0

for verb in "label" "format --force" "partition list" "wipe --force" "rescan"; do
	# shellcheck disable=SC2086 # words
	says 2 "is a partition, and the label is that of its device: use --device /dev/ivshmem0$" \
		ivshmemctl $verb -d $p1
done

sleeper
ivshmemctl partition remove log --force
tap_ok "rescan, without one" ivshmemctl rescan
tap_ok "it is gone, and the other one stays" sees $p1
ivshmemctl write -d /dev/ivshmem0 300 x
says 6 "checksum is wrong" ivshmemctl rescan
says 6 "ivshmemctl format --force" ivshmemctl rescan
tap_ok "a bad label changes nothing" sees $p1
tap_ok "nor for who sleeps" kill -0 $sleeper
ivshmemctl wipe --force
tap_ok "rescan, without a label" ivshmemctl rescan
tap_ok "the last one is gone" sees "$none"
wait $sleeper
tap_eq "who sleeps learns of it" $? 3
tap_ok "and says so" grep -q "/dev/ivshmem0p1 is gone" /tmp/sleeper
tap_eq "list: nothing but the device" "$(ivshmemctl list | awk 'NR > 1 { print $1 }')" ivshmem0
tap_done
