#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# socat connects two guests by vsock: a file both ways, many connections at once, and a service of
# TCP that one has for the other. ivshmemctl knows the addresses and finds nothing wrong.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 over=pci,polled timeout=90
. /tests/lib.sh
. /tests/vsock.sh

other=$((1 - RIG_GUEST))

# echoed: does each of many connections get its own bytes back?
echoed() {
	for each in $(seq 8); do
		head -c $((each * 1000)) /tmp/file >"/tmp/sent$each"
		socat -t 30 - "VSOCK-CONNECT:$cid:3" <"/tmp/sent$each" >"/tmp/back$each" &
		echoing="$echoing $!"
	done
	# shellcheck disable=SC2086 # words
	wait $echoing
	for each in $(seq 8); do
		cmp "/tmp/sent$each" "/tmp/back$each" || return
	done
}

vsock_make
cid=$(vsock_cid $other)
tap_ok "the other guest has a CID: $cid" [ "${cid:-0}" -ge 1000 ]
peers=$(ivshmemctl peers --json)
conforms peers "$peers"
tap_eq "JSON has it as well, and none for this guest" \
	"$(echo "$peers" | sed -n 's/.*"cid": //p' | tr -d , | sort | tr '\n' ' ')" "$cid null "
tap_ok "list says what the partition is for" sh -c \
	"ivshmemctl list | grep -qx 'ivshmem0p1  *vsock  *ivshmem_vsock  *CIDs from 1000'"
conforms list "$(ivshmemctl list --json)"
tap_ok "doctor finds nothing wrong with it" sh -c "! ivshmemctl doctor | grep -i vsock"

cat /bin/busybox /bin/ivshmemctl /bin/busybox /bin/ivshmemctl >/tmp/file
ip link set lo up
socat -u VSOCK-LISTEN:1 CREATE:/tmp/arrived &
receiver=$!
socat TCP-LISTEN:80,fork,reuseaddr "SYSTEM:echo this is guest $RIG_GUEST" &
servers=$!
socat -t 30 VSOCK-LISTEN:2,fork,reuseaddr TCP:127.0.0.1:80 &
servers="$servers $!"
socat -t 30 VSOCK-LISTEN:3,fork,reuseaddr,backlog=32 EXEC:cat &
servers="$servers $!"
tap_ok "send a file, while the other guest does so" \
	soon socat -u OPEN:/tmp/file "VSOCK-CONNECT:$cid:1"
wait $receiver
tap_ok "what was sent has come" cmp /tmp/file /tmp/arrived
rig_ask barrier files
tap_eq "a service of TCP answers by vsock" "$(socat -t 30 - "VSOCK-CONNECT:$cid:2" </dev/null)" \
	"this is guest $other"
tap_ok "8 connections at once" echoed
rig_ask barrier echoed
# shellcheck disable=SC2086 # words
kill $servers
vsock_done
