#!/bin/dash
# SPDX-License-Identifier: GPL-2.0-only
# ssh from one guest to the other by vsock, as docs/vsock.md says: a command, and a pipe both ways.
# rig: guests=2 nets=1 devices=doorbell vectors=4 size=32M mem=512 smp=1 over=pci,polled timeout=90
. /tests/lib.sh
. /tests/ssh.sh
. /tests/vsock.sh

ssh_prepare
vsock_make
cid=$(vsock_cid $((1 - RIG_GUEST)))

# login COMMAND: run it in the other guest
login() {
	$(ssh_client) -o "ProxyCommand=socat - VSOCK-CONNECT:$cid:22" guest1 "$1"
}

if [ "$RIG_GUEST" = 1 ]; then
	socat VSOCK-LISTEN:22,fork,reuseaddr "EXEC:$(ssh_server) -i" 2>/tmp/server &
	server=$!
	rig_ask barrier serves
	rig_ask barrier finished
	kill $server
else
	head -c 3500000 /dev/urandom >/tmp/odd
	rig_ask barrier serves
	tap_eq "a command runs there" "$(soon login hostname)" guest1
	tap_eq "a pipe returns as it was" "$(login cat </tmp/odd | md5sum)" "$(md5sum </tmp/odd)"
	status 42 login "exit 42"
	rig_ask barrier finished
fi
vsock_done
