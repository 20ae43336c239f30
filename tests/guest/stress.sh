#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Programs of others that do to a device whatever can be done: stress-ng tries what
# all devices have in common, trinity makes system calls with random arguments.
# Afterwards the device works, and the kernel has not complained.
# rig: devices=doorbell,plain vectors=4 size=4M mem=512 timeout=240
# rig: arches=amd64 programs=stress-ng,trinity alone=yes
. /tests/lib.sh

# What can be done with an open file and with a mapping, and does not sleep.
calls="read write pread64 pwrite64 readv writev preadv pwritev lseek ioctl fcntl
	mmap munmap mremap mprotect madvise msync sendfile splice dup newfstat
	ftruncate fallocate fsync epoll_ctl"

# works DEVICE: it can be written and read
works() {
	ivshmemctl write -d "$1" 4096 hello &&
		[ "$(ivshmemctl read -d "$1" --raw 4096 5)" = hello ]
}

# reached: trinity has read something; it draws how it opens the node, and may fail
reached() {
	grep -q "read: .*success:[1-9]" /tmp/trinity
}

# try_calls DEVICE: as somebody who may no more than open the node
try_calls() {
	for _ in 1 2 3 4 5; do
		# shellcheck disable=SC2086 # a list of words
		su nobody -c "trinity -l off --stats --enable-fds=pseudo -C 2 -N 5000 \
			-V $1 $(printf -- '-c %s ' $calls)" >/tmp/trinity 2>&1
		status=$?
		reached && break
	done
	tail -n 50 /tmp/trinity
	tap_eq "trinity on $1" "$status" 0
	tap_ok "its reads reached it" reached
}

echo "root:x:0:0:root:/tmp:/bin/sh" >/etc/passwd
echo "nobody:x:65534:65534:nobody:/tmp:/bin/sh" >>/etc/passwd
mkdir -m 777 /tmp/work
cd /tmp/work || exit
for device in /dev/ivshmem0 /dev/ivshmem1; do
	chmod 666 $device
	tap_ok "stress-ng on $device" stress-ng --dev 2 --dev-file $device --timeout 10
	try_calls $device
	tap_ok "$device works" works $device
done
tap_ok "doorbells come in" \
	ivshmemctl ping -d ivshmem0 --count 10 --timeout 60 "$(cat /sys/class/ivshmem/ivshmem0/id)"
tap_ok "nothing holds the module" rmmod ivshmem
tap_done
