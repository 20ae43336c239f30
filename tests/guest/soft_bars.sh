#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Guest 1 has its ivshmem device by its addresses alone, and both share the memory
# and ring: guest 0 by PCI, guest 1 by the doorbell register of a window.
# rig: guests=2 arches=amd64,amd64 devices=doorbell vectors=4 size=16M modules=configfs
. /tests/lib.sh

if [ "$RIG_GUEST" = 1 ]; then
	tap_ok "the PCI device becomes a window" replace_devices window 4 "$(cat /sys/class/ivshmem/ivshmem0/size)"
	tap_eq "which has no interrupts" "$(cat /sys/class/ivshmem/ivshmem0/vectors)" 0
	tap_ok "write" ivshmemctl write 4096 "from the window"
	rig_ask barrier ready
	tap_ok "ring the other guest" ivshmemctl ring "$(rig_ask barrier id >/dev/null; ivshmemctl read --raw 0 1)" 2
	rig_ask barrier rung
	tap_eq "read what it answers" "$(ivshmemctl read --raw 8192 8)" "from PCI"
else
	ivshmemctl write 0 "$(cat /sys/class/ivshmem/ivshmem0/id)"
	rig_ask barrier ready
	ivshmemctl wait --count 1 --timeout 30 2 >/tmp/rung &
	waiter=$!
	until grep -q "^State:.*sleeping" /proc/$waiter/status; do sleep 0.1; done
	sleep 0.5
	rig_ask barrier id
	tap_ok "be rung by a window" wait $waiter
	tap_eq "on the right vector" "$(head -n 1 /tmp/rung)" "vector 2: 1"
	tap_eq "read what it wrote" "$(ivshmemctl read --raw 4096 15)" "from the window"
	ivshmemctl write 8192 "from PCI"
	rig_ask barrier rung
fi
tap_done
