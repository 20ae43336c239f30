#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# A server that Python has over vsock, and clients of it in the other guest: streams, and packets
# where the kernel has them.
# rig: guests=2 devices=doorbell vectors=4 size=16M programs=python3 arches=amd64,amd64
# rig: modules=vmw_vsock_virtio_transport_common timeout=120
. /tests/lib.sh
. /tests/vsock.sh

cat >/tmp/both.py <<'END'
"""KIND [CID]: serve two clients of that kind; or be both of them."""

import socket
import sys

kind = getattr(socket, sys.argv[1])


def serve(server):
    for _ in range(2):
        client, (cid, port) = server.accept()
        with client:
            client.sendall(f"{cid > 2} ".encode())
            while data := client.recv(1 << 16):
                client.sendall(data.upper())


def use(cid):
    with socket.socket(socket.AF_VSOCK, kind) as one, socket.socket(socket.AF_VSOCK, kind) as two:
        for client in (one, two):
            client.settimeout(60)
            client.connect((cid, 5000))
        for client, text in ((one, b"one "), (two, b"two ")):
            client.sendall(text)
            client.shutdown(socket.SHUT_WR)
            while data := client.recv(1 << 16):
                print(data.decode(), end="")


if len(sys.argv) > 2:
    use(int(sys.argv[2]))
else:
    with socket.socket(socket.AF_VSOCK, kind) as listener:
        listener.bind((socket.VMADDR_CID_ANY, 5000))
        listener.listen()
        print("listening", flush=True)
        serve(listener)
END

# both KIND: a server in guest 1, its clients in guest 0
both() {
	if [ "$RIG_GUEST" = 1 ]; then
		python3 -IS /tmp/both.py "$1" >/tmp/server 2>&1 &
		server=$!
		tap_ok "$1: Python listens" soon grep -q listening /tmp/server
		rig_ask barrier "$1"
		wait $server
		tap_eq "$1: it has served" $? 0
	else
		rig_ask barrier "$1"
		tap_eq "$1: both clients are answered" "$(python3 -IS /tmp/both.py "$1" "$cid" 2>&1)" \
			"True ONE True TWO "
	fi
}

vsock_make
cid=$(vsock_cid $((1 - RIG_GUEST)))
both SOCK_STREAM
case $(uname -r) in
5.*) tap_skip "packets" "kernels have SOCK_SEQPACKET over vsock from 5.14" ;;
*) both SOCK_SEQPACKET ;;
esac
vsock_done
