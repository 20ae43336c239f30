#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A service in a real Debian guest: runs the lines that come over the second
# serial port as commands, and reports the exit status of each.
exec 3<>/dev/ttyS1
stty raw -echo <&3
echo "@rig-ready" >&3
while read -r command <&3; do
	sh -c "$command" </dev/null >&3 2>&3 3>&-
	printf '\n@rig-exit %d\n' $? >&3
done
