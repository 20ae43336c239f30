# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=dash
# Logins by ssh for tests that say nets=, after "/tests/lib.sh": root needs no password.

# ssh_prepare: what both ends need, accounts and the server's key
ssh_prepare() {
	echo "root::0:0:root:/tmp:/bin/sh" >/etc/passwd
	echo "sshd:x:101:65534::/run/sshd:/bin/false" >>/etc/passwd
	echo "root:x:0:" >/etc/group
	mkdir -p /run/sshd
	[ -e /tmp/host ] || ssh-keygen -q -t ed25519 -N '' -f /tmp/host
}

# ssh_server: print the command that serves
ssh_server() {
	echo "$(command -v sshd) -f /dev/null -h /tmp/host -o UsePAM=no -o PidFile=none" \
		"-o PermitRootLogin=yes -o PermitEmptyPasswords=yes"
}

# ssh_client: print the command that logs in
ssh_client() {
	echo ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
}
