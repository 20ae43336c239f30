#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In a guest: print what its kernel has found or counted. See kernel_reports.py.
# A kernel that a test has locked down shows nothing.
if grep -qs '\[[ic]' /sys/kernel/security/lockdown; then
	exit 0
fi

leaks=/sys/kernel/debug/kmemleak
counts=/sys/kernel/debug/gcov

if [ -e "$leaks" ]; then
	# What was allocated less than five seconds ago is not looked at, and what one
	# scan finds may only have been moved while it went on.
	sleep 6
	echo scan >"$leaks"
	echo scan >"$leaks"
	cat "$leaks"
fi
if [ -e "$counts" ]; then
	find "$counts" -path '*/kmod/*' -name '*.gcda' | while read -r file; do
		echo "file ${file#"$counts"}"
		base64 "$file"
	done
fi
