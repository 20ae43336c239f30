#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Each step in the life of a device and of a doorbell leaves a trace.
# rig: devices=doorbell vectors=4 size=1M insmod=no turns=yes
. /tests/lib.sh

tracing=/sys/kernel/tracing
# A ring through the mapped register would leave no trace.
insmod /lib/ivshmem.ko map_registers=0
interrupts "the steps of a doorbell" || tap_done
echo 1 >$tracing/events/ivshmem/enable
echo 0000:00:10.0 >/sys/bus/pci/drivers/ivshmem/unbind
echo 0000:00:10.0 >/sys/bus/pci/drivers/ivshmem/bind
dd if=/dev/ivshmem0 of=/dev/null bs=4096 count=1 2>/dev/null
# Rings vector 0 of peer 0, which is this guest, and waits to be rung.
ivshmemctl ping -d /dev/ivshmem0 --count 1 --timeout 1 0 >/dev/null
ivshmemctl write -d /dev/ivshmem0 0 text
echo 0 >$tracing/events/ivshmem/enable

for event in register probe open map fault ring interrupt wait_begin wait_end unmap release \
	remove unregister region_unmap free; do
	tap_ok "ivshmem:ivshmem_$event" grep -q " ivshmem_$event: device=0" $tracing/trace
done
for event in alloc region_map; do
	tap_ok "ivshmem:ivshmem_$event" grep -q " ivshmem_$event: device=-1 parent=0000:00:10.0 " $tracing/trace
done
for event in reset_prepare reset_done resume wake wake_any eventfd defer; do
	tap_ok "ivshmem:ivshmem_$event exists" [ -d $tracing/events/ivshmem/ivshmem_$event ]
done
rmmod ivshmem
tap_ok "they go with the module" [ ! -e $tracing/events/ivshmem ]
tap_done
