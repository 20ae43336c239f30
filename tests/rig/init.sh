#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# The first process of a guest. Brings up the file systems, then runs the lines
# that come over a serial port of ours as commands, with that port as their input
# and output, and reports the exit status of each. The kernel's command line says
# which port that is, and tests find it in rig_port as well.
/bin/busybox --install -s /bin
export PATH=/bin:/tests HOME=/tmp TERM=dumb

mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev || mount -t tmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t configfs configfs /sys/kernel/config 2>/dev/null
dmesg -n 8
# Leaks are asked for when a test has ended. Beside the load of one, the thread that
# looks for them all the time can stand still for longer than RCU puts up with.
if [ -e /sys/kernel/debug/kmemleak ]; then
	echo scan=off >/sys/kernel/debug/kmemleak
fi

# read passes over the zeros that the rig sends to see whether we are there.
exec 3<>"/dev/${rig_port:?}"
stty raw -echo <&3
echo "@rig-ready" >&3
while read -r command <&3; do
	sh -c "$command" <&3 >&3 2>&3
	status=$?
	# Processes that a test left must not meet the next one. And if one dies while
	# read has half a line, read starts again without that half. So wait until only
	# this process, zombies and threads of the kernel are left.
	kill -9 -1 2>/dev/null
	tries=0
	until awk '{ sub(/.*\) /, "") } $1 !~ /[XZ]/ && $2 != 0 && $2 != 2 { count++ }
		   END { exit count > 0 }' /proc/[0-9]*/task/*/stat 2>/dev/null; do
		tries=$((tries + 1))
		if [ $tries = 600 ]; then
			ps | sed 's/^/# does not die: /' >&3
			break
		fi
		sleep 0.05
	done
	printf '\n@rig-exit %d\n' "$status" >&3
done
poweroff -f
