#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Each verb of ivshmemctl, between two guests.
# rig: guests=2 devices=doorbell,plain vectors=4 size=16M mem=384
. /tests/lib.sh

me=$RIG_GUEST
other=$((1 - me))
export IVSHMEM_DEVICE=/dev/ivshmem0

interrupts "commands that wait for doorbells" || tap_done

# both NAME: wait until both guests have come this far
both() {
	rig_ask barrier "$1"
}

tap_eq "list shows both devices" "$(ivshmemctl list | grep -c '^ivshmem[01] ')" 2
tap_ok "info shows this guest's id" sh -c "ivshmemctl info --json | grep -q '\"id\": $me'"
tap_ok "info shows the PCI address" sh -c "ivshmemctl info | grep -q 0000:00:10.0"
conforms list "$(ivshmemctl list --json)"
conforms info "$(ivshmemctl info --json)"
conforms read "$(ivshmemctl read --json 0 16)"

ivshmemctl write $((4096 * me)) "I am guest $me"
both written
tap_eq "read shows what the other guest wrote" \
	"$(ivshmemctl read --raw $((4096 * other)) 12)" "I am guest $other"

both quiet
if [ "$me" = 0 ]; then
	ivshmemctl wait --json --count 1 --timeout 30 2 >/tmp/waited &
	sleep 2
	both ring
	wait $!
	tap_eq "wait ends when the other guest rings" $? 0
	tap_ok "wait prints which vector fired" grep -q '"vector":2,"count":1' /tmp/waited
	conforms wait "$(sed -n 1p /tmp/waited)"
	conforms wait "$(sed -n 2p /tmp/waited)"
else
	both ring
	tap_ok "ring the other guest" ivshmemctl ring $other 2
fi

both ping
if [ "$me" = 0 ]; then
	tap_ok "ping the other guest 200 times" \
		sh -c "ivshmemctl ping --count 200 --json $other >/tmp/ping"
	tap_ok "ping reports that all 200 are answered" grep -q '"answered": 200' /tmp/ping
else
	tap_ok "answer 200 pings" \
		sh -c "ivshmemctl ping --answer --count 200 --timeout 30 --json $other >/tmp/ping"
fi
conforms ping "$(cat /tmp/ping)"

# Send a file larger than the region, and one back, over both kinds of device.
for device in /dev/ivshmem0 /dev/ivshmem1; do
	for sender in 0 1; do
		both "send-$device-$sender"
		if [ "$me" = $sender ]; then
			dd if=/dev/urandom of=/tmp/file bs=1M count=20 2>/dev/null
			tap_ok "$device: send a file" \
				sh -c "ivshmemctl send -d $device -t 30 --json /tmp/file >/tmp/sent"
			conforms send "$(cat /tmp/sent)"
			sum=$(sha256sum </tmp/file | cut -c1-64)
			printf '%s' "$sum" | dd of=/dev/ivshmem0 bs=1 seek=1M 2>/dev/null
		else
			tap_ok "$device: receive a file" \
				sh -c "ivshmemctl recv -d $device -t 30 --json /tmp/file >/tmp/sent"
			conforms recv "$(cat /tmp/sent)"
			sum=$(sha256sum </tmp/file | cut -c1-64)
		fi
		both "sent-$device-$sender"
		[ "$me" = $sender ] || tap_eq "$device: the file arrived as it was sent" "$sum" \
			"$(dd if=/dev/ivshmem0 bs=1 skip=1M count=64 2>/dev/null)"
	done
done

status 2 ivshmemctl ring
status 2 ivshmemctl ring 65536
status 3 ivshmemctl info -d /dev/ivshmem7
status 1 ivshmemctl ring -d /dev/ivshmem1 0
status 5 ivshmemctl wait --timeout 0.1
tap_done
