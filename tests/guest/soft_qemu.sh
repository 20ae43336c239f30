#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Where this machine is a host: the node of a device in software is the memory of an
# ivshmem-plain device, which QEMU's monitor looks into. That guest never runs: all
# its firmware would do, setting up the device, is done by hand.
# rig: arches=amd64 devices=none modules=configfs mem=1024 timeout=120
# rig: programs=qemu-system-x86_64,accel-tcg-x86_64.so
. /tests/lib.sh

mount -t configfs configfs /sys/kernel/config 2>/dev/null
insmod /lib/ivshmem_soft.ko
tap_ok "a device in software" ivshmemctl add shm --size 4M
ivshmemctl write 4096 "hello"
head -c 65536 /dev/zero >/tmp/firmware

# Its BAR2 comes to 0xe0000000, and memory is switched on.
cat >/tmp/commands <<'EOF'
o /w 0xcf8 0x80002018
o /w 0xcfc 0xe0000000
o /w 0xcf8 0x8000201c
o /w 0xcfc 0
o /w 0xcf8 0x80002004
o /h 0xcfc 2
xp /5xb 0xe0001000
quit
EOF
QEMU_MODULE_DIR=/bin timeout 100 qemu-system-x86_64 -S -nodefaults -display none \
	-machine pc -accel tcg -m 32 -bios /tmp/firmware -monitor stdio \
	-object memory-backend-file,id=shm,share=on,mem-path=/dev/ivshmem0,size=4M \
	-device ivshmem-plain,memdev=shm,addr=4 </tmp/commands >/tmp/said 2>&1
tap_eq "QEMU ends" $? 0
grep -a -v "^(qemu)" /tmp/said | sed 's/^/# /'
tap_ok "its guest sees what was written to the node" \
	grep -a -q "0x68 0x65 0x6c 0x6c 0x6f" /tmp/said
tap_ok "remove" ivshmemctl remove shm
tap_ok "rmmod" rmmod ivshmem_soft
tap_done
