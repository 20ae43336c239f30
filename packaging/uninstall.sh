#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Removes installed files, and directories that are empty then: uninstall.sh DESTDIR PREFIX
# FILE... Without DESTDIR, those stay that a system has anyway.
set -eu

destdir=$1 prefix=$2
shift 2

may_go() { # DIRECTORY
	[ -n "$1" ] || return 1
	[ -z "$destdir" ] || return 0
	case $1 in
	*/ivshmem*) return 0 ;;
	/usr/*) return 1 ;;
	"$prefix"/*) return 0 ;;
	*) return 1 ;;
	esac
}

for file; do
	rm -f "$destdir$file"
	directory=${file%/*}
	while may_go "$directory" && rmdir "$destdir$directory" 2>/dev/null; do
		directory=${directory%/*}
	done
done
