#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# The first process of a guest. It mounts the file systems, then runs each line that comes
# over the rig's serial port as a command, with the port as its standard input and output,
# and reports its exit status. The kernel's command line sets rig_port to that port; tests
# use the variable as well.
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
# Scan for leaks only when a test has ended (kernel_reports.sh): under the load of a test,
# kmemleak's own thread can be delayed for so long that RCU reports a stall.
if [ -e /sys/kernel/debug/kmemleak ]; then
	echo scan=off >/sys/kernel/debug/kmemleak
fi

# The rig sends zeros to see whether this guest is alive; read ignores them.
exec 3<>"/dev/${rig_port:?}"
stty raw -echo <&3
echo "@rig-ready" >&3
while read -r command <&3; do
	sh -c "$command" <&3 >&3 2>&3
	status=$?
	# Processes that a test has left must not disturb the next one. And if a child dies
	# while read has half a line, read starts again and loses that half. So wait until
	# only this process, zombies and kernel threads are left.
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
