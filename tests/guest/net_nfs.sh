#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# One guest exports a directory over NFS, the other mounts it: files are there as they were
# written, in both directions, and a lock there holds.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 timeout=180
. /tests/lib.sh
. /tests/net.sh
net_needs nfsd nfsv4

me=$((RIG_GUEST + 1))

# serve: export /tmp/shared
serve() {
	mkdir -p /tmp/shared /var/lib/nfs /run/nfs
	mount -t nfsd nfsd /proc/fs/nfsd
	printf 'nfs 2049/tcp\nnfs 2049/udp\n' >/etc/services
	printf 'tcp 6 TCP\nudp 17 UDP\n' >/etc/protocols
	: >/var/lib/nfs/etab
	: >/var/lib/nfs/rmtab
	echo "/tmp/shared 10.0.0.0/24(rw,no_root_squash,fsid=0,no_subtree_check)" >/etc/exports
	# Files can be opened when the grace time is over.
	exportfs -a && rpc.mountd --no-nfs-version 3 &&
		rpc.nfsd --no-nfs-version 3 --grace-time 10 --lease-time 10 4
}

net_make
net=$(net_name 0)
net_up "$net" "10.0.0.$me/24"
tap_ok "the other guest answers" pings 10.0.0.$((3 - me))

if [ "$me" = 2 ]; then
	tap_ok "the directory is exported" serve
	head -c 8m /dev/urandom >/tmp/shared/read
	md5sum </tmp/shared/read >/tmp/shared/read.sum
	rig_ask barrier serves
	rig_ask barrier written
	tap_eq "what the other has written is here" "$(md5sum </tmp/shared/written)" \
		"$(cat /tmp/shared/written.sum)"
	rig_ask barrier compared
	rig_ask barrier unmounted
	rpc.nfsd 0
	umount /proc/fs/nfsd
else
	mkdir -p /tmp/mounted
	rig_ask barrier serves
	tap_ok "it can be mounted" mount.nfs 10.0.0.2:/ /tmp/mounted -o vers=4.2
	tap_eq "a file there is as it was" "$(md5sum </tmp/mounted/read)" \
		"$(cat /tmp/mounted/read.sum)"
	head -c 8m /dev/urandom >/tmp/own
	tap_ok "a file can be copied there" cp /tmp/own /tmp/mounted/written
	md5sum </tmp/own >/tmp/mounted/written.sum
	tap_ok "and locked" flock -n /tmp/mounted/written true
	sync
	rig_ask barrier written
	rig_ask barrier compared
	tap_ok "it can be unmounted" umount /tmp/mounted
	rig_ask barrier unmounted
fi
net_done
