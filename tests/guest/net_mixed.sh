#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A network between two architectures.
# rig: guests=2 arches=amd64,arm64 devices=doorbell vectors=4 size=16M timeout=240
. /tests/lib.sh

other=$((2 - RIG_GUEST))
seq 300000 >/tmp/sent

segment_make --ports 4
segment_load
segment_up
tap_ok "it gets a carrier" segment_carrier
segment_sizes 10.9.0.$other
segment_sizes fd09::$other
segment_stream from-x86-64 0 1 /tmp/sent
segment_stream from-arm64 1 0 /tmp/sent
rig_ask barrier end
tap_ok "the driver unloads" rmmod ivshmem_net
rmmod ivshmem_rings
tap_done
