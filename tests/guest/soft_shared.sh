#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Two guests have the same memory at an address of their own choice: no PCI device,
# but what QEMU calls an NVDIMM, which no driver of theirs claims.
# rig: guests=2 arches=amd64,amd64 devices=none machine=q35
# rig: qemu='-machine nvdimm=on -m slots=2,maxmem=8G -object memory-backend-file,id=nv,share=on,mem-path={directory}/nv,size=64M -device nvdimm,memdev=nv,addr=0x180000000'
# rig: modules=configfs
. /tests/lib.sh

mount -t configfs configfs /sys/kernel/config 2>/dev/null
tap_ok "the module loads" insmod /lib/ivshmem_soft.ko
tap_eq "add" "$(ivshmemctl add shm --address 0x180000000 --size 64M)" "shm is /dev/ivshmem0"
other=$((1 - RIG_GUEST))
tap_ok "write" ivshmemctl write $((RIG_GUEST * 4096)) "guest $RIG_GUEST"
rig_ask barrier written
tap_eq "read what the other wrote" \
	"$(ivshmemctl read --raw $((other * 4096)) 7)" "guest $other"
rig_ask barrier read
if [ "$RIG_GUEST" = 0 ]; then
	head -c 8M /dev/urandom >/tmp/file
	rig_ask barrier file
	tap_ok "send a file" ivshmemctl send --timeout 60 /tmp/file
else
	rig_ask barrier file
	tap_ok "receive it, checksums equal" ivshmemctl recv --timeout 60 /tmp/file
fi
rig_ask barrier sent
tap_ok "remove" ivshmemctl remove shm
tap_ok "rmmod" rmmod ivshmem_soft
tap_done
