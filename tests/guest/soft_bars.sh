#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A window works with a PCI device: guest 1 uses its ivshmem device through ivshmem_soft,
# by the addresses of its BARs. It shares memory with guest 0, which uses PCI, and rings it.
# rig: guests=2 arches=amd64,amd64 devices=doorbell vectors=4 size=16M modules=configfs
. /tests/lib.sh

if [ "$RIG_GUEST" = 1 ]; then
	tap_ok "replace the PCI device by a window" \
		replace_devices window 4 "$(cat /sys/class/ivshmem/ivshmem0/size)"
	tap_eq "the window has no vectors" "$(cat /sys/class/ivshmem/ivshmem0/vectors)" 0
	tap_ok "write to the window" ivshmemctl write 4096 "from the window"
	rig_ask barrier ready
	rig_ask barrier id
	tap_ok "ring the guest that uses PCI" ivshmemctl ring "$(ivshmemctl read --raw 0 1)" 2
	rig_ask barrier rung
	tap_eq "read what that guest wrote" "$(ivshmemctl read --raw 8192 8)" "from PCI"
else
	ivshmemctl write 0 "$(cat /sys/class/ivshmem/ivshmem0/id)"
	rig_ask barrier ready
	ivshmemctl wait --count 1 --timeout 30 2 >/tmp/rung &
	waiter=$!
	until grep -q "^State:.*sleeping" /proc/$waiter/status; do sleep 0.1; done
	sleep 0.5
	rig_ask barrier id
	tap_ok "wait ends when the window rings" wait $waiter
	tap_eq "the window rang the right vector" "$(head -n 1 /tmp/rung)" "vector 2: 1"
	tap_eq "read what the window wrote" "$(ivshmemctl read --raw 4096 15)" "from the window"
	ivshmemctl write 8192 "from PCI"
	rig_ask barrier rung
fi
tap_done
