#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The driver's reader of labels keeps its promises about labels that chance overwrites.
# rig: devices=none timeout=300
. /tests/lib.sh

count=${RIG_OPERATIONS:-$([ -n "$RIG_QUICK" ] && echo 1000 || echo 10000)}
seed=${RIG_SEED:-1}

tap_ok "the reader keeps its promises about $count random labels (seed $seed)" \
	insmod /lib/ivshmem_mutations.ko count="$count" seed="$seed"
tap_eq "all of them were tried" \
	"$(dmesg | sed -n 's/.*ivshmem_mutations: \([0-9]*\) labels$/\1/p')" "$count"
tap_ok "the module unloads" rmmod ivshmem_mutations
tap_done
