#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A software device on a host is the memory of an ivshmem-plain device: QEMU, which runs in
# this guest, maps the node, and its monitor reads the device's BAR2. QEMU's own guest never
# runs, so the monitor sets up the device as the firmware would. QEMU allocates the memory
# beforehand and drops it at its end, as far as the driver lets it: nobody else may notice.
# rig: arches=amd64 devices=none modules=configfs mem=1024 timeout=120
# rig: programs=qemu-system-x86_64,accel-tcg-x86_64.so
. /tests/lib.sh

mount -t configfs configfs /sys/kernel/config 2>/dev/null
insmod /lib/ivshmem_soft.ko
tap_ok "create a software device" ivshmemctl add shm --size 4M
ivshmemctl write 4096 "hello"
exec 3<>/dev/ivshmem0
head -c 65536 /dev/zero >/tmp/firmware

# Map BAR2 at 0xe0000000, enable memory accesses, and print 5 bytes of it.
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
# What timeout leaves behind for a second must not have the node open.
QEMU_MODULE_DIR=/bin timeout 100 qemu-system-x86_64 -S -nodefaults -display none \
	-machine pc -accel tcg -m 32 -bios /tmp/firmware -monitor stdio \
	-object memory-backend-file,id=shm,share=on,mem-path=/dev/ivshmem0,size=4M,prealloc=on,discard-data=on \
	-device ivshmem-plain,memdev=shm,addr=4 </tmp/commands >/tmp/said 2>&1 3>&-
tap_eq "QEMU runs and exits" $? 0
grep -a -v "^(qemu)" /tmp/said | sed 's/^/# /'
tap_ok "BAR2 of QEMU's device shows what was written to the node" \
	grep -a -q "0x68 0x65 0x6c 0x6c 0x6f" /tmp/said
tap_eq "the bytes outlive QEMU" "$(ivshmemctl read --raw 4096 5)" hello
tap_eq "who has the node open still reads them" \
	"$(dd bs=1 skip=4096 count=5 <&3 2>/dev/null)" hello
exec 3>&-
tap_ok "remove the software device" ivshmemctl remove shm
tap_ok "unload the module" rmmod ivshmem_soft
tap_done
