#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Each step in the life of a device and of a doorbell has a tracepoint that fires.
# rig: devices=doorbell vectors=4 size=1M insmod=no turns=yes
. /tests/lib.sh

tracing=/sys/kernel/tracing
# A ring through the mapped register page has no tracepoint.
insmod /lib/ivshmem.ko map_registers=0
interrupts "the tracepoints of a doorbell" || tap_done
echo 1 >$tracing/events/ivshmem/enable
echo 0000:00:10.0 >/sys/bus/pci/drivers/ivshmem/unbind
echo 0000:00:10.0 >/sys/bus/pci/drivers/ivshmem/bind
dd if=/dev/ivshmem0 of=/dev/null bs=4096 count=1 2>/dev/null
# Peer 0 is this guest: it rings its own vector 0 and waits for it.
ivshmemctl ping -d /dev/ivshmem0 --count 1 --timeout 1 0 >/dev/null
ivshmemctl write -d /dev/ivshmem0 0 text
echo 0 >$tracing/events/ivshmem/enable

for event in register probe open map fault ring interrupt wait_begin wait_end unmap release \
	remove unregister region_unmap free; do
	tap_ok "ivshmem_$event fires, with its device" \
		grep -q " ivshmem_$event: device=0" $tracing/trace
done
for event in alloc region_map; do
	tap_ok "ivshmem_$event fires, with its parent" \
		grep -q " ivshmem_$event: device=-1 parent=0000:00:10.0 " $tracing/trace
done
for event in reset_prepare reset_done resume wake wake_any eventfd defer look; do
	tap_ok "ivshmem_$event exists" [ -d $tracing/events/ivshmem/ivshmem_$event ]
done
rmmod ivshmem
tap_ok "the tracepoints disappear with the module" [ ! -e $tracing/events/ivshmem ]
tap_done
