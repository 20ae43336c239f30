#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# ivshmemctl peers and top: two guests see each other, on a device with doorbells, on a plain
# one, and on partitions of both.
# rig: guests=2 devices=doorbell,plain vectors=4 size=16M timeout=120
. /tests/lib.sh

me=$RIG_GUEST
other=$((1 - me))
slots=65280

both() {
	rig_ask barrier "$1"
}

# count DEVICE: how many are there
count() {
	ivshmemctl peers -d "$1" | sed 1d | wc -l
}

hostname "guest-$me"
for device in ivshmem0 ivshmem1; do
	says 1 "no label with room for peers; 'ivshmemctl format' makes one, then run 'ivshmemctl rescan'" \
		ivshmemctl peers -d $device
	tap_ok "and speaks of no server" sh -c "! grep -q server /tmp/out"
	tap_ok "top does without: $device" sh -c "ivshmemctl top -d $device | grep -qx 'no label'"
done
both alone

if [ "$me" = 0 ]; then
	for device in ivshmem0 ivshmem1; do
		ivshmemctl format -d $device >/dev/null
		ivshmemctl partition add frames 4M -v 2 -d $device >/dev/null
	done
fi
both labelled
for device in ivshmem0 ivshmem1; do
	says 1 "though the label has room for peers: run 'ivshmemctl rescan'" \
		ivshmemctl peers -d $device
done
both told
ivshmemctl rescan -d ivshmem0
ivshmemctl rescan -d ivshmem1

for device in ivshmem0 ivshmem0p1 ivshmem1 ivshmem1p1; do
	until [ "$(count $device)" = 2 ]; do
		sleep 0.1
	done
	ivshmemctl peers -d $device >/tmp/peers
	sed 's/^/# /' /tmp/peers
	# Which guest was first is not said.
	tap_eq "$device: both are guests in slots 0 and 1" \
		"$(awk 'NR > 1 { print $1, $3 }' /tmp/peers | tr '\n' ';')" "0 guest;1 guest;"
	tap_eq "$device: this one is guest-$me" \
		"$(awk '$6 == "yes" { print $7 }' /tmp/peers)" "guest-$me"
	tap_eq "$device: the other one is guest-$other" \
		"$(awk '$6 == "no" { print $7 }' /tmp/peers)" "guest-$other"
	id=$(awk '$6 == "no" { print $2 }' /tmp/peers)
	case $device in
	ivshmem0*) tap_eq "$device: its id is that of its doorbell" "$id" $other ;;
	*) tap_eq "$device: its id tells its slot" "$id" \
		$((slots + $(awk '$6 == "no" { print $1 }' /tmp/peers))) ;;
	esac
	conforms peers "$(ivshmemctl peers -d $device --json)"
	conforms top "$(ivshmemctl top -d $device --json)"
done

echo "root:x:0:0::/:/bin/sh" >/etc/passwd
echo "root:x:0:" >/etc/group
echo "ivshmem:x:977:" >>/etc/group
chown 0:977 /dev/ivshmem0p1
chmod 660 /dev/ivshmem0p1
ivshmemctl top -d ivshmem0 >/tmp/top
sed 's/^/# /' /tmp/top
tap_eq "top: a line for each partition, with its rights" \
	"$(awk '/^ivshmem0p/ { print $1, $2, $3, $4, $5, $6 }' /tmp/top)" \
	"ivshmem0p1 4 MiB rw-rw---- root:ivshmem frames"
tap_ok "and who is there" grep -q "guest *self *guest-$me$" /tmp/top
tap_ok "or the other one" grep -q "guest *present *guest-$other$" /tmp/top
tap_ok "the label as the driver has it" grep -q \
	"^label $(cat /sys/class/ivshmem/ivshmem0/label_uuid), generation 2$" /tmp/top
tap_eq "a partition has no partitions" "$(ivshmemctl top -d ivshmem0p1 | grep -c frames)" 0

# rates: is any of them positive? A machine can ring itself.
rates() {
	ivshmemctl top -d ivshmem0 --json -i 2 >/tmp/rates &
	top=$!
	while kill -0 $top 2>/dev/null; do
		ivshmemctl ring -d ivshmem0 "$me" 3
	done
	wait $top
	tap_ok "top counts them" sh -c "grep -q '\"rate\": [^n]' /tmp/rates"
	tap_ok "interrupts have a rate" sh -c \
		"grep '\"rate\": ' /tmp/rates | sed -n 4p | grep -q '[1-9]'"
}
if interrupts "rates"; then
	rates
fi

# Somebody has to want them.
ivshmemctl wait -d ivshmem1 >/dev/null &
waiter=$!
ivshmemctl top -d ivshmem1 -i 2 >/tmp/top
sed 's/^/# /' /tmp/top
tap_ok "top counts the looks for polled doorbells" grep -q "^ looks .* [0-9.]*[1-9][0-9.]*/s$" /tmp/top
kill $waiter

both watch
if [ "$me" = 0 ]; then
	: >/tmp/watched
	ivshmemctl peers --watch --count 2 -d ivshmem1 >/tmp/watched &
	watcher=$!
	until [ "$(wc -l </tmp/watched)" = 2 ]; do
		sleep 0.1
	done
	both go
	tap_ok "two have come or gone" wait $watcher
	sed 's/^/# /' /tmp/watched
	tap_eq "both were there, then one goes and comes" \
		"$(awk '{ print $1 }' /tmp/watched | tr '\n' ' ')" \
		"present present left arrived "
	tap_eq "the other one" "$(awk 'NR > 2 { print $5, $6 }' /tmp/watched | tr '\n' ' ')" \
		"other guest-1 other guest-1 "
	: >/tmp/watched
	ivshmemctl peers --watch -d ivshmem1p1 >/tmp/watched 2>&1 &
	watcher=$!
	until [ "$(wc -l </tmp/watched)" = 2 ]; do
		sleep 0.1
	done
	echo 0000:00:11.0 >/sys/bus/pci/drivers/ivshmem/unbind
	wait $watcher
	tap_eq "the end of the device ends it" $? 3
	tap_ok "it says so" grep -q "is gone" /tmp/watched
else
	both go
	echo 0000:00:11.0 >/sys/bus/pci/drivers/ivshmem/unbind
	sleep 1
	echo 0000:00:11.0 >/sys/bus/pci/drivers/ivshmem/bind
fi
tap_done
