#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Says what is missing for a build, and which command brings it:
#   needs.sh tools               user space, built by CC with PKG_CONFIG
#   needs.sh module KERNEL TREE  the module, with the headers in TREE
set -u

missing='' debian='' fedora=''

lack() { # WHAT DEBIAN FEDORA
	missing="$missing${missing:+, }$1"
	debian="$debian $2"
	fedora="$fedora $3"
}

have() { # COMMAND
	command -v "${1%% *}" >/dev/null
}

# Where the compiler's name has a number, the kernel's headers know it.
have_any_compiler() (
	IFS=:
	for directory in $PATH; do
		for compiler in "$directory"/gcc "$directory"/gcc-[0-9]* "$directory"/clang*; do
			[ ! -x "$compiler" ] || exit 0
		done
	done
	exit 1
)

# What a compiler that is not there would find has to be where it usually is.
header() { # NAME
	if have "$CC"; then
		# shellcheck disable=SC2086 # lists of words
		echo "#include <$1>" | $CC ${CPPFLAGS-} ${CFLAGS-} -E -o /dev/null -x c - 2>/dev/null
	else
		[ -e "/usr/include/$1" ]
	fi
}

library() { # HEADER NAME
	header "$1" && { ! have "$PKG_CONFIG" || $PKG_CONFIG --exists "$2"; }
}

case $1 in
tools)
	have "$CC" || lack "$CC" gcc gcc
	have "$PKG_CONFIG" || lack "$PKG_CONFIG" pkgconf pkgconf-pkg-config
	header stdio.h || lack stdio.h libc6-dev glibc-devel
	library jansson.h jansson || lack jansson.h libjansson-dev jansson-devel
	library curses.h ncursesw || lack curses.h libncurses-dev ncurses-devel
	library xxhash.h libxxhash || lack xxhash.h libxxhash-dev xxhash-devel
	;;
module)
	have_any_compiler || lack 'a compiler' gcc gcc
	[ -e "$3/Makefile" ] ||
		lack "headers of kernel $2 in $3" "linux-headers-$2" "kernel-devel-$2"
	;;
esac
[ -n "$missing" ] || exit 0

if have apt-get; then
	command="apt-get install$debian"
else
	command="dnf install$fedora"
fi
echo "make $1: missing $missing; to install it: sudo $command" >&2
exit 1
