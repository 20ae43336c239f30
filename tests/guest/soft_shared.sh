#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Two guests share memory at a physical address, without a PCI device. To QEMU it is an
# NVDIMM; the guests' kernels have no driver for that and leave the range unclaimed.
# rig: guests=2 arches=amd64,amd64 devices=none machine=q35
# rig: qemu='-machine nvdimm=on -m slots=2,maxmem=8G -object memory-backend-file,id=nv,share=on,mem-path={directory}/nv,size=64M -device nvdimm,memdev=nv,addr=0x180000000'
# rig: modules=configfs
. /tests/lib.sh

mount -t configfs configfs /sys/kernel/config 2>/dev/null
tap_ok "the module loads" insmod /lib/ivshmem_soft.ko
tap_eq "create a window" "$(ivshmemctl add shm --address 0x180000000 --size 64M)" \
	"shm is /dev/ivshmem0"
other=$((1 - RIG_GUEST))
tap_ok "write to the window" ivshmemctl write $((RIG_GUEST * 4096)) "guest $RIG_GUEST"
rig_ask barrier written
tap_eq "read what the other guest wrote" \
	"$(ivshmemctl read --raw $((other * 4096)) 7)" "guest $other"
rig_ask barrier read
if [ "$RIG_GUEST" = 0 ]; then
	head -c 8M /dev/urandom >/tmp/file
	rig_ask barrier file
	tap_ok "send a file" ivshmemctl send --timeout 60 /tmp/file
else
	rig_ask barrier file
	tap_ok "receive the file; recv compares checksums" ivshmemctl recv --timeout 60 /tmp/file
fi
rig_ask barrier sent
tap_ok "remove the window" ivshmemctl remove shm
tap_ok "unload the module" rmmod ivshmem_soft
tap_done
