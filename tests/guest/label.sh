#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A label that one guest writes, and the other one reads; what is in use is not overwritten.
# rig: guests=2 devices=plain size=16M
. /tests/lib.sh

export IVSHMEM_DEVICE=/dev/ivshmem0

says 1 "has no label" ivshmemctl label
rig_ask barrier unlabelled
if [ "$RIG_GUEST" = 0 ]; then
	ivshmemctl write 100 "in use"
	says 1 "not all 0" ivshmemctl format
	tap_eq "what is in use stays" "$(ivshmemctl read --raw 100 6)" "in use"
	conforms format "$(ivshmemctl format --force --json)"
	conforms partition "$(ivshmemctl partition add frames 4M --json)"
	tap_ok "add a second partition" ivshmemctl partition add log 64K
	ivshmemctl write 0x200000 "frame"
fi
rig_ask barrier labelled
conforms label "$(ivshmemctl label --json)"
conforms partition "$(ivshmemctl partition list --json)"
tap_eq "both partitions are seen" "$(ivshmemctl partition list | awk 'NR > 1 { print $2, $4 }' |
	tr '\n' ' ')" "frames 0x200000 log 0x20000 "
tap_eq "the memory of a partition is where it is" "$(ivshmemctl read --raw 0x200000 5)" frame
rig_ask barrier seen
if [ "$RIG_GUEST" = 1 ]; then
	says 1 "with --force" ivshmemctl partition remove log
	tap_ok "remove a partition" ivshmemctl partition remove log --force
fi
rig_ask barrier removed
tap_ok "the other guest sees it gone" sh -c "! ivshmemctl partition list | grep -q log"
tap_ok "rescan" ivshmemctl rescan
rig_ask barrier rescanned
if [ "$RIG_GUEST" = 0 ]; then
	ivshmemctl write 300 x
	says 6 "checksum is wrong" ivshmemctl label
	tap_ok "wipe a bad label" ivshmemctl wipe --force
	says 1 "has no label" ivshmemctl label
fi
tap_done
