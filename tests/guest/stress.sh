#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Other projects' stress tests on the nodes: stress-ng tries what all devices have in
# common, trinity makes system calls with random arguments. Afterwards the device must
# work, and the kernel log must have no complaint.
# rig: devices=doorbell,plain vectors=4 size=4M mem=512 timeout=240
# rig: arches=amd64 programs=stress-ng,trinity alone=yes
. /tests/lib.sh

# System calls on an open file or a mapping that do not sleep.
calls="read write pread64 pwrite64 readv writev preadv pwritev lseek ioctl fcntl
	mmap munmap mremap mprotect madvise msync sendfile splice dup newfstat
	ftruncate fallocate fsync epoll_ctl"

# works DEVICE: write to the device and read it back
works() {
	ivshmemctl write -d "$1" 4096 hello &&
		[ "$(ivshmemctl read -d "$1" --raw 4096 5)" = hello ]
}

# reached: has trinity read from the node? It opens the node with random flags, some of
# which do not allow that.
reached() {
	grep -q "read: .*success:[1-9]" /tmp/trinity
}

# try_calls DEVICE: run trinity as a user who can do no more than open the node
try_calls() {
	for _ in 1 2 3 4 5; do
		# shellcheck disable=SC2086 # a list of words
		su nobody -c "trinity -l off --stats --enable-fds=pseudo -C 2 -N 5000 \
			-V $1 $(printf -- '-c %s ' $calls)" >/tmp/trinity 2>&1
		status=$?
		reached && break
	done
	tail -n 50 /tmp/trinity
	tap_eq "trinity runs on $1" "$status" 0
	tap_ok "trinity has read from $1" reached
}

echo "root:x:0:0:root:/tmp:/bin/sh" >/etc/passwd
echo "nobody:x:65534:65534:nobody:/tmp:/bin/sh" >>/etc/passwd
mkdir -m 777 /tmp/work
cd /tmp/work || exit
for device in /dev/ivshmem0 /dev/ivshmem1; do
	chmod 666 $device
	tap_ok "stress-ng runs on $device" stress-ng --dev 2 --dev-file $device --timeout 10
	try_calls $device
	tap_ok "$device can be written and read afterwards" works $device
done
tap_ok "doorbells fire afterwards" \
	ivshmemctl ping -d ivshmem0 --count 10 --timeout 60 "$(cat /sys/class/ivshmem/ivshmem0/id)"
tap_ok "the module can be unloaded afterwards" rmmod ivshmem
tap_done
