#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# A tree of 64 MiB goes from one guest to the other by rsync over ssh, and arrives as it was.
# CYCLES=16 has it go 16 times, which is 1 GiB.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 timeout=180
. /tests/lib.sh
. /tests/net.sh
. /tests/ssh.sh

me=$((RIG_GUEST + 1))

tree=/tmp/tree

# tree_make: 64 MiB of noise in files of all sizes
tree_make() {
	mkdir -p $tree/large $tree/small
	head -c 15m /dev/urandom >$tree/large/0
	for file in 1 2 3; do
		{ echo $file && cat $tree/large/0; } >$tree/large/$file
	done
	for size in $(seq 1 97 12000); do
		head -c "$size" /dev/urandom >"$tree/small/$size"
	done
	head -c 3500000 /dev/urandom >$tree/odd
}

# one checksum of the names and contents of all files of a directory
sums="find . -type f | sort | xargs md5sum | md5sum"

ssh_prepare
net_make
net=$(net_name 0)
net_up "$net" "10.0.0.$me/24"
tap_ok "the other guest answers" pings 10.0.0.$((3 - me))

if [ "$me" = 2 ]; then
	# shellcheck disable=SC2046 # words
	tap_ok "sshd starts" $(ssh_server)
	rig_ask barrier serves
else
	tree_make
	rig_ask barrier serves
	tap_eq "a command runs there" "$($(ssh_client) 10.0.0.2 echo hello)" hello
	for cycle in $(seq "${RIG_CYCLES:-1}"); do
		echo "$cycle" >$tree/cycle
		tap_ok "$cycle: rsync sends a tree" \
			rsync -a --whole-file --ignore-times -e "$(ssh_client)" $tree/ 10.0.0.2:/tmp/copy/
		tap_eq "$cycle: it is there as it was" \
			"$($(ssh_client) 10.0.0.2 "cd /tmp/copy && $sums")" "$(cd $tree && eval "$sums")"
	done
	tap_eq "a pipe returns as it was" "$($(ssh_client) 10.0.0.2 cat <$tree/odd | md5sum)" \
		"$(md5sum <$tree/odd)"
fi
net_done
